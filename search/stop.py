"""``python -m search.stop``: end the workers that were started for a study, from any terminal."""

from pathlib import Path

import typer

from search.cli.app import main, make_app
from search.cli.options import Storage, Studies, Study
from search.cli.verbosity import print_result


def stop(study: Study, storage: Storage = None, root: Studies = Path("studies")) -> None:
    """End the workers of a study that search.run or search.sweep has started, here or by an engine.

    They give their trials back, and nothing is lost: search.run goes on with them. It returns once they have ended.

    Workers that somebody has started by search.worker are told of and not ended: Ctrl-C there ends them.
    """
    from search.engines.attending import end
    from search.engines.started import read_started
    from search.formatting import count
    from search.study.finding import load_study
    from storage.occupancy import occupants

    loaded = load_study(study, storage, root)
    for started in read_started(loaded.paths):
        how = "stopped" if end(started) else "had ended already"
        print(f"{started} with {count(started.workers, 'worker')}: {how}")
    database = loaded.storage
    others = database.retrying.call(lambda _: occupants(database, loaded.study_id, database.timeouts.grace))
    far = f"{len(loaded.finished())} of {loaded.wanted} trials of study {study} are finished"
    if others:
        print(
            f"{far}; still at work: {', '.join(map(str, others))}; end them where they were started (Ctrl-C there)"
        )
        raise typer.Exit(1)
    print_result(f"{far}, nothing is lost; go on with: {loaded.command('run')}")


app = make_app(
    stop,
    example="""
python -m search.stop --study cifar_cnn
python -m search.stop --study cifar_cnn --storage postgresql://me@db.example.org/search
""",
)

if __name__ == "__main__":
    main(app)

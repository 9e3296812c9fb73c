"""``python -m search.run``: search, train, prune, export. It parses; ``search.workflows.run`` does the work."""

import typer

from search.cli.app import main, make_app
from search.cli.options import flags_of
from search.cli.verbosity import print_hint, print_result
from search.config.settings import RunCommandOptions
from search.errors import StudyStopped


@flags_of(RunCommandOptions)
def run(options: RunCommandOptions) -> None:
    """Search for a good image classifier: sample, train, prune, and export the best trial.

    With --study and --data alone it looks at the images, chooses the rest, and says what; --explain says it only.

    It exits with 1 where failures have ended the search, or where no trial is complete, so that there is nothing to
    export. A search that --timeout or --budget has ended with a complete trial is done, and exits with 0.

    Ctrl-C stops at the next batch and loses no finished epoch: the same command goes on. --trials counts the finished
    trials of the whole study, so that a larger number adds to it.
    """
    # Here, not above: --help and every refusal so far must not wait for Optuna.
    if options.explain:
        from search.workflows.explanation import explain

        print_result("\n".join(explain(options)))
        return
    from search.workflows.run import search_and_export

    result = search_and_export(options)
    if result.detached:
        print_result(result.detached)
        return
    if result.stopped and (result.by_user or result.best is not None):
        # Before what came of it all the same, which is the end of a good search.
        print_result(result.stopped)
    if result.export is not None:
        print_result(f"exported to {result.export.folder}")
        print_hint(result.export.how_to_try)
    if result.by_user:
        # A signal, not --timeout or --budget: make and shell scripts must not go on as if all were done.
        raise typer.Exit(130)
    if result.best is None:  # Nor where the time was up before anything came of it.
        raise StudyStopped(
            "; ".join(filter(None, (result.none_complete, result.stopped))) or "no trial has finished"
        )


app = make_app(
    run,
    chatty=True,
    example="""
python -m search.run --study cifar_cnn --trials 50
python -m search.run --study flowers --data photos/ --timeout 2h
python -m search.run --study cifar_cnn --trials 80 --images 10000 --refit
python -m search.run --study cifar_cnn --engine slurm:partition=gpu --gpus all --workers 8 --walltime 4h --detach
""",
)

if __name__ == "__main__":
    main(app)

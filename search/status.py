"""``python -m search.status``: how a study stands and who works on it, from any terminal."""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from search.cli.app import main, make_app
from search.cli.options import Storage, Studies, Study, flag
from search.cli.verbosity import print_result
from search.errors import InputError, StudyPreparing

if TYPE_CHECKING:
    from search.study.snapshot import Snapshot


WATCH_SECONDS = 2.0


def watching(study: str, storage: str | None, root: Path) -> "Callable[[], Snapshot]":
    """What ``look_once`` does, with each call; the study is opened, and its ended trials are read, once.

    A call raises ``DatabaseGone``.
    """
    from search.engines.started import looking
    from search.study.finding import load_study
    from search.study.snapshot import take_snapshot
    from search.study.status import with_exports

    loaded = load_study(study, storage, root)
    retrying = loaded.storage.retrying
    retrying.set_deadline(0)  # One try a look: a screen says at once what is wrong.
    look = looking(loaded.paths)
    return lambda: replace(
        retrying.call(lambda _: with_exports(loaded, take_snapshot(loaded))), started=look()
    )


def waiting_for(watched: "Callable[[], Callable[[], Snapshot]]") -> "Callable[[], Snapshot]":
    """What ``watched`` gives, once the study is there; until then it is said that it is being prepared."""
    said = ""
    while True:
        try:
            return watched()
        except StudyPreparing as wait:
            if not said:
                said = str(wait)
                print_result(said)
        time.sleep(WATCH_SECONDS)


def look_once(study: str, storage: str | None, root: Path) -> "Snapshot":
    """How a study stands now, and the workers that engines were asked to start for it."""
    from search.engines.started import looking
    from search.study.finding import load_study
    from search.study.status import status_of

    loaded = load_study(study, storage, root)
    return replace(status_of(loaded), started=looking(loaded.paths)())


def as_object(snapshot: "Snapshot") -> dict[str, Any]:
    """A snapshot for scripts, see ``status``: plain values, and null for what JSON has no number for."""
    from search.formatting import REFUSED, WORDS

    counts = {state: snapshot.count(state) for state in (*WORDS.values(), REFUSED)}
    counts |= {"running": len(snapshot.running), "waiting": snapshot.waiting}
    plain = asdict(snapshot)
    for name in ("waiting", "pace"):  # Among the counts; for people.
        del plain[name]
    found: dict[str, Any] = _finite({**plain, "counts": counts})
    return found


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(name): _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def status(
    study: Study,
    storage: Storage = None,
    root: Studies = Path("studies"),
    watch: Annotated[bool, flag("--watch", help="Stay, and show it as it goes; Ctrl-C ends.")] = False,
    as_json: Annotated[bool, flag("--json", help="One JSON object for scripts.")] = False,
) -> None:
    """Show how a study stands, its best trial, and its workers: host, device, trial, epoch, last sign of life, speed.

    Below them stands each export at work, and each worker that an engine was asked to start: waiting, running or
    ended, and its log.

    Nothing is changed by looking. A trial whose worker is gone is shown as lost: the next worker goes on with it.

    --json has study, metric, wanted, counts (finished, pruned, failed, refused, running, waiting), best, running,
    ended, started, exports, seconds_left and, until a trial has ended, trial_seconds. Times are in seconds; of a
    running trial, silent is the time since its last sign of life, and lost whether its worker is gone. What is not
    known is null.
    """
    if as_json:
        if watch:
            raise InputError(
                "--json --watch: a script looks once, a person watches; leave one of the two out"
            )
        print(json.dumps(as_object(look_once(study, storage, root)), indent=2))
        return
    from rich.console import Console

    from search.progress.terminal import Progress, table

    if not watch:
        try:
            Console().print(table(look_once(study, storage, root)))
        except StudyPreparing as wait:  # This is how it stands.
            print_result(str(wait))
        return
    with Progress(waiting_for(lambda: watching(study, storage, root))):
        while True:
            time.sleep(WATCH_SECONDS)


app = make_app(
    status,
    example="""
python -m search.status --study cifar_cnn
python -m search.status --study cifar_cnn --json | jq .best
python -m search.status --study cifar_cnn --storage postgresql://me@db.example.org/search --watch
""",
)

if __name__ == "__main__":
    main(app)

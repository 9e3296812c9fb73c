"""``python -m search.status``: how a study stands and who works on it, from any terminal."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from search.command import main, make_app
from search.errors import InputError
from search.flags import Storage, Studies, Study, flag

if TYPE_CHECKING:
    from search.snapshot import Snapshot

WATCH_SECONDS = 2.0


def study_status(study: str, *, storage: str | None = None, root: Path = Path("studies")) -> "Snapshot":
    """Look at a study once; trials whose workers are surely dead are given back first, so that none runs for ever.

    Args:
        study: Its name.
        storage: Database URL; by default the environment's ``SEARCH_STORAGE``, or SQLite under ``root``.
        root: The folder of all studies.

    Raises:
        InputError: No such study, or its database has gone away.
    """
    from storage.retrying import DatabaseGone

    try:
        return watching(study, storage, root)()
    except DatabaseGone as gone:
        raise InputError(f"--storage: {gone}; try again") from None


def watching(study: str, storage: str | None, root: Path) -> "Callable[[], Snapshot]":
    """What ``study_status`` does with each call, the study opened once; it raises ``DatabaseGone``."""
    from search.snapshot import look
    from search.study import load_study
    from storage.claims import Claims

    loaded = load_study(study, storage, root)
    claims, retrying = Claims(loaded.storage, loaded.study_id, "status"), loaded.storage.retrying
    retrying.hurry(0)  # One try a look: a screen says at once what is wrong.

    def swept(_: int) -> "Snapshot":
        claims.sweep()
        return look(loaded)

    return lambda: retrying.call(swept)


def status(
    study: Study,
    storage: Storage = None,
    root: Studies = Path("studies"),
    watch: Annotated[bool, flag("--watch", help="Stay, and show it as it goes; Ctrl-C ends.")] = False,
    as_json: Annotated[bool, flag("--json", help="Print one JSON object, for scripts.")] = False,
) -> None:
    """Show how a study stands, its best trial, and its workers: host, device, trial, epoch, last sign of life, speed.

    A trial whose worker is surely dead is given back, so that the next worker goes on with it.
    """
    if as_json and watch:
        raise InputError("--json is one look and --watch is many: leave one of the two out")
    if as_json:
        from search import snapshot

        print(snapshot.as_json(study_status(study, storage=storage, root=root)))
        return
    from rich.console import Console

    from search.progress import Progress, table

    if not watch:
        Console().print(table(study_status(study, storage=storage, root=root)))
        return
    with Progress(watching(study, storage, root)):
        while True:
            time.sleep(WATCH_SECONDS)


app = make_app(
    status,
    example="""
python -m search.status --study cifar_cnn
python -m search.status --study cifar_cnn --storage postgresql://me@db.example.org/search --watch
python -m search.status --study cifar_cnn --json
""",
)

if __name__ == "__main__":
    main(app)

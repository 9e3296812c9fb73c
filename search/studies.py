"""``python -m search.studies``: the studies in a database, each in one line."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from search.command import main, make_app
from search.errors import InputError
from search.flags import Storage, Studies, flag
from search.snapshot import duration, score

if TYPE_CHECKING:
    from rich.console import RenderableType

    from storage.overview import Overview

FOREIGN = "not made by search.run"


@dataclass(frozen=True)
class Listed:
    """A study in the list.

    Attributes:
        study: Its name.
        state: ``running`` where a worker gave a sign of life lately, ``done`` with all its trials, ``empty`` before the
            first has ended, ``unfinished`` between; ``not made by search.run`` of anyone else's.
        workers: How many work on it.
        finished: Its finished and pruned trials.
        wanted: How many of these it shall have; None where nobody said.
        failed: Its failed trials.
        metric: What its trials score; empty of anyone else's.
        best: The best finished trial's value; None before there is one.
        data: Where its images came from.
        seconds_since: Since it was last worked on; None if never.
    """

    study: str
    state: str
    workers: int = 0
    finished: int = 0
    wanted: int | None = None
    failed: int = 0
    metric: str = ""
    best: float | None = None
    data: str = ""
    seconds_since: float | None = None


def list_studies(*, storage: str | None = None, root: Path = Path("studies")) -> list[Listed]:
    """The studies of a database, the one last worked on first; looks only, and creates nothing.

    Args:
        storage: Database URL; by default the environment's ``SEARCH_STORAGE``, or SQLite under ``root``.
        root: The folder of all studies.

    Raises:
        InputError: There is no database, or nobody answers there.
    """
    from storage.overview import read_overview
    from storage.url import default_url, parse, shown, storage_url

    url = storage_url(storage, root)
    try:
        found = None if url == default_url(root) and not root.is_dir() else read_overview(url)
        if found is None:
            raise InputError(
                f"--storage {shown(parse(url))}: no studies there; begin one, such as python -m search.run "
                "--study digits_cnn, or say with --studies or --storage where they are"
            )
    except (ValueError, OSError) as error:
        raise InputError(str(error)) from None
    overviews, now = found
    listed = [_listed(one, now) for one in overviews]
    return sorted(listed, key=lambda one: float("inf") if one.seconds_since is None else one.seconds_since)


def _listed(one: "Overview", now: float) -> Listed:
    from search.study import CONFIG, DATASET, WANTED
    from storage.claims import gone
    from storage.times import Times

    counts = one.counts
    finished, failed = counts.get("COMPLETE", 0) + counts.get("PRUNED", 0), counts.get("FAIL", 0)
    since = None if one.active is None else max(0.0, now - one.active)
    config = _config(one.attributes.get(CONFIG))
    if config is None and DATASET not in one.attributes:
        return Listed(one.name, FOREIGN, 0, finished, None, failed, "", one.best, "", since)
    config = config or {}  # In the making.
    grace = float(config.get("grace", Times.grace))
    alive = {life["worker"] for life in one.lives if not gone(life, now, grace)}
    wanted = one.attributes.get(WANTED) or None
    state = "unfinished"
    if alive:
        state = "running"
    elif wanted is not None and finished >= wanted:
        state = "done"
    elif not finished + failed:
        state = "empty"
    metric, data = str(config.get("metric", "")), str(config.get("data", ""))
    return Listed(one.name, state, len(alive), finished, wanted, failed, metric, one.best, data, since)


def _config(text: Any) -> dict[str, Any] | None:
    """What a study was made with, unchecked: one of an older version is listed, too."""
    try:
        read = json.loads(text)
    except (TypeError, ValueError):
        return None
    return read if isinstance(read, dict) else None


def table(listed: list[Listed]) -> "RenderableType":
    """The list for a terminal."""
    from rich.table import Table
    from rich.text import Text

    rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for head in ("study", "state", "trials", "failed", "best", "data", "worked on"):
        # A name is what the next command is given: it is never cut.
        rows.add_column(head, overflow="fold" if head in ("study", "data") else "ellipsis")
    for one in listed:
        rows.add_row(*(Text(cell) for cell in cells(one)))
    return rows


def cells(one: Listed) -> tuple[str, ...]:
    """A study as text: name, state, trials, failed ones, best value, data, when it was last worked on."""
    state = f"running, {one.workers} worker{'' if one.workers == 1 else 's'}" if one.workers else one.state
    trials = str(one.finished) if one.wanted is None else f"{one.finished} of {one.wanted}"
    best = "-" if one.best is None else f"{score(one.best)} {one.metric}".strip()
    since = "-" if one.seconds_since is None else f"{ago(one.seconds_since)} ago"
    return one.study, state, trials, str(one.failed), best, Path(one.data).name or "-", since


def ago(seconds: float) -> str:
    """``45 s``, ``3 min 20 s``, ``5 h``, ``12 days``."""
    if seconds < 3600:
        return duration(round(seconds))
    hours = round(seconds / 3600)
    return f"{hours} h" if hours < 48 else f"{round(seconds / 86_400)} days"


def studies(
    storage: Storage = None,
    root: Studies = Path("studies"),
    as_json: Annotated[
        bool, flag("--json", help="One JSON object for scripts: studies, each with the columns' values.")
    ] = False,
) -> None:
    """List the studies in a database: their state, trials, best value, data, and when they were last worked on.

    A study is running while a worker gives signs of life, done with all its trials, else unfinished or empty.
    """
    listed = list_studies(storage=storage, root=root)
    if as_json:
        print(json.dumps({"studies": [asdict(one) for one in listed]}, indent=2))
        return
    from rich.console import Console

    Console().print(table(listed) if listed else "no studies yet")


app = make_app(
    studies,
    example="""
python -m search.studies
python -m search.studies --storage postgresql://me@db.example.org/search --json
""",
)

if __name__ == "__main__":
    main(app)

"""``python -m search.studies``: the studies in a database, each in one line."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from search.cli.app import main, make_app
from search.cli.options import Storage, Studies, flag
from search.config.host_settings import PlaceSettings
from search.formatting import ago, score

if TYPE_CHECKING:
    from rich.console import RenderableType

    from search.study.listing import Listed


def table(listed: list["Listed"]) -> "RenderableType":
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


def cells(one: "Listed") -> tuple[str, ...]:
    """A study as text: name, state, trials, failed ones, best value, data, when it was last worked on."""
    state = f"running, {one.workers} worker{'' if one.workers == 1 else 's'}" if one.workers else one.state
    # A later run may have asked for fewer than there are.
    trials = str(one.finished) + ("" if one.wanted is None else f" of {max(one.wanted, one.finished)}")
    best = "-" if one.best is None else f"{score(one.best)} {one.metric}".strip()
    since = "-" if one.seconds_since is None else f"{ago(one.seconds_since)} ago"
    return one.study, state, trials, str(one.failed), best, Path(one.data).name or "-", since


def studies(
    storage: Storage = None,
    root: Studies = Path("studies"),
    as_json: Annotated[
        bool, flag("--json", help="One JSON object for scripts: studies, each with the columns' values.")
    ] = False,
) -> None:
    """List the studies in a database: their state, trials, best value, data, and when they were last worked on.

    A study is running while a worker gives signs of life, done with all its trials, empty if nobody has worked on it,
    else unfinished: search.run goes on with it.
    """
    from search.study.listing import studies_at

    listed = studies_at(PlaceSettings(storage=storage, root=root))
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

"""``python -m search.studies``: the studies in a database, and how each stands."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from search.command import main, make_app
from search.errors import InputError
from search.flags import Storage, Studies, flag

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study._frozen import FrozenStudy

COLUMNS = ("study", "state", "trials", "failed", "best", "metric", "data")


@dataclass(frozen=True)
class Listed:
    """A study in a list.

    Attributes:
        study: Its name.
        state: ``running`` (a trial is, or its worker has died unnoticed), ``done``, ``unfinished``, ``new``, or
            ``not ours``: made by another program.
        finished: Trials that count: complete and pruned ones.
        wanted: How many it shall have; None where that is not known.
        failed: Trials that failed.
        running: Trials in training.
        best: The best value; None before there is one.
        metric: What its trials score; empty where it is not ours.
        data: Where its images came from; empty where it is not ours.
    """

    study: str
    state: str
    finished: int
    wanted: int | None
    failed: int
    running: int
    best: float | None
    metric: str
    data: str


def list_studies(*, storage: str | None = None, root: Path = Path("studies")) -> list[Listed]:
    """All studies of a database, by name; nothing is written, no trial given back.

    Args:
        storage: Database URL; by default the environment's ``SEARCH_STORAGE``, or SQLite under ``root``.
        root: The folder of all studies.

    Raises:
        InputError: There is no database, or it has gone away.
    """
    from storage.opening import database_exists, open_storage
    from storage.retrying import DatabaseGone
    from storage.url import default_url, parse, shown, storage_url

    try:
        url = storage_url(storage, root)
        none = url == default_url(root) and not root.is_dir()
        if none or not database_exists(url):
            raise InputError(
                f"no studies yet: {shown(parse(url))} is not there; begin one with python -m search.run, or say where "
                "they are (--storage, --studies)"
            )
        opened = open_storage(url)
        opened.retrying.hurry(0)  # A screen says at once what is wrong.
        return sorted(
            (_listed(opened, study) for study in opened.get_all_studies()), key=lambda one: one.study
        )
    except (ValueError, OSError) as error:
        raise InputError(str(error)) from None
    except DatabaseGone as gone:
        raise InputError(f"--storage: {gone}; try again") from None


def _listed(storage: "BaseStorage", study: "FrozenStudy") -> Listed:
    from optuna.trial import TrialState

    from search.config import StudyConfig
    from search.study import CONFIG, WANTED

    number = study._study_id
    counts = {state.name: storage.get_n_trials(number, state) for state in TrialState}
    finished = counts["COMPLETE"] + counts["PRUNED"]
    best = storage.get_best_trial(number).value if counts["COMPLETE"] and len(study.directions) == 1 else None
    facts: dict[str, Any] = {
        "study": study.study_name,
        "finished": finished,
        "failed": counts["FAIL"],
        "running": counts["RUNNING"],
        "best": best,
    }
    try:
        config = StudyConfig.from_json(study.user_attrs[CONFIG])
    except (KeyError, TypeError, ValueError, InputError):
        return Listed(**facts, state="not ours", wanted=None, metric="", data="")
    wanted = int(study.user_attrs.get(WANTED, 0)) or None
    state = "unfinished" if finished else "new"
    if wanted is not None and finished >= wanted:
        state = "done"
    if counts["RUNNING"]:
        state = "running"
    return Listed(**facts, state=state, wanted=wanted, metric=config.metric, data=config.data)


def studies(
    storage: Storage = None,
    root: Studies = Path("studies"),
    as_json: Annotated[bool, flag("--json", help="Print one JSON list, for scripts.")] = False,
) -> None:
    """List the studies in a database: state, trials finished of how many, failed ones, and the best value."""
    found = list_studies(storage=storage, root=root)
    if as_json:
        print(json.dumps([asdict(one) for one in found]))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from search.snapshot import score

    rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for head in COLUMNS:
        rows.add_column(
            head, justify="right" if head in ("trials", "failed", "best") else "left", overflow="fold"
        )
    for one in found:
        trials = f"{one.finished} of {one.wanted}" if one.wanted is not None else str(one.finished)
        cells = (one.study, one.state, trials, str(one.failed), score(one.best), one.metric, one.data)
        rows.add_row(*(Text(cell) for cell in cells))
    Console().print(rows)


app = make_app(
    studies,
    example="""
python -m search.studies
python -m search.studies --storage postgresql://me@db.example.org/search --json
""",
)

if __name__ == "__main__":
    main(app)

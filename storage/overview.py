"""All studies of a database at a glance, in a few statements for all of them: its trials are counted, not read."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL

from storage.claims import LIFE
from storage.opening import reading
from storage.url import is_sqlite, parse

STUDIES = "SELECT study_id, study_name FROM studies ORDER BY study_id"
DIRECTIONS = "SELECT study_id, direction FROM study_directions ORDER BY objective"
ATTRIBUTES = "SELECT study_id, key, value_json FROM study_user_attributes"
COUNTS = (
    "SELECT study_id, state, count(*), max(datetime_start), max(datetime_complete) FROM trials "
    "GROUP BY study_id, state"
)
BEST = (
    "SELECT study_id, min(value), max(value) FROM trials JOIN trial_values USING (trial_id) "
    "WHERE state = 'COMPLETE' AND objective = 0 GROUP BY study_id"
)
LIVES = (
    "SELECT study_id, value_json FROM trials JOIN trial_system_attributes USING (trial_id) "
    f"WHERE state = 'RUNNING' AND key = '{LIFE}'"
)


@dataclass
class Overview:
    """A study at a glance, whoever made it.

    Attributes:
        name: Optuna's name of it.
        attributes: Its user attributes.
        directions: Of each value that its trials have, ``MINIMIZE`` or ``MAXIMIZE``.
        counts: Its trials by state, such as ``COMPLETE``.
        best: The best value of a complete trial; None without one, or where a trial has several values.
        lives: The last sign of life of each running trial.
        active: When it was last worked on, seconds since the epoch; None if never.
    """

    name: str
    attributes: dict[str, Any] = field(default_factory=dict)
    directions: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    best: float | None = None
    lives: list[dict[str, Any]] = field(default_factory=list)
    active: float | None = None


def read_overview(url: str) -> tuple[list[Overview], float] | None:
    """The studies in the order in which they were made, and the time by the clock of all workers.

    Creates nothing; None where there is no database of ours.

    Raises:
        ValueError: In one line and without a password: the URL is no URL, or nobody answers there.
    """
    with reading(url) as connection:
        return None if connection is None else (_read(connection), _now(connection, parse(url)))


def _read(connection: Connection) -> list[Overview]:
    found = {key: Overview(name) for key, name in connection.execute(text(STUDIES))}

    def each(statement: str, take: Callable[[Overview, Sequence[Any]], None]) -> None:
        for row in connection.execute(text(statement)):
            if row[0] in found:  # Else it was made between two statements.
                take(found[row[0]], row)

    each(DIRECTIONS, lambda study, row: study.directions.append(str(row[1])))
    each(ATTRIBUTES, lambda study, row: study.attributes.update({row[1]: json.loads(row[2])}))
    each(COUNTS, _count)
    each(BEST, _best)
    each(LIVES, _live)
    return list(found.values())


def _count(study: Overview, row: Sequence[Any]) -> None:
    study.counts[str(row[1])] = int(row[2])
    for when in row[3:]:
        if when is not None:
            _seen(study, _seconds(when))


def _best(study: Overview, row: Sequence[Any]) -> None:
    if len(study.directions) == 1:
        study.best = row[1] if study.directions[0] == "MINIMIZE" else row[2]


def _live(study: Overview, row: Sequence[Any]) -> None:
    life = json.loads(row[1])
    study.lives.append(life)
    _seen(study, float(life["time"]))


def _seen(study: Overview, when: float) -> None:
    study.active = max(when, study.active or when)


def _seconds(when: datetime | str) -> float:
    """Optuna keeps its times in UTC, without saying so; SQLite has them as text."""
    read = datetime.fromisoformat(when) if isinstance(when, str) else when
    return read.replace(tzinfo=UTC).timestamp()


def _now(connection: Connection, url: URL) -> float:
    if is_sqlite(url):
        return time.time()
    return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())

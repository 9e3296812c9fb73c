"""Raw SQL that reads much at once: all studies of a database in short, and all trials of one study.

Optuna reads whole objects, one study after the other: a second for a thousand trials, most of it for learning curves
and distributions that nobody looks at. These readers take a few statements for all studies or trials together, and
count or leave out what is not asked for.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, String, bindparam, text

from storage.connect import existing_database
from storage.database import Database, database_time
from storage.liveness import HEARTBEAT
from storage.rdb import distribution_of, number_of

STUDIES = text("SELECT study_id, study_name FROM studies ORDER BY study_id")
DIRECTIONS = text("SELECT study_id, direction FROM study_directions ORDER BY objective")
STUDY_ATTRIBUTES = text("SELECT study_id, key, value_json FROM study_user_attributes")
COUNTS = text(
    "SELECT study_id, state, count(*), max(datetime_start), max(datetime_complete) FROM trials "
    "GROUP BY study_id, state"
)
BEST_VALUES = text(
    "SELECT study_id, min(value), max(value) FROM trials JOIN trial_values USING (trial_id) "
    "WHERE state = 'COMPLETE' AND objective = 0 GROUP BY study_id"
)
# Of configurations that were never trained, see ``storage.claims.is_refused``.
REFUSED = text(
    "SELECT study_id, count(DISTINCT trial_id) FROM trials JOIN trial_system_attributes USING (trial_id) "
    "WHERE state = 'PRUNED' AND key LIKE 'constraints:%' GROUP BY study_id"
)
RUNNING_HEARTBEATS = text(
    "SELECT study_id, value_json FROM trials JOIN trial_system_attributes USING (trial_id) "
    f"WHERE state = 'RUNNING' AND key = '{HEARTBEAT}'"
)

STUDY_ID = text("SELECT study_id FROM studies WHERE study_name = :name")
OWN_DIRECTIONS = text("SELECT direction FROM study_directions WHERE study_id = :study ORDER BY objective")
OWN_ATTRIBUTES = text("SELECT key, value_json FROM study_user_attributes WHERE study_id = :study")
OWN_COUNTS = text("SELECT state, count(*) FROM trials WHERE study_id = :study GROUP BY state")

TRIALS = text("SELECT trial_id, number, state FROM trials WHERE study_id = :study ORDER BY number")
OF_STUDY = "JOIN trials USING (trial_id) WHERE study_id = :study"
VALUES = text(f"SELECT trial_id, value, value_type FROM trial_values {OF_STUDY} AND objective = 0")
REPORTS = text(
    "SELECT trial_id, step, intermediate_value, intermediate_value_type "
    f"FROM trial_intermediate_values {OF_STUDY}"
)
PARAMS = text(
    f"SELECT trial_id, param_name, param_value, distribution_json FROM trial_params {OF_STUDY} ORDER BY param_id"
)
ATTRIBUTES = text(
    f"SELECT trial_id, key, value_json FROM trial_user_attributes {OF_STUDY} AND key IN :keys"
).bindparams(bindparam("keys", type_=String, expanding=True))
HEARTBEATS = text(
    f"SELECT trial_id, key, value_json FROM trial_system_attributes {OF_STUDY} "
    f"AND (key = '{HEARTBEAT}' OR key LIKE 'constraints:%')"
)
# What a worker does with Optuna's tables, and what is there without the right to it.
MISSING_RIGHTS = text(
    "WITH ours AS (SELECT oid, relname, relkind FROM pg_class WHERE relname ~ '^(stud|trial)' AND relnamespace = "
    "(SELECT relnamespace FROM pg_class WHERE oid = to_regclass('studies'))) "
    "SELECT wanted, relname FROM ours, unnest(CAST(:rights AS text[])) AS wanted "
    "WHERE relkind = 'r' AND NOT has_table_privilege(oid, wanted) UNION ALL "
    "SELECT 'USAGE', relname FROM ours "
    "WHERE CASE relkind WHEN 'S' THEN NOT has_sequence_privilege(oid, 'USAGE') ELSE false END "
    "ORDER BY 1, 2"
)


@dataclass
class StudySummary:
    """A study in short, whoever made it.

    Attributes:
        name: Its name.
        attributes: Its user attributes.
        directions: ``MINIMIZE`` or ``MAXIMIZE``, for each value that its trials have.
        counts: How many trials it has in each state, such as ``COMPLETE``.
        refused: How many of the pruned ones were never trained, where the study is one of ours.
        best: The best value of a complete trial; None without one, or if its trials have several values.
        heartbeats: The last sign of life of each running trial.
        last_active: When a trial last began, ended or gave a sign of life, in seconds since the epoch; None if never.
    """

    name: str
    attributes: dict[str, Any] = field(default_factory=dict)
    directions: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    best: float | None = None
    heartbeats: list[dict[str, Any]] = field(default_factory=list)
    last_active: float | None = None

    def add_attribute(self, key: str, value: str) -> None:
        """Add a user attribute, given as JSON."""
        self.attributes[key] = json.loads(value)

    def add_count(self, state: str, count: int, *times: datetime | str | None) -> None:
        """Add the number of trials in one state, and when the last of them began and ended."""
        self.counts[str(state)] = int(count)
        for time in times:
            if time is not None:
                self._was_active(_seconds(time))

    def add_refused(self, count: int) -> None:
        """Add the number of pruned trials that have constraints."""
        self.refused = int(count)

    def add_best(self, least: float, greatest: float) -> None:
        """Add the extreme values of the complete trials; the directions are known already."""
        if len(self.directions) == 1:
            self.best = least if self.directions[0] == "MINIMIZE" else greatest

    def add_heartbeat(self, value: str) -> None:
        """Add a running trial's sign of life, given as JSON."""
        life = json.loads(value)
        self.heartbeats.append(life)
        self._was_active(float(life["time"]))

    def _was_active(self, time: float) -> None:
        self.last_active = max(time, self.last_active or time)


def read_study_summaries(url: str) -> tuple[list[StudySummary], float] | None:
    """Read all studies of a database in short; nothing is created.

    Args:
        url: The database's URL.

    Returns:
        The studies in the order in which they were made, and the time by the clock that all workers share, in seconds
        since the epoch. None if there is no database with Optuna's tables.

    Raises:
        ValueError: The URL is not one of a database, or nobody answers there; in one line without a password.
    """
    with existing_database(url) as connection:
        return None if connection is None else (_summaries(connection), database_time(connection))


def read_study_summary(url: str, study: str) -> StudySummary | None:
    """Read what one study is: its attributes, its directions, and how many trials it has; nothing is created.

    Unlike Optuna's, this reader leaves a database as it is that is not one of ours: no table, no write-ahead log.

    Args:
        url: The database's URL.
        study: The study's name.

    Returns:
        The study; None if there is no database with Optuna's tables, or no study of this name in it.

    Raises:
        ValueError: As ``read_study_summaries``.
    """
    with existing_database(url) as connection:
        if connection is None:
            return None
        found = {"study": connection.execute(STUDY_ID, {"name": study}).scalar()}
        if found["study"] is None:
            return None
        summary = StudySummary(study)
        summary.directions += [direction for (direction,) in connection.execute(OWN_DIRECTIONS, found)]
        for key, value in connection.execute(OWN_ATTRIBUTES, found):
            summary.add_attribute(key, value)
        for state, count in connection.execute(OWN_COUNTS, found):
            summary.add_count(state, count)
        return summary


def _summaries(connection: Connection) -> list[StudySummary]:
    summaries = {key: StudySummary(name) for key, name in connection.execute(STUDIES)}

    def for_each(statement: Any, add: Callable[..., None]) -> None:
        for study_id, *values in connection.execute(statement):
            if study_id in summaries:  # Another process may have made one since the first statement.
                add(summaries[study_id], *values)

    for_each(DIRECTIONS, lambda summary, direction: summary.directions.append(str(direction)))
    for_each(STUDY_ATTRIBUTES, StudySummary.add_attribute)
    for_each(COUNTS, StudySummary.add_count)
    for_each(REFUSED, StudySummary.add_refused)
    for_each(BEST_VALUES, StudySummary.add_best)
    for_each(RUNNING_HEARTBEATS, StudySummary.add_heartbeat)
    return list(summaries.values())


def missing_rights(database: Database, *rights: str) -> dict[str, list[str]]:
    """What the role that this process is in a Postgres database may not do with the tables.

    Args:
        database: The study's database.
        rights: Those that are needed, such as ``INSERT``; with them goes the use of the sequences.

    Returns:
        For each missing right, such as ``INSERT``, the tables or sequences; empty with SQLite, which has no roles.
    """
    found: dict[str, list[str]] = defaultdict(list)
    if not database.is_sqlite:
        with database.connect() as connection:
            for right, table in connection.execute(MISSING_RIGHTS, {"rights": list(rights)}):
                found[right].append(table)
    return dict(found)


def _seconds(time: datetime | str) -> float:
    """Seconds since the epoch of one of Optuna's times, which are in UTC without saying so; text in SQLite."""
    parsed = datetime.fromisoformat(time) if isinstance(time, str) else time
    return parsed.replace(tzinfo=UTC).timestamp()


def read_trials(database: Database, study_id: int, attributes: Sequence[str]) -> list[FrozenTrial]:
    """Read all trials of a study: states, params, values, reports, signs of life, constraints, some attributes.

    Args:
        database: The study's database, which is asked once.
        study_id: Optuna's key of the study.
        attributes: The names of the user attributes to read.

    Returns:
        The trials by number. They have neither times nor distributions.
    """
    with database.connect() as connection:
        return list(_trials(connection, study_id, attributes))


def _trials(connection: Connection, study_id: int, keys: Sequence[str]) -> Iterator[FrozenTrial]:
    study = {"study": study_id}
    trials = connection.execute(TRIALS, study).all()
    values = {trial_id: number_of(value, kind) for trial_id, value, kind in connection.execute(VALUES, study)}
    reports: dict[int, dict[int, float]] = defaultdict(dict)
    for trial_id, step, value, kind in connection.execute(REPORTS, study):
        reports[trial_id][step] = number_of(value, kind)
    params: dict[int, dict[str, Any]] = defaultdict(dict)
    for trial_id, name, value, distribution in connection.execute(PARAMS, study):
        params[trial_id][name] = distribution_of(distribution).to_external_repr(value)
    attributes: dict[int, dict[str, Any]] = defaultdict(dict)
    for trial_id, key, value in connection.execute(ATTRIBUTES, {**study, "keys": list(keys)}):
        attributes[trial_id][key] = json.loads(value)
    lives: dict[int, dict[str, Any]] = defaultdict(dict)
    for trial_id, key, value in connection.execute(HEARTBEATS, study):
        lives[trial_id][key] = json.loads(value)
    for trial_id, number, state in trials:
        trial = FrozenTrial(
            number=number,
            state=TrialState[state],
            value=values.get(trial_id),
            datetime_start=None,
            datetime_complete=None,
            params={},
            distributions={},
            user_attrs=attributes[trial_id],
            system_attrs=lives[trial_id],
            intermediate_values=reports[trial_id],
            trial_id=trial_id,
        )
        trial.params = params[trial_id]  # Afterwards: Optuna refuses params without their distributions.
        yield trial

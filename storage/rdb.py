"""Optuna's storage in a database, with what a worker does most of all in plain SQL: reading trials, and small writes.

Optuna builds an object of its mapper for every row, and asks for each table, after a trial's own, in a statement of its
own: seven statements for all trials, six for one. With 64 workers every reading has 64 running trials to build anew,
and every worker reads about ten times a trial. Here it is two statements, and rows become trials at once: a third of
the time. Likewise for the writes that are made most often: of a report, of an attribute, of a parameter.

With Postgres most of a call's time is the way to the server and back. So what is only read there is read without a
transaction, whose beginning and end are two ways more; and these writes look themselves whether they may be made.

What is read and written is the same (``tests/storage/test_rdb.py`` compares them); all other writing is Optuna's.
"""

import json
import math
import os
import weakref
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    check_distribution_compatibility,
    distribution_to_json,
    json_to_distribution,
)
from optuna.storages import RDBStorage
from optuna.storages._rdb.models import TrialIntermediateValueModel
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, DateTime, Engine, TextClause, text

# An array in Postgres and a list in JSON in SQLite, so that the statement's text is always the same.
AMONG = {
    "postgresql": "trial_id = ANY(:ids)",
    "sqlite": "trial_id IN (SELECT value FROM json_each(:ids))",
}
TRIAL = "trials.trial_id, number, CAST(state AS VARCHAR) AS state, datetime_start, datetime_complete"
OF_STUDY = (
    f"SELECT {TRIAL} FROM studies LEFT JOIN trials ON trials.study_id = studies.study_id "
    "AND (trials.trial_id > :last OR trials.{among}) WHERE studies.study_id = :study ORDER BY trials.trial_id"
)
ONE = f"SELECT {TRIAL} FROM trials WHERE {{among}}"
# Of each trial, and what else there is: a row each, as kind, trial, place, name, number, text.
DETAILS = """
SELECT 'param' AS kind, trial_id, param_id AS place, param_name AS name, param_value AS number,
    distribution_json AS body FROM trial_params WHERE {among}
UNION ALL SELECT 'value', trial_id, objective, CAST(value_type AS VARCHAR), value, CAST(NULL AS TEXT)
    FROM trial_values WHERE {among}
UNION ALL SELECT 'report', trial_id, step, CAST(intermediate_value_type AS VARCHAR), intermediate_value,
    CAST(NULL AS TEXT) FROM trial_intermediate_values WHERE {among}
UNION ALL SELECT 'user', trial_id, 0, key, CAST(NULL AS DOUBLE PRECISION), value_json
    FROM trial_user_attributes WHERE {among}
UNION ALL SELECT 'system', trial_id, 0, key, CAST(NULL AS DOUBLE PRECISION), value_json
    FROM trial_system_attributes WHERE {among}
"""
# Databases keep neither NaN nor infinity among numbers; Optuna names them in a second column.
NOT_FINITE = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}

# Options of a connection whose statements are each for themselves: in Postgres, without a transaction around them.
UNGROUPED: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"}

STATE = text("SELECT CAST(state AS VARCHAR) FROM trials WHERE trial_id = :trial")
# Only a trial that has not ended is written to.
IF_UPDATABLE = "FROM trials WHERE trial_id = :trial AND CAST(state AS VARCHAR) IN ('RUNNING', 'WAITING')"
SET_REPORT = text(
    "INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type) "
    f"SELECT trial_id, :step, :value, :type {IF_UPDATABLE} ON CONFLICT (trial_id, step) DO UPDATE SET "
    "intermediate_value = excluded.intermediate_value, intermediate_value_type = excluded.intermediate_value_type"
)
SET_ATTRIBUTE = (
    f"INSERT INTO {{table}} (trial_id, key, value_json) SELECT trial_id, :key, :value {IF_UPDATABLE} "
    "ON CONFLICT (trial_id, key) DO UPDATE SET value_json = excluded.value_json"
)
# A second write of a parameter is passed over, as by Optuna.
SET_PARAM = text(
    "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) "
    f"SELECT trial_id, :name, :value, :distribution {IF_UPDATABLE} ON CONFLICT (trial_id, param_name) DO NOTHING"
)


class LeanStorage(RDBStorage):
    """Optuna's storage whose trials are read in two statements, and whose small writes need no mapper.

    Its connections are closed with the last of its users, not only when somebody collects garbage: what is left to that
    comes and goes at any moment, SQLite's two files beside the database included.
    """

    def __init__(self, url: str, engine_kwargs: dict[str, Any]) -> None:
        try:
            super().__init__(url, engine_kwargs)
        except BaseException:
            if hasattr(self, "engine"):  # The database is another's, or away by now.
                self.engine.dispose()
            raise
        weakref.finalize(self, _close, self.engine, os.getpid())

    def _set_trial_intermediate_value_without_commit(
        self, session: Any, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        stored, kind = TrialIntermediateValueModel.intermediate_value_to_stored_repr(intermediate_value)
        self._write(session, SET_REPORT, trial_id, step=step, value=stored, type=kind.name)

    def _set_trial_attr_without_commit(
        self, session: Any, model_cls: Any, trial_id: int, key: str, value: Any
    ) -> None:
        statement = _set_attribute(model_cls.__tablename__)
        self._write(session, statement, trial_id, key=key, value=json.dumps(value))

    def _set_trial_param_without_commit(
        self,
        session: Any,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
        previous_distribution: BaseDistribution | None = None,
    ) -> None:
        if previous_distribution is None:  # Optuna looks for one in the study.
            super()._set_trial_param_without_commit(
                session, trial_id, param_name, param_value_internal, distribution
            )
            return
        check_distribution_compatibility(previous_distribution, distribution)
        stored = {"name": param_name, "value": param_value_internal}
        self._write(session, SET_PARAM, trial_id, **stored, distribution=distribution_to_json(distribution))

    def _write(self, session: Any, statement: TextClause, trial_id: int, **values: Any) -> None:
        connection = session.connection()
        if not connection.execute(statement, {"trial": trial_id, **values}).rowcount:
            state = connection.execute(STATE, {"trial": trial_id}).scalar()
            if state is None:
                raise KeyError("Record does not exist.")
            self.check_trial_is_updatable(trial_id, TrialState[state])

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """See Optuna's.

        Raises:
            KeyError: There is no such trial.
        """
        found = self._read(_statement(ONE, self.engine.name), {"ids": self._listed([trial_id])})
        if not found:
            raise KeyError("Record does not exist.")
        return found[0]

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        """Those of a study that Optuna's cache asks for: unfinished before, or newer than the newest finished one.

        Raises:
            KeyError: There is no such study.
        """
        values = {"study": study_id, "last": trial_id_greater_than, "ids": self._listed(included_trial_ids)}
        found = self._read(_statement(OF_STUDY, self.engine.name), values)
        if found is None:
            raise KeyError("Record does not exist.")
        return found if states is None else [trial for trial in found if trial.state in states]

    def _listed(self, ids: Iterable[int]) -> Any:
        return list(ids) if self.engine.name == "postgresql" else json.dumps(list(ids))

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """A connection to read by: that of this thread's transaction, where it is in one, whose writes it sees."""
        if self.engine.name == "postgresql" and not self.scoped_session().in_transaction():
            with self.engine.connect().execution_options(**UNGROUPED) as connection:
                yield connection
            return
        with _create_scoped_session(self.scoped_session) as session:
            yield session.connection()

    def _read(self, statement: TextClause, values: dict[str, Any]) -> list[FrozenTrial] | None:
        """Trials by key; None where the statement has no row at all."""
        with self._reading() as connection:
            rows = connection.execute(statement, values).all()
            # A study without trials has one row of nothing.
            trials = [row for row in rows if row.trial_id is not None]
            ids = self._listed(row.trial_id for row in trials)
            details = connection.execute(_details(self.engine.name), {"ids": ids}).all() if trials else []
        by_kind: dict[tuple[str, int], list[Any]] = defaultdict(list)
        for row in details:
            by_kind[row.kind, row.trial_id].append(row)
        return [_trial(row, by_kind) for row in trials] if rows else None


def _close(engine: Engine, pid: int) -> None:
    if os.getpid() == pid:  # Else they are still its parent's.
        engine.dispose()


@cache
def _statement(wanted: str, dialect: str) -> TextClause:
    typed = text(wanted.format(among=AMONG[dialect]))
    return typed.columns(datetime_start=DateTime, datetime_complete=DateTime)  # type: ignore[return-value]


@cache
def _set_attribute(table: str) -> TextClause:
    return text(SET_ATTRIBUTE.format(table=table))


@cache
def _details(dialect: str) -> TextClause:
    return text(DETAILS.format(among=AMONG[dialect]))


@cache
def distribution_of(text: str) -> BaseDistribution:
    """A distribution of its text, which many trials share."""
    return json_to_distribution(text)


def _trial(row: Any, details: dict[tuple[str, int], list[Any]]) -> FrozenTrial:
    def of(kind: str) -> list[Any]:
        return details.get((kind, row.trial_id), [])

    params = sorted(of("param"), key=lambda param: int(param.place))
    values = sorted(of("value"), key=lambda value: int(value.place))
    distributions = {param.name: distribution_of(param.body) for param in params}
    return FrozenTrial(
        number=row.number,
        state=TrialState[row.state],
        value=None,
        values=[number_of(value.number, value.name) for value in values] or None,
        datetime_start=_local(row.datetime_start),
        datetime_complete=_local(row.datetime_complete),
        params={param.name: distributions[param.name].to_external_repr(param.number) for param in params},
        distributions=distributions,
        user_attrs={attribute.name: json.loads(attribute.body) for attribute in of("user")},
        system_attrs={attribute.name: json.loads(attribute.body) for attribute in of("system")},
        intermediate_values={report.place: number_of(report.number, report.name) for report in of("report")},
        trial_id=row.trial_id,
    )


def number_of(value: float | None, kind: str) -> float:
    """A value or report: its number, or what its kind says where that is none."""
    return NOT_FINITE[kind] if kind in NOT_FINITE or value is None else float(value)


def _local(stored: datetime | None) -> datetime | None:
    """A time as Optuna gives it, local and without a zone, of one as Optuna stores it, in UTC and without a zone."""
    return None if stored is None else stored.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)

"""Trials are read as Optuna itself reads them, on every kind of database."""

import math
from datetime import datetime, timedelta
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import text

from storage.connect import open_storage
from storage.rdb import LeanStorage

DISTRIBUTIONS = {
    "rate": FloatDistribution(1e-4, 1.0, log=True),
    "width": IntDistribution(8, 64, step=8),
    "kind": CategoricalDistribution(("plain", None, 3, True)),
}
FLOAT = FloatDistribution(0, 1)


def some_trials() -> list[FrozenTrial]:
    """Of every state, with all that a trial can have, and with nothing."""
    now = datetime.now().replace(microsecond=123)
    full: dict[str, Any] = {
        "params": {"rate": 0.01, "width": 16, "kind": None},
        "distributions": DISTRIBUTIONS,
        "user_attrs": {"history": {"loss": [0.5, 0.25]}, "reason": "ümlaut ' \" %"},
        "system_attrs": {"life": {"token": "a", "time": 1.5}, "fixed_params": {"kind": True}},
        "intermediate_values": {3: 0.5, 1: math.inf, 2: -math.inf, 4: math.nan},
    }
    return [
        create_trial(state=TrialState.COMPLETE, value=0.75, **full),
        create_trial(state=TrialState.COMPLETE, value=math.inf),
        create_trial(state=TrialState.PRUNED, value=-math.inf, **full),
        create_trial(state=TrialState.FAIL),
        create_trial(state=TrialState.RUNNING, **{**full, "params": {}, "distributions": {}}),
        create_trial(state=TrialState.WAITING, system_attrs={"fixed_params": {"width": 24}}),
        FrozenTrial(0, TrialState.COMPLETE, 1.0, now, now + timedelta(hours=1), {}, {}, {}, {}, {}, 0),
    ]  # fmt: skip


@pytest.fixture
def storage(url: str) -> LeanStorage:
    """With a study of every kind of trial, and another study before and after it in the same tables."""
    database = open_storage(url)
    studies = [optuna.create_study(study_name=name, storage=database) for name in ("a", "s", "z")]
    for trial in some_trials():
        for study in studies:
            study.add_trial(trial)
    found = database.unretried._backend  # type: ignore[attr-defined]
    assert isinstance(found, LeanStorage)
    return found


def described(trials: list[FrozenTrial]) -> list[str]:
    """Types included, and NaN, which is no equal of itself; in an order that does not matter in a mapping."""
    names = [name for name in vars(trials[0]) if name != "_intermediate_values"] if trials else []
    return [
        repr([vars(trial)[name] if not isinstance(vars(trial)[name], dict) else sorted(vars(trial)[name].items())
              for name in names] + [sorted(trial.intermediate_values.items())])
        for trial in trials
    ]  # fmt: skip


def test_all_trials_are_what_optuna_reads(storage: LeanStorage) -> None:
    study = storage.get_study_id_from_name("s")
    for asked in (
        (None, set(), -1),
        (None, {5, 14}, 14),
        ((TrialState.RUNNING,), set(), -1),
        (None, set(), 1000),
    ):
        ours = storage._get_trials(study, *asked)
        assert described(ours) == described(RDBStorage._get_trials(storage, study, *asked)), asked
    assert len(storage.get_all_trials(study)) == len(some_trials())


def test_one_trial_is_what_optuna_reads(storage: LeanStorage) -> None:
    for trial in storage.get_all_trials(storage.get_study_id_from_name("s")):
        (ours,), (theirs,) = (
            described([read(trial._trial_id)]) for read in (storage.get_trial, super(LeanStorage, storage).get_trial)
        )  # fmt: skip
        assert ours == theirs


def test_order_of_parameters_is_that_in_which_they_were_sampled(storage: LeanStorage) -> None:
    (first, *_) = storage.get_all_trials(storage.get_study_id_from_name("s"))
    assert list(first.params) == list(DISTRIBUTIONS)


def test_study_without_trials_has_none_and_no_study_is_an_error(storage: LeanStorage) -> None:
    empty = storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], "empty")
    assert storage.get_all_trials(empty) == []
    for ask in (storage.get_all_trials, storage.get_trial):
        with pytest.raises(KeyError):
            ask(10**6)


def test_many_trials_are_read_at_once(storage: LeanStorage) -> None:
    # More than SQLite (before 3.32) takes as parameters of one statement.
    listed = set(range(100_000))
    study = storage.get_study_id_from_name("s")
    assert len(storage._get_trials(study, None, listed, 10**6)) == len(some_trials())


def rows(storage: LeanStorage, trial_id: int) -> list[list[tuple[Any, ...]]]:
    """What lies in the database of a trial's parameters, reports and attributes."""
    tables = (
        ("trial_params", "param_name, param_value, distribution_json"),
        ("trial_intermediate_values", "step, intermediate_value, intermediate_value_type"),
        ("trial_user_attributes", "key, value_json"),
        ("trial_system_attributes", "key, value_json"),
    )
    ask = "SELECT {columns} FROM {table} WHERE trial_id = {trial} ORDER BY 1"
    with storage.engine.connect() as connection:
        found = [
            connection.execute(text(ask.format(columns=columns, table=table, trial=trial_id)))
            for table, columns in tables
        ]
        return [[tuple(row) for row in one] for one in found]


def write(storage: RDBStorage, trial_id: int) -> None:
    """Parameters, reports and attributes of every kind, some of each written twice."""
    for name, value in (("rate", 0.5), ("width", 24.0), ("kind", 3.0), ("width", 16.0)):
        storage._set_trial_param(trial_id, name, value, DISTRIBUTIONS[name], DISTRIBUTIONS[name])
    for step, value in (
        (1, 0.5),
        (2, math.inf),
        (3, -math.inf),
        (4, math.nan),
        (5, 7),
        (1, 0.25),
        (2, 0.125),
    ):
        storage.set_trial_intermediate_value(trial_id, step, value)
    for set_attribute in (storage.set_trial_user_attr, storage.set_trial_system_attr):
        for value in (None, True, 1.5, "ä'", [1, {"a": "b"}]):
            set_attribute(trial_id, f"new {value}", value)
            set_attribute(trial_id, "same", value)


def test_parameters_reports_and_attributes_are_written_as_optuna_writes_them(
    storage: LeanStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = storage.get_study_id_from_name("s")
    ours, theirs = storage.create_new_trial(study), storage.create_new_trial(study)
    write(storage, ours)
    for what in ("intermediate_value", "attr", "param"):
        name = f"_set_trial_{what}_without_commit"
        monkeypatch.setattr(LeanStorage, name, getattr(RDBStorage, name))
    write(storage, theirs)
    assert rows(storage, ours) == rows(storage, theirs)
    assert [len(found) for found in rows(storage, ours)] == [3, 5, 6, 6]


def test_trial_that_is_finished_or_not_there_is_not_written_to(storage: LeanStorage) -> None:
    finished = storage.get_all_trials(storage.get_study_id_from_name("s"))[0]._trial_id
    before = rows(storage, finished)
    for trial, error in ((finished, optuna.exceptions.UpdateFinishedTrialError), (10**6, KeyError)):
        with pytest.raises(error):
            storage.set_trial_intermediate_value(trial, 9, 0.5)
        with pytest.raises(error):
            storage._set_trial_param(trial, "new", 0.5, FLOAT, FLOAT)
        for set_attribute in (storage.set_trial_user_attr, storage.set_trial_system_attr):
            with pytest.raises(error):
                set_attribute(trial, "key", 1)
    assert rows(storage, finished) == before


def test_parameter_of_another_distribution_than_the_studys_is_refused(storage: LeanStorage) -> None:
    trial = storage.create_new_trial(storage.get_study_id_from_name("s"))
    with pytest.raises(ValueError, match="different distribution kind"):
        storage._set_trial_param(trial, "rate", 0.0, DISTRIBUTIONS["kind"], DISTRIBUTIONS["rate"])
    assert rows(storage, trial)[0] == []

"""Trials are read as Optuna itself reads them, on every kind of database."""

import math
from datetime import datetime, timedelta
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from storage.connect import open_storage
from storage.rdb import LeanStorage

DISTRIBUTIONS = {
    "rate": FloatDistribution(1e-4, 1.0, log=True),
    "width": IntDistribution(8, 64, step=8),
    "kind": CategoricalDistribution(("plain", None, 3, True)),
}


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

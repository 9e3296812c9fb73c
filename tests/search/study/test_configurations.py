"""Configurations listed, told apart, and counted as tried."""

from types import ModuleType
from typing import Any

import few_space
import optuna
import pytest
import small_space
from optuna.distributions import IntDistribution
from optuna.trial import FrozenTrial, TrialState

from search.study.configurations import (
    MOST_LISTED,
    all_configurations,
    count_left,
    is_exhausted,
    key_of,
    tried,
)
from spaces.contract import InputSpec

SPEC = InputSpec(8, 8, 1, 10)


def space_of(sample: Any) -> Any:
    space = ModuleType("space_of_a_test")
    space.sample = sample
    return space


def trial_with(state: TrialState, system_attrs: dict[str, Any] | None = None, **params: int) -> FrozenTrial:
    return optuna.trial.create_trial(
        state=state,
        value=0.5 if state == TrialState.COMPLETE else None,
        params=params,
        distributions={name: IntDistribution(0, 9) for name in params},
        system_attrs=system_attrs,
    )


def test_every_configuration_is_listed_once_and_a_parameter_only_where_it_is_asked_for() -> None:
    listed = all_configurations(few_space, SPEC)
    assert len({key_of(values) for values in listed}) == len(listed) == 12
    assert {tuple(values) for values in listed if values["kind"] == "dense"} == {("kind", "width")}
    assert {values["dropout"] for values in listed if values["kind"] == "wide"} == {0.0, 0.1, 0.2}


def test_listed_configurations_are_what_a_sampler_gives() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(100):
        trial = study.ask()
        few_space.sample(trial, SPEC)
        assert trial.params in all_configurations(few_space, SPEC)


@pytest.mark.parametrize(
    "sample",
    [
        lambda trial, spec: {"rate": trial.suggest_float("rate", 0, 1)},
        lambda trial, spec: {"width": trial.suggest_int("width", 0, MOST_LISTED)},
        lambda trial, spec: {"rate": trial.suggest_float("rate", 0, 1, step=1e-9)},
    ],
)
def test_space_of_too_many_configurations_is_not_listed(sample: Any) -> None:
    assert not all_configurations(space_of(sample), SPEC)
    assert not all_configurations(small_space, SPEC)


def test_configuration_that_a_space_fails_for_is_listed_too() -> None:
    def sample(trial: Any, spec: InputSpec) -> dict[str, Any]:
        width = trial.suggest_int("width", 1, 3)
        if width == 2:
            raise ValueError("not two")
        return {"width": width, "depth": trial.suggest_int("depth", 1, 2)}

    listed = all_configurations(space_of(sample), SPEC)
    assert listed == [
        {"width": 1, "depth": 1},
        {"width": 1, "depth": 2},
        {"width": 2},
        {"width": 3, "depth": 1},
        {"width": 3, "depth": 2},
    ]


def test_space_without_parameters_has_one_configuration() -> None:
    assert all_configurations(space_of(lambda trial, spec: {"width": 8}), SPEC) == [{}]


def test_last_digits_of_a_number_make_no_other_configuration() -> None:
    assert key_of({"dropout": 0.1 * 3, "width": 8}) == key_of({"width": 8, "dropout": 0.3})
    assert key_of({"dropout": 0.3001}) != key_of({"dropout": 0.3})


def test_failed_configuration_is_tried_once_more() -> None:
    fails = trial_with(TrialState.FAIL, a=1)
    assert tried([fails]) == set()
    assert tried([fails, fails]) == tried([trial_with(TrialState.PRUNED, a=1)]) == {key_of({"a": 1})}


LISTED = [{"a": 0}, {"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("trial", "left"),
    [
        (trial_with(TrialState.COMPLETE, a=1), 2),
        (trial_with(TrialState.WAITING, {"fixed_params": {"a": 1}}), 2),
        (trial_with(TrialState.RUNNING, {"drawn": {"a": 1}}), 2),
        (trial_with(TrialState.RUNNING), 2),
        (trial_with(TrialState.FAIL, a=1), 3),
        (trial_with(TrialState.FAIL), 3),
        (trial_with(TrialState.COMPLETE, a=7), 3),
    ],
    ids=["complete", "queued", "drawn", "not-drawn-yet", "failed", "failed-unsampled", "of-older-ranges"],
)
def test_configurations_that_are_left_are_counted(trial: FrozenTrial, left: int) -> None:
    assert count_left(LISTED, [trial]) == left


def test_space_is_exhausted_once_all_its_trials_have_ended() -> None:
    complete = [trial_with(TrialState.COMPLETE, a=place) for place in range(2)]
    assert not is_exhausted(LISTED, complete)
    assert not is_exhausted(LISTED, [*complete, trial_with(TrialState.RUNNING, a=2)])
    assert is_exhausted(LISTED, [*complete, trial_with(TrialState.PRUNED, a=2)])
    assert not is_exhausted([], complete)

"""Samplers by our names: each trial's own, and none of its configurations tried twice."""

import dataclasses
from typing import Any

import few_space
import optuna
import pytest
import small_space
from optuna.trial import TrialState

import spaces
from search.config.study_config import StudyConfig
from search.config.study_settings import SAMPLERS
from search.execution.prior import PriorSampler
from search.execution.samplers import DistinctSampler, make_sampler
from search.study.configurations import all_configurations, key_of
from spaces.contract import InputSpec

CONFIG = StudyConfig(
    study="s",
    data="d",
    fingerprint="f",
    classes=("cat", "dog"),
    height=8,
    width=8,
    channels=1,
    epochs=12,
    seed=5,
    space="small_space",
)
FEW = dataclasses.replace(CONFIG, space="few_space")


def proposed(config: StudyConfig, number: int) -> dict[str, Any]:
    """What is sampled for trial ``number`` when nothing else is known."""
    study = optuna.create_study(sampler=make_sampler(config, number))
    return small_space.sample(study.ask(), config.input_spec)


def search(config: StudyConfig, trials: int, space: Any = few_space) -> optuna.Study:
    """A study whose trials are sampled one after another, each by its own sampler."""
    study = optuna.create_study()
    study.enqueue_trial(space.first(config.input_spec)[0])
    for number in range(trials):
        study.sampler = make_sampler(config, number)
        trial = study.ask()
        space.sample(trial, config.input_spec)
        study.tell(trial, float(trial.params["width"]))
    return study


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("prior", PriorSampler),
        ("tpe", optuna.samplers.TPESampler),
        ("random", optuna.samplers.RandomSampler),
    ],
)
def test_samplers_are_known_by_our_names(name: str, kind: type) -> None:
    assert type(make_sampler(dataclasses.replace(CONFIG, sampler=name), 0).chooser) is kind
    assert name in SAMPLERS


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_proposal_is_the_same_for_the_same_number_only(sampler: str) -> None:
    config = dataclasses.replace(CONFIG, sampler=sampler)
    assert proposed(config, 4) == proposed(config, 4)
    assert len({proposed(config, number)["rate"] for number in range(20)}) == 20
    assert proposed(dataclasses.replace(config, seed=6), 4) != proposed(config, 4)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_small_space_is_tried_whole_without_a_repeat(sampler: str) -> None:
    study = search(dataclasses.replace(FEW, sampler=sampler), 12)
    listed = {key_of(values) for values in all_configurations(few_space, FEW.input_spec)}
    assert {key_of(trial.params) for trial in study.trials} == listed


def test_sampler_of_a_space_that_is_tried_whole_gives_what_it_must() -> None:
    assert len(search(FEW, 13).trials) == 13


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_search_samples_the_same_again(sampler: str) -> None:
    config = dataclasses.replace(CONFIG, sampler=sampler)
    first, second = (search(config, 16, small_space) for _ in range(2))
    assert [trial.params for trial in first.trials] == [trial.params for trial in second.trials]


def test_values_that_a_trial_has_already_are_kept() -> None:
    study = optuna.create_study(sampler=make_sampler(FEW, 0))
    study.enqueue_trial({"kind": "wide"})
    trial = study.ask()
    trial.suggest_int("width", 8, 16, step=4)
    again = optuna.trial.Trial(study, trial._trial_id)  # As another worker goes on with it.
    params = few_space.sample(again, FEW.input_spec)
    assert params["kind"] == "wide"
    assert params["width"] == trial.params["width"]


def test_space_that_fails_fails_where_the_trial_asks_it_with_its_values_stored() -> None:
    def sample(trial: Any, spec: InputSpec) -> dict[str, Any]:
        trial.suggest_float("rate", 0.0, 1.0)
        raise ValueError("no such layer")

    space = type(few_space)("space_of_a_test")
    space.sample = sample  # type: ignore[attr-defined]
    chooser = optuna.samplers.RandomSampler(seed=0)
    sampler = DistinctSampler(chooser, space, FEW.input_spec, 0, lambda draw: draw())  # type: ignore[arg-type]
    study = optuna.create_study(sampler=sampler)
    trial = study.ask()
    with pytest.raises(ValueError, match="no such layer"):
        sample(trial, FEW.input_spec)
    assert list(trial.params) == ["rate"]


def test_configurations_of_a_listed_space_are_drawn_alone() -> None:
    calls = []

    def alone(draw: Any) -> Any:
        calls.append("few")
        return draw()

    study = optuna.create_study(sampler=make_sampler(FEW, 0, alone))
    params = few_space.sample(study.ask(), FEW.input_spec)
    assert calls == ["few"]
    (trial,) = study.get_trials(states=(TrialState.RUNNING,))
    assert {**params, **trial.system_attrs["drawn"]} == params, "the others see what it will have"
    endless = optuna.create_study(sampler=make_sampler(CONFIG, 0, alone))
    small_space.sample(endless.ask(), CONFIG.input_spec)
    assert calls == ["few"]


@pytest.mark.parametrize(("name", "kind"), [("prior", PriorSampler), ("tpe", optuna.samplers.TPESampler)])
def test_users_model_is_sampled_as_it_asks_and_never_drawn_beforehand(name: str, kind: type) -> None:
    config = dataclasses.replace(CONFIG, sampler=name, space="user_models:build_model")
    assert type(make_sampler(config, 0)) is kind
    assert not all_configurations(spaces.load(config.space), config.input_spec)

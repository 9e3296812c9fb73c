"""Pruners by our names, seeds, and configurations to try first."""

import dataclasses
from typing import Any

import optuna
import pytest
import small_space

from search.config.study_config import StudyConfig
from search.config.study_settings import PRUNERS
from search.errors import InputError
from search.execution.pruning import make_pruner
from search.study.first_trials import check_trial, enqueue, first_trials
from search.study.seeds import trial_seed

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
)
SPEC = CONFIG.input_spec
GOOD = {"width": 8, "rate": 0.1, "dropout": 0.0}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("halving", optuna.pruners.SuccessiveHalvingPruner), ("hyperband", optuna.pruners.HyperbandPruner),
        ("median", optuna.pruners.MedianPruner), ("none", optuna.pruners.NopPruner),
    ],
)  # fmt: skip
def test_pruners_are_optunas(name: str, kind: type) -> None:
    assert type(make_pruner(dataclasses.replace(CONFIG, pruner=name))) is kind


def test_every_name_that_a_user_may_say_is_made() -> None:
    for pruner in PRUNERS:
        for epochs in (1, 2, 50):
            config = dataclasses.replace(CONFIG, pruner=pruner, epochs=epochs)
            assert isinstance(make_pruner(config), optuna.pruners.BasePruner)


def test_seeds_of_trials_and_studies_differ() -> None:
    studies = [dataclasses.replace(CONFIG, seed=seed) for seed in (0, 1, 2**31 - 1)]
    seeds = {trial_seed(config, number) for config in studies for number in range(1000)}
    assert len(seeds) == 3000
    assert all(0 <= seed < 2**31 for seed in seeds)


def halving_of(curves: list[list[float]], config: StudyConfig = CONFIG) -> list[int]:
    """Epochs that each of ``curves``, told one after another, was let run under a study's pruner."""
    study = optuna.create_study(study_name="s", direction="maximize", pruner=make_pruner(config))
    ran = []
    for curve in curves:
        trial = study.ask()
        for epoch, value in enumerate(curve, start=1):
            trial.report(value, epoch)
            if trial.should_prune():
                break
        ran.append(epoch)
        study.tell(trial, value)
    return ran


def test_halving_asks_first_after_a_quarter_of_the_epochs() -> None:
    good, bad = [0.9] * 12, [0.1] * 12
    assert halving_of([good, bad, bad]) == [12, 3, 3]


def test_halving_lets_the_better_one_run() -> None:
    rising = [[level + epoch / 100 for epoch in range(12)] for level in (0.1, 0.3, 0.5, 0.7)]
    assert halving_of(rising) == [12] * 4


@pytest.mark.parametrize(
    ("pruner", "folds", "ran"),
    [
        ("halving", 5, [5, 3, 3, 3, 3, 3, 3, 3]),
        ("halving", 2, [2, 1, 1, 1, 1, 1, 1, 1]),
        ("median", 5, [5, 5, 5, 5, 5, 3, 3, 3]),
        ("hyperband", 5, [5, 3, 3, 3, 3, 3, 3, 3]),
        ("none", 5, [5] * 8),
    ],
)
def test_pruners_count_folds_where_there_are_some(pruner: str, folds: int, ran: list[int]) -> None:
    config = dataclasses.replace(CONFIG, pruner=pruner, folds=folds, epochs=100)
    worse_and_worse = [[0.9 - trial / 10] * folds for trial in range(8)]
    assert halving_of(worse_and_worse, config) == ran


def test_configuration_to_try_is_checked_and_handed_back() -> None:
    assert check_trial(small_space, GOOD, CONFIG.input_spec, "--try f.toml") == GOOD


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"width": 1000}, "width = 1000 is outside"),
        ({"rate": 10**330}, "rate = 1000"),
        ({"width": "wide"}, "width = 'wide' is no number"),
        ({"rate": -1.0}, "rate = -1.0 is outside"),
        ({"depth": 3}, "depth is not sampled by this space; expected dropout, rate, width"),
    ],
)
def test_wrong_configuration_to_try_is_refused(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=f"^--try f.toml: {named}"):
        check_trial(small_space, {**GOOD, **change}, CONFIG.input_spec, "--try f.toml")


def test_incomplete_configuration_to_try_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"^--try f\.toml: dropout is missing; expected a number from 0\.0 to 0\.5$"
    ):
        check_trial(small_space, {"width": 8, "rate": 0.1}, CONFIG.input_spec, "--try f.toml")


def test_own_configurations_that_cost_too_much_are_left_out_but_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    widths = (8, 32, 4)
    monkeypatch.setattr(small_space, "first", lambda spec: [{**GOOD, "width": width} for width in widths])
    costs = {width: small_space.cost({**GOOD, "width": width, "fault": ""}, SPEC).flops for width in widths}

    def tried(most: int) -> list[int]:
        config = dataclasses.replace(CONFIG, max_cost=most)
        return [values["width"] for values in first_trials(small_space, config, ())]

    assert tried(costs[32]) == [8, 32, 4]
    assert tried(costs[8]) == [8, 4]
    assert tried(1) == [8]


def test_configuration_is_queued_once() -> None:
    study = optuna.create_study()
    for _ in range(2):
        enqueue(study, [GOOD])
    assert [trial.system_attrs["fixed_params"] for trial in study.trials] == [GOOD]

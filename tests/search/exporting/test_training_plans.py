"""The plans of an export's trainings."""

import dataclasses
from pathlib import Path

import optuna
import pytest

from search.errors import StudyStopped
from search.exporting.training_plans import race_plan, refit_epochs, refit_plan


def trial_kept_at(epoch: int, params: dict[str, object]) -> optuna.trial.FrozenTrial:
    attributes = {"kept_epoch": epoch, "params": params, "flops": 1000}
    return optuna.trial.create_trial(value=0.5, user_attrs=attributes)


def test_refit_of_a_training_that_stopped_early_is_as_long_as_it_was_worth(
    make_worker, tmp_path: Path
) -> None:
    study = make_worker(epochs=9, early_stopping=2).study
    trial = trial_kept_at(4, {"width": 4, "rate": 0.1, "dropout": 0.0, "fault": "", "once": ""})
    plan = refit_plan(study, trial, None, tmp_path / "model.keras", None)
    assert (plan.epochs, plan.early_stopping, plan.full) == (4, 0, True)
    assert refit_epochs(study.config, trial, 7) == 7


def test_final_training_that_has_grown_has_more_steps(make_worker, tmp_path: Path) -> None:
    compute = {"length": 10**9, "final": 4 * 10**9, "final_epochs": 5.0, "training_images": 200}
    study = make_worker(epochs=8, **compute).study
    trial = trial_kept_at(8, {"width": 4, "rate": 0.1, "dropout": 0.0, "fault": "", "once": ""})
    planned = refit_plan(study, trial, None, tmp_path / "model.keras", None).steps
    study.plan_final(8e9)
    assert refit_plan(study, trial, None, tmp_path / "model.keras", None).steps == 2 * planned > 0


def test_race_as_long_as_the_final_training_has_more_steps_of_the_same_batches(make_worker) -> None:
    compute = {"length": 10**9, "final": 4 * 10**9, "final_epochs": 5.0, "training_images": 200}
    study = make_worker(epochs=8, **compute).study
    trial = trial_kept_at(8, {"width": 4, "rate": 0.1, "dropout": 0.0, "fault": "", "once": ""})
    short, long = (race_plan(study, trial, 1, Path("c"), None, None, times) for times in (1.0, 2.5))
    assert long.steps == pytest.approx(2.5 * short.steps, abs=1)
    assert (long.recipe, long.epochs, long.seed) == (short.recipe, short.epochs, 1)
    assert long.identity != short.identity


def test_refit_without_early_stopping_is_as_long_as_a_trial(make_worker) -> None:
    study = make_worker(epochs=9).study
    config = dataclasses.replace(study.config, early_stopping=0)
    assert refit_epochs(config, trial_kept_at(4, {}), None) == 9


def test_recipe_that_is_none_any_more_is_told_with_what_helps(make_worker, tmp_path: Path) -> None:
    """As of a study that an older version made, which took any rate."""
    study = make_worker(epochs=9).study
    trial = trial_kept_at(4, {"width": 4, "rate": -0.1, "dropout": 0.0, "fault": "", "once": ""})
    with pytest.raises(StudyStopped, match=r"trial -?\d+: .*learning_rate -0.1: .*: --no-refit$"):
        refit_plan(study, trial, None, tmp_path / "model.keras", None)

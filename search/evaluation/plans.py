"""The trainings of an export: each the trial's own, but for what its docstring says."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from search.opening import load_space
from search.sampling import seed_number
from search.trial import ACCUMULATE, plan_training, recipe_of

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.study import LoadedStudy
    from search.training.plan import TrainingPlan

# A third of what a head is usually trained with: what the backbone has learnt is to be adapted, not replaced.
RATE = 3e-4


def plan_of(loaded: "LoadedStudy", trial: "FrozenTrial", gpu_memory: float | None = None) -> "TrainingPlan":
    """The trial's own training, in batches of the size that fitted, with neither checkpoint nor kept file."""
    params = trial.user_attrs["params"]
    recipe = recipe_of(load_space(loaded.config.space), params, loaded.config)
    return dataclasses.replace(
        plan_training(loaded, seed_number(trial), params, recipe),
        accumulate=2 if trial.user_attrs.get(ACCUMULATE) else 1,
        gpu_memory=gpu_memory,
    )


def refit_plan(
    loaded: "LoadedStudy", trial: "FrozenTrial", epochs: int, model: Path, gpu_memory: float | None
) -> "TrainingPlan":
    """The trial's own training, but on all training images and without an early end."""
    return dataclasses.replace(
        plan_of(loaded, trial, gpu_memory),
        epochs=epochs,
        early_stopping=0,
        checkpoint=str(loaded.paths.refit_checkpoint(trial.number, epochs)),
        model=str(model),
        full=True,
    )


def plan_anew(
    loaded: "LoadedStudy",
    trial: "FrozenTrial",
    seed: int,
    checkpoint: Path,
    weights: Path | None,
    gpu_memory: float | None,
) -> "TrainingPlan":
    """The trial's own training, with another seed."""
    return dataclasses.replace(
        plan_of(loaded, trial, gpu_memory),
        seed=seed,
        checkpoint=str(checkpoint),
        checkpoint_seconds=0.0,  # Every epoch: there is nobody but the next export to go on with it.
        model=str(weights) if weights else None,
    )


def tuning_plan(
    loaded: "LoadedStudy",
    trial: "FrozenTrial",
    epochs: int,
    head: Path,
    model: Path,
    refit: bool,
    gpu_memory: float | None,
) -> "TrainingPlan":
    """The trial's own training, on pixels and at a lower rate."""
    plan = plan_of(loaded, trial, gpu_memory)
    return dataclasses.replace(
        plan,
        recipe=dataclasses.replace(plan.recipe, learning_rate=RATE, most_steps=0, least_steps=0),
        epochs=epochs,
        early_stopping=0 if refit else epochs,
        checkpoint=str(loaded.paths.tuning_checkpoint(trial.number, epochs, refit)),
        model=str(model),
        full=refit,
        tune=str(head),
        accumulate=1,  # The heads' batches are of another size.
    )

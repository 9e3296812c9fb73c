"""The plans of an export's trainings: each is the search trial's own plan, with what its docstring says changed."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from search.errors import SpaceFailed, StudyStopped
from search.execution.planning import ACCUMULATE, PLANNED_EPOCHS, plan_training
from search.study.length import set_length
from search.study.proposal import recipe_of
from search.study.request import load_space
from search.study.seeds import seed_number
from spaces.recipe import Recipe

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.config.study_config import StudyConfig
    from search.study.study import LoadedStudy
    from search.training.plan import TrainingPlan


# A third of the rate that heads are usually trained with: what the backbone has learnt is to be adapted, not replaced.
FINE_TUNING_RATE = 3e-4
# Of a net whose head was fitted exactly; other heads say it.
FINE_TUNING_DECAY = 0.05


def trial_plan(
    loaded: "LoadedStudy", trial: "FrozenTrial", gpu_memory: float | None = None
) -> "TrainingPlan":
    """The trial's own training, in batches of the size that fitted; it writes neither checkpoint nor weights."""
    params, recipe = trial.user_attrs["params"], _recipe(loaded, trial)
    return dataclasses.replace(
        plan_training(loaded, seed_number(trial), params, recipe, trial.user_attrs["flops"]),
        accumulate=2 if trial.user_attrs.get(ACCUMULATE) else 1,
        gpu_memory=gpu_memory,
    )


def _recipe(loaded: "LoadedStudy", trial: "FrozenTrial") -> Recipe:
    """The recipe of a trial.

    Raises:
        StudyStopped: The space fails, or says what is no recipe any more, as of a study that an older version made.
    """
    config = loaded.config
    try:
        return recipe_of(load_space(config.space), trial.user_attrs["params"], config.input_spec)
    except SpaceFailed as failed:
        instead = "" if config.folds else "; export the weights that scored in the search: --no-refit"
        raise StudyStopped(f"space {config.space}, trial {trial.number}: {failed}{instead}") from None


def refit_epochs(config: "StudyConfig", trial: "FrozenTrial", requested: int | None) -> int:
    """The length of a refit: as requested; else as many epochs as the weights that scored had been trained for.

    What is fitted exactly has one epoch, whatever is requested.

    With early stopping these are those up to the kept epoch, since nobody can tell on images that are trained on when
    to stop; its schedule is made for so many. Over folds it is their mean. The usual rule: I. Goodfellow, Y. Bengio and
    A. Courville, "Deep Learning", 2016, algorithm 7.2.
    """
    if planned := trial.user_attrs.get(PLANNED_EPOCHS):
        return int(planned)
    if requested is not None:
        return requested
    return int(trial.user_attrs.get("kept_epoch", config.epochs)) if config.early_stopping else config.epochs


def refit_checkpoint(loaded: "LoadedStudy", trial: "FrozenTrial", requested: int | None) -> Path:
    """Where a refit leaves its checkpoints until it has ended; see ``refit_epochs``."""
    return loaded.paths.refit_checkpoint(trial.number, refit_epochs(loaded.config, trial, requested))


def refit_plan(
    loaded: "LoadedStudy", trial: "FrozenTrial", requested: int | None, model: Path, gpu_memory: float | None
) -> "TrainingPlan":
    """The trial's training on all training images, to its end. What is fitted exactly is so fold by fold, and averaged.

    It is as many epochs long as requested, else see ``refit_epochs``; in a search at equal compute those are parts of
    the final training that it was for, which may have grown (``search.study.final_length``).
    """
    config, plan = loaded.config, trial_plan(loaded, trial, gpu_memory)
    epochs = refit_epochs(config, trial, requested)
    if plan.recipe.is_exact:
        plan = dataclasses.replace(plan, folds=config.folds if config.fold_of else 0, fold_of=config.fold_of)
    elif config.length:
        plan = dataclasses.replace(plan, recipe=_recipe(loaded, trial), steps=0)
        if requested is None:
            compute = loaded.final * epochs / config.epochs
            images = sum(loaded.dataset().train_counts)
            # It has few parts, and each may take long: it leaves a checkpoint after every one.
            plan = dataclasses.replace(plan, checkpoint_seconds=0.0)
            plan = set_length(plan, compute, trial.user_attrs["flops"], images)
    return dataclasses.replace(
        plan,
        epochs=epochs,
        early_stopping=0,
        checkpoint=str(refit_checkpoint(loaded, trial, requested)),
        model=str(model),
        full=True,
    )


def race_plan(
    loaded: "LoadedStudy",
    trial: "FrozenTrial",
    seed: int,
    checkpoint: Path,
    weights: Path | None,
    gpu_memory: float | None,
    times: float = 1.0,
) -> "TrainingPlan":
    """The trial's training with another seed, in a search at equal compute so many times as long."""
    config, plan = loaded.config, trial_plan(loaded, trial, gpu_memory)
    if plan.steps and times != 1:
        plan = set_length(plan, times * config.length, trial.user_attrs["flops"], config.training_images)
    return dataclasses.replace(
        plan,
        seed=seed,
        checkpoint=str(checkpoint),
        checkpoint_seconds=0.0,  # Every epoch: there is nobody but the next export to go on with it.
        model=str(weights) if weights else None,
    )


def fine_tuning_plan(
    loaded: "LoadedStudy",
    trial: "FrozenTrial",
    epochs: int,
    head: Path,
    model: Path,
    refit: bool,
    gpu_memory: float | None,
) -> "TrainingPlan":
    """The trial's training gone on with from its kept head: on pixels, and at a lower rate."""
    plan = trial_plan(loaded, trial, gpu_memory)
    recipe = dataclasses.replace(plan.recipe, learning_rate=FINE_TUNING_RATE, most_steps=0, least_steps=0)
    if recipe.is_exact:  # A whole net is tuned by steps.
        recipe = dataclasses.replace(recipe, optimizer="adam", weight_decay=FINE_TUNING_DECAY)
    return dataclasses.replace(
        plan,
        recipe=recipe,
        epochs=epochs,
        steps=0,
        early_stopping=0 if refit else epochs,
        checkpoint=str(loaded.paths.tuning_checkpoint(trial.number, epochs, refit)),
        model=str(model),
        full=refit,
        tune=str(head),
        accumulate=1,  # The heads' batches are of another size.
    )

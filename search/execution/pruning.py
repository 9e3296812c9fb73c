"""Which trials end early: Optuna's pruners by our names, and when they are asked.

A pruner is asked after each epoch but the last, whose training is paid for already; in a cross-validated trial after
each fold but the last, where folds take the place of epochs.
"""

import math
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from search.config.study_config import StudyConfig
from search.training.plan import TrainingPlan

# The first rung lies after a fourth of a trial's length; of the trials that reach a rung a third goes on.
FIRST_RUNG = 4
# With folds, after half of them: one fold of a small data set has too few images to judge a trial by.
FIRST_FOLDS = 2
REDUCTION = 3


def make_pruner(config: StudyConfig) -> optuna.pruners.BasePruner:
    """The pruner of a study.

    The default, ``halving``, is one bracket of asynchronous successive halving (ASHA: Li et al., MLSys 2020). Its idea:
    a short training tells much of a long one, so most of the compute goes to the configurations that were best early.
    Its rule: with a length of R epochs there are rungs after r, 3r, 9r, ... epochs, where r = max(1, R // 4); with R
    folds in the place of epochs r is half of R. A trial that comes to a rung as one of n goes on if its value is among
    the best max(1, n // 3) of the values that trials had at this rung; else it is pruned. It waits for nobody, so the
    first to come always goes on.

    An example with 12 epochs, so rungs after 3 and 9. At the first rung trials come one after another with accuracies

        0.52, 0.61, 0.48, 0.57, 0.60, 0.63

    The first goes on (it is the best of one), the second too (best of two); the third, fourth and fifth are pruned, for
    of three to five only the best goes on, and that is 0.61; the sixth goes on as the best of six, of which two may.

    One bracket, not Hyperband's several: those keep a history of their own for TPE, and starve it at fifty trials
    (measured).
    """
    length = config.folds or config.epochs
    first = math.ceil(length / FIRST_FOLDS) if config.folds else max(1, length // FIRST_RUNG)
    if config.pruner == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=REDUCTION)
    if config.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=first, max_resource=length)
    if config.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=first)
    return optuna.pruners.NopPruner()


class Sparing(optuna.pruners.BasePruner):
    """Asks another pruner, which keeps the trial's values to judge others by, and lets the trial go on all the same."""

    def __init__(self, pruner: optuna.pruners.BasePruner) -> None:
        self._pruner = pruner

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether the trial is to end: never."""
        self._pruner.prune(study, trial)
        return False


def diverged(message: Mapping[str, Any], plan: TrainingPlan) -> str:
    """Why a trial is pruned whose loss is no number any more; empty where it is one.

    Args:
        message: What the child sent after an epoch.
        plan: Of its training.
    """
    if math.isfinite(message["loss"]) and math.isfinite(message["val_loss"]):
        return ""
    where = f"{plan.unit} {message['epoch']}" + (f" of fold {plan.fold + 1}" if plan.folds else "")
    return f"diverged: the loss became NaN or infinite in {where}"


def pruned_after_epoch(trial: optuna.Trial, epoch: int, plan: TrainingPlan) -> str:
    """Why a trial is pruned whose value after ``epoch`` has been reported; empty where it goes on."""
    asked = epoch < plan.epochs and not plan.folds
    if not asked or not trial.should_prune():
        return ""
    return (
        f"pruned after {100 * epoch / plan.epochs:g} % of its compute"
        if plan.steps
        else f"pruned after epoch {epoch}"
    )


def pruned_after_fold(trial: optuna.Trial, fold: int, folds: int) -> str:
    """Why a trial is pruned whose mean over ``fold`` folds has been reported; empty where it goes on."""
    return f"pruned after fold {fold} of {folds}" if fold < folds and trial.should_prune() else ""

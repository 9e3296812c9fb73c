"""Cross-validation: a trial is trained once a fold, and its value is the mean over the folds.

The mean so far is reported and judged after each fold, never within one.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from search.errors import TrialInterrupted, TrialPruned
from search.execution.pruning import pruned_after_fold
from search.execution.stop_requests import Stop
from search.study.fold_results import FOLDS, PREDICTIONS, TrainingOutcome, mean_value, value_of
from search.training.plan import TrainingPlan

if TYPE_CHECKING:
    import optuna


KEPT = (
    "history", "epochs", "kept_epoch", "training_images", "validation_images", "images_seen", "images_validated",
    "matrix",
)  # fmt: skip


def train_folds(
    trial: "optuna.Trial",
    plan: TrainingPlan,
    stop: Stop,
    train: Callable[[TrainingPlan, Sequence[TrainingOutcome]], TrainingOutcome],
    delete_checkpoints: Callable[[], None],
) -> Sequence[TrainingOutcome]:
    """Train the folds of a trial that are not finished yet, one after another.

    Args:
        trial: Among its attributes are the folds that are finished, by earlier owners of the trial too.
        plan: The training of the first fold.
        stop: Asked before each fold whether to stop.
        train: Trains as planned; is also given the outcomes of the folds before.
        delete_checkpoints: Called when a fold is finished, for nobody goes on from its checkpoint any more.

    Returns:
        The outcome of each fold, with its ``value``.

    Raises:
        TrialPruned: The mean so far is hopeless, or a fold diverged.
        TrialInterrupted: The worker was asked to stop.
    """
    finished = list(trial.user_attrs.get(FOLDS, ()))
    while True:
        if finished:
            _judge(trial, finished, plan.folds)
        if len(finished) == plan.folds:
            return finished
        if stop.requested:
            raise TrialInterrupted("stopped", clean=True)
        which = len(finished)
        # No model: an export is a refit, and so trains a net of its own.
        run = train(dataclasses.replace(plan, fold=which, seed=plan.seed + which, model=None), finished)
        kept = {name: run[name] for name in (*KEPT, PREDICTIONS) if name in run}
        finished.append({"value": value_of(run, plan.value_name), **kept})
        # After all else that is written of this fold: without it the fold is trained again, with it never.
        trial.set_user_attr(FOLDS, finished)
        delete_checkpoints()


def _judge(trial: "optuna.Trial", finished: Sequence[TrainingOutcome], folds: int) -> None:
    """Report the mean so far and ask the pruner, unless that was done before an interruption."""
    step = len(finished)
    if step in trial.storage.get_trial(trial._trial_id).intermediate_values:
        return
    trial.report(mean_value(finished), step)
    if why := pruned_after_fold(trial, step, folds):
        raise TrialPruned(why)

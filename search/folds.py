"""A trial in folds: one training a fold, its value their mean, reported and judged after each and never in between."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from statistics import fmean
from typing import TYPE_CHECKING, Any

from search.errors import TrialInterrupted, TrialPruned
from search.stopping import Stop
from search.training.plan import TrainingPlan

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

FOLDS = "folds"
# What a child said at the end of its training, see ``search.training.job.Training.outcome``.
Run = Mapping[str, Any]
KEPT = ("history", "epochs", "kept_epoch", "training_images", "validation_images", "matrix")


def train_folds(
    trial: "optuna.Trial",
    plan: TrainingPlan,
    stop: Stop,
    train: Callable[[TrainingPlan, Sequence[Run]], Run],
    forget_checkpoints: Callable[[], None],
) -> Sequence[Run]:
    """Train fold after fold, beginning with the first that is not finished; all of them, each with its ``value``.

    Args:
        trial: Has the finished folds, of earlier owners too, among its attributes.
        plan: Of the first fold.
        stop: Looked at before each fold.
        train: Trains as planned; is also given the runs of the folds before.
        forget_checkpoints: Called when a fold is finished: nobody goes on from what it left.

    Raises:
        TrialPruned: The mean so far is hopeless, or a fold diverged.
        TrialInterrupted: It was asked to stop.
    """
    finished = list(trial.user_attrs.get(FOLDS, ()))
    while True:
        if finished:
            _judge(trial, finished, plan.folds)
        if len(finished) == plan.folds:
            return finished
        if stop.requested:
            raise TrialInterrupted("stopped")
        which = len(finished)
        # No model: an export is a refit, and so trains a net of its own.
        run = train(dataclasses.replace(plan, fold=which, seed=plan.seed + which, model=None), finished)
        finished.append({"value": value_of(run, plan.value_name), **{name: run[name] for name in KEPT}})
        # After all else that is written of this fold: without it the fold is trained again, with it never.
        trial.set_user_attr(FOLDS, finished)
        forget_checkpoints()


def _judge(trial: "optuna.Trial", finished: Sequence[Run], folds: int) -> None:
    """Report the mean so far and ask the pruner, unless that was done before an interruption."""
    step = len(finished)
    if step in trial.storage.get_trial(trial._trial_id).intermediate_values:
        return
    trial.report(mean_value(finished), step)
    if step < folds and trial.should_prune():
        raise TrialPruned(f"pruned after fold {step} of {folds}")


def value_of(run: Run, name: str) -> float:
    """``name`` of a run's history, at the epoch whose weights were kept."""
    return float(run["history"][name][run["kept_epoch"] - 1])


def mean_value(finished: Sequence[Run]) -> float:
    """The mean of the values of finished folds, to six places as all that people read."""
    return round(fmean(run["value"] for run in finished), 6)


def images_seen(runs: Sequence[Run]) -> int:
    """Images that were trained on in all epochs of all runs."""
    return sum(run["training_images"] * run["epochs"] for run in runs)


def mean_history(runs: Sequence[Run]) -> dict[str, list[float]]:
    """The mean curve of each name; where folds ended early, of those that ran so long."""
    return {
        name: [
            fmean(value for value in epoch if value is not None)
            for epoch in zip_longest(*(run["history"][name] for run in runs))
        ]
        for name in runs[0]["history"]
    }


def matrix_of(runs: Sequence[Run]) -> list[list[int]]:
    """The confusion matrix of all runs' validation images together; empty where one has none."""
    matrices = [run.get("matrix") for run in runs]
    if not all(matrices):
        return []
    return [[sum(cell) for cell in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)]


def runs_of(trial: "FrozenTrial") -> Sequence[Run]:
    """The trainings that a trial's figures come from: its finished folds, or its only one."""
    return trial.user_attrs.get(FOLDS) or [trial.user_attrs]


def at_kept_epoch(trial: "FrozenTrial", name: str) -> float:
    """``name`` of a trial's history at the epoch whose weights were kept; of one in folds the mean over them."""
    return fmean(value_of(run, name) for run in runs_of(trial))

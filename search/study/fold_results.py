"""What the trainings of a trial came to, be it one training or one a fold."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from math import inf
from statistics import fmean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


FOLDS = "folds"
# Of a finished fold: the token of the claim under which its predictions were written.
PREDICTIONS = "predictions"
# Of a trial: its validation cross-entropy; in folds that at the temperature at which it is least.
TIE_BREAK = "least_loss"
# Of a trial: the seconds of its workers, by what they went to; see ``search.execution.time_spent``.
SPENT = "spent"
# What of these is of no trial: waiting for one, and a backbone's features, computed once for all.
OF_NO_TRIAL = ("waiting", "features")


# What a child reported at the end of its training, see ``search.training.training.Training.outcome``.
TrainingOutcome = Mapping[str, Any]


def value_of(run: TrainingOutcome, name: str) -> float:
    """The figure ``name`` of a training, at the epoch whose weights were kept."""
    return float(run["history"][name][run["kept_epoch"] - 1])


def runs_of(trial: "FrozenTrial") -> Sequence[TrainingOutcome]:
    """The trainings that a trial's figures come from: its finished folds, or its only training."""
    return trial.user_attrs.get(FOLDS) or [trial.user_attrs]


def at_kept_epoch(trial: "FrozenTrial", name: str) -> float:
    """The figure ``name`` of a trial, at the epoch whose weights were kept; the mean over its folds if it has any."""
    runs = runs_of(trial)
    return mean_over(runs, [value_of(run, name) for run in runs])


def mean_over(runs: Sequence[TrainingOutcome], values: Sequence[float]) -> float:
    """The mean of a figure of each fold, by the number of images that each was validated on.

    So the mean accuracy is the part of all these images that is right, and trials that have equally many right have the
    same.
    """
    return fmean(values, [run.get("validation_images", 1) for run in runs])


def tie_break(recorded: Mapping[str, Any]) -> float:
    """What ranks a trial among those of the same value: its cross-entropy, less where it is surer of the truth.

    It is that at the best temperature where predictions are kept, for a temperature is fitted for every export, so that
    being sure too often is no fault. It is infinite for a trial of which nothing is known.

    Args:
        recorded: The trial's attributes.
    """
    known = recorded.get(TIE_BREAK)
    if known is not None:
        return float(known)
    runs = recorded.get(FOLDS) or [recorded]
    try:
        return mean_over(runs, [value_of(run, "val_loss") for run in runs])
    except (KeyError, IndexError, TypeError):  # A trial that others have made may hold anything.
        return inf


def seconds_spent(recorded: Mapping[str, Any]) -> float:
    """The seconds that a trial took its workers, all told; 0 where they are not known.

    Args:
        recorded: The trial's attributes.
    """
    spent: Mapping[str, float] = recorded.get(SPENT, {})
    return sum(seconds for part, seconds in spent.items() if part not in OF_NO_TRIAL)


def mean_value(finished: Sequence[TrainingOutcome]) -> float:
    """The mean of the values of finished folds (``mean_over``), rounded to six places."""
    return round(mean_over(finished, [run["value"] for run in finished]), 6)


def images_seen(runs: Sequence[TrainingOutcome]) -> int:
    """How many images were trained on in all epochs of all trainings together."""
    # Folds from before it was reported all counted epochs.
    return sum(run.get("images_seen", run["training_images"] * run["epochs"]) for run in runs)


def least_milliseconds(runs: Sequence[TrainingOutcome]) -> dict[str, float]:
    """The entry ``milliseconds``: the least that an image took in validation; none where nobody has measured."""
    known = [float(run["milliseconds"]) for run in runs if run.get("milliseconds")]
    return {"milliseconds": min(known)} if known else {}


def mean_history(runs: Sequence[TrainingOutcome]) -> dict[str, list[float]]:
    """The mean learning curve of each figure; where trainings ended early, the mean over those that ran on."""
    return {
        name: [
            fmean(value for value in epoch if value is not None)
            for epoch in zip_longest(*(run["history"][name] for run in runs))
        ]
        for name in runs[0]["history"]
    }


def matrix_of(runs: Sequence[TrainingOutcome]) -> list[list[int]]:
    """The confusion matrix of the validation images of all trainings together; empty where one of them has none."""
    matrices = [run.get("matrix") for run in runs]
    if not all(matrices):
        return []
    return [[sum(cell) for cell in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)]

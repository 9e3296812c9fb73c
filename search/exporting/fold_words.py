"""What an export says of the folds that its trial was searched in, in figures and in sentences."""

from statistics import stdev
from typing import TYPE_CHECKING, Any

from search.exporting.assessment import validated_images
from search.exporting.preference import gap_words
from search.formatting import figure, metric_words
from search.study.fold_results import FOLDS, mean_value

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


def fold_sentence(trial: "FrozenTrial", folds: int, metric: str) -> str:
    """The values of a trial's folds, for the refit that is exported of it."""
    values = fold_values(trial)
    if not values:
        return f"Folds: trial {trial.number} finished none of its {folds}."
    spread = f"; standard deviation {gap_words(metric, stdev(values))}" if len(values) > 1 else ""
    mean = figure(metric, mean_value(trial.user_attrs[FOLDS]))
    each = ", ".join(figure(metric, value) for value in values)
    return (
        f"Folds: trial {trial.number} has a validation {metric_words(metric)} of {mean}, the mean of "
        f"{finished_folds(trial, folds)} ({each}{spread}); the exported net was trained on all of these "
        "images, so that it has no such value of its own."
    )


def mean_of_folds_sentence(heads: int) -> str:
    """What an exported mean of linear heads is."""
    return (
        f"The exported head comes of all training images: it is the mean of {heads} linear heads, each fitted on all "
        "images but those of one fold. A mean of linear heads is a linear head, which answers with the mean of their "
        "outputs."
    )


def fold_figures(trial: "FrozenTrial", folds: int, calibrated: bool = False) -> dict[str, Any]:
    """The values of a trial's finished folds, their mean and (sample) standard deviation.

    Args:
        trial: The trial.
        folds: The number of its study's folds.
        calibrated: Whether their predictions have given a temperature, or that there is no need of one.
    """
    values = fold_values(trial)
    return {
        "folds": folds,
        "fold_values": values,
        "fold_mean": mean_value(trial.user_attrs[FOLDS]) if values else None,
        "fold_standard_deviation": stdev(values) if len(values) > 1 else None,
        "validation_images": validated_images(trial),
        "validation_note": (
            f"validation figures are means over {finished_folds(trial, folds)} of the search trial, each by a net that "
            "was trained without it; the exported weights were retrained on all training images, so that none is left "
            + ("to validate them on" if calibrated else "to validate or calibrate them on")
        ),
    }


def fold_values(trial: "FrozenTrial") -> list[float]:
    """The value of each finished fold."""
    return [float(run["value"]) for run in trial.user_attrs.get(FOLDS, ())]


def finished_folds(trial: "FrozenTrial", folds: int) -> str:
    """``3 folds``, or ``1 of 3 folds`` of a trial that was pruned."""
    finished = len(fold_values(trial))
    return f"{folds} folds" if finished == folds else f"{finished} of {folds} folds"

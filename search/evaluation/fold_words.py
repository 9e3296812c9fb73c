"""What the folds of a search trial came to, for the summary of the refit that is exported of it."""

from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from search.folds import FOLDS

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


def validated_images(trial: "FrozenTrial") -> int:
    """Images that some finished fold was validated on, each once; 0 for a trial without folds."""
    return sum(run["validation_images"] for run in trial.user_attrs.get(FOLDS, ()))


def fold_figures(trial: "FrozenTrial", folds: int) -> dict[str, Any]:
    """For ``summary.json``, of a study of so many folds: each value, their mean and (sample) standard deviation."""
    values = _values(trial)
    return {
        "folds": folds,
        "fold_values": values,
        "fold_mean": fmean(values) if values else None,
        "fold_standard_deviation": stdev(values) if len(values) > 1 else None,
        "validation_images": validated_images(trial),
        "validation_note": (
            f"validation figures are means over {_finished(trial, folds)} of the search trial, each by a net that was "
            "trained without it; the exported weights were trained anew on all training images, so that none is left "
            "to validate or calibrate them on"
        ),
    }


def fold_sentence(trial: "FrozenTrial", folds: int, metric: str) -> str:
    """The same in words."""
    values = _values(trial)
    if not values:
        return f"Folds: trial {trial.number} finished none of its {folds}."
    spread = f"; standard deviation {stdev(values):.4f}" if len(values) > 1 else ""
    each = ", ".join(f"{value:.4f}" for value in values)
    return (
        f"Folds: trial {trial.number} has a validation {metric.replace('_', ' ')} of {fmean(values):.4f}, the mean of "
        f"{_finished(trial, folds)} ({each}{spread}); the exported net was trained on all of these images, so that it "
        "has no such value of its own."
    )


def _values(trial: "FrozenTrial") -> list[float]:
    return [float(run["value"]) for run in trial.user_attrs.get(FOLDS, ())]


def _finished(trial: "FrozenTrial", folds: int) -> str:
    """``3 folds``, or ``1 of 3 folds`` of a trial that was pruned."""
    finished = len(_values(trial))
    return f"{folds} folds" if finished == folds else f"{finished} of {folds} folds"

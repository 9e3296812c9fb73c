"""Whether the cells of a sweep differ by more than noise: one sentence, from their validation accuracies."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.05
Accuracies = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Verdict:
    """What the numbers say.

    Attributes:
        sentence: For a person.
        differ: Whether the differences exceed the noise; None where the runs cannot tell.
        p: Of the one-way analysis of variance; None without repeats.
    """

    sentence: str
    differ: bool | None = None
    p: float | None = None


def judge(cells: Accuracies, images: int) -> Verdict:
    """Compare cells by the best validation accuracies (0 to 1) of their runs.

    With repeats by a one-way analysis of variance, whose noise is that of the training: all runs are scored on the same
    ``images`` validation images. Without, there is only those images' own noise to compare with.
    """
    if not cells:
        return Verdict("No cell has finished: there is nothing to compare.")
    if len(cells) == 1:
        return Verdict(f"Only one cell has finished ({next(iter(cells))}): there is nothing to compare.")
    means = {name: float(np.mean(values)) for name, values in cells.items()}
    low, high = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    reach = f"from {means[low]:.2%} ({low}) to {means[high]:.2%} ({high})"
    if sum(map(len, cells.values())) > len(cells):
        return _with_repeats(cells, reach, images)
    return _without(means, reach, means[high] - means[low], images)


def _with_repeats(cells: Accuracies, reach: str, images: int) -> Verdict:
    groups = [np.asarray(values, float) for values in cells.values()]
    runs = sum(map(len, groups))
    within = math.sqrt(
        sum(float(((group - group.mean()) ** 2).sum()) for group in groups) / (runs - len(groups))
    )
    between = float(np.std([group.mean() for group in groups], ddof=1))
    p = _p_value(groups, within, between)
    differ = p < LEVEL
    says = "exceed the noise" if differ else "do not exceed the noise"
    size = f"{p:.2g}" if p >= 0.0001 else "under 0.0001"
    return Verdict(
        f"The differences between the {len(cells)} cells {says} between repeats: mean best validation accuracy reaches "
        f"{reach}; the cells' means have a standard deviation of {100 * between:.2f} points, the repeats of one cell "
        f"{100 * within:.2f} (one-way analysis of variance over {runs} runs, p {'=' if p >= 0.0001 else 'is'} {size}), "
        f"all on the same {images:,} validation images.",
        differ,
        p,
    )


def _p_value(groups: "Sequence[np.ndarray]", within: float, between: float) -> float:
    from scipy.stats import f_oneway

    if within < 1e-12:  # Repeats that are all alike: any difference is more than theirs, and F is infinite.
        return 0.0 if between > 1e-12 else 1.0
    return float(f_oneway(*groups).pvalue)


def _without(means: Mapping[str, float], reach: str, spread: float, images: int) -> Verdict:
    """The range of so many independent accuracies, were they all of one net, stays under the bound in 95 of 100."""
    from scipy.stats import studentized_range

    middle = float(np.mean(list(means.values())))
    error = math.sqrt(max(middle * (1 - middle), 0.0) / images)
    bound = error * float(studentized_range.ppf(1 - LEVEL, len(means), np.inf))
    says = (
        "so this is more than the validation images' noise, and may still be the training's"
        if spread > bound
        else "so this is within the noise"
    )
    return Verdict(
        f"One run a cell cannot tell a difference from noise of training: best validation accuracy reaches {reach}, "
        f"{100 * spread:.2f} points; one accuracy on {images:,} validation images has a binomial standard error of "
        f"{100 * error:.2f} points, by which alone {len(means)} equal nets would reach up to {100 * bound:.2f} points "
        f"(95 %), {says}; --repeat 3 would tell."
    )

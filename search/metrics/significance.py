"""Whether the cells of a sweep differ by more than noise, judged by their runs' validation accuracies.

With repeats the noise is that of the training: how much runs of one cell differ. A one-way analysis of variance
compares it with how much the cells differ. For k cells with n runs in all, F = (S_b / (k - 1)) / (S_w / (n - k)), where
S_b is the sum of squares between the cells' means, each run counted, and S_w that within the cells. If all cells were
the same, F would follow Fisher's distribution; a p-value under 5 % says that they differ.

An example: the runs of cell a reach 90, 91 and 92 %, those of b 93, 94 and 95 %. S_b = 6 * 1.5**2 = 13.5 and S_w = 2 +
2 = 4, in squared points, so F = (13.5 / 1) / (4 / 4) = 13.5 and p = 0.021: the cells differ.

    >>> verdict = compare_cells({"a": [0.90, 0.91, 0.92], "b": [0.93, 0.94, 0.95]}, images=1000)
    >>> verdict.differ, round(verdict.p, 3)
    (True, 0.021)

No accuracy on m images is known more precisely than to one of them, so that S_w / (n - k) is taken to be at least
(1 / m)**2 / 12, the variance of such a rounding: where the repeats of each cell are equal, F is not infinite.

Without repeats, only the noise of the validation images is known. An accuracy a on m images has the binomial standard
error s = sqrt(a * (1 - a) / m), and the range of k independent accuracies of one net stays under q * s in 95 of 100
cases, where q is the studentized range's quantile. Four accuracies around 90 % on 1,000 images reach up to 3.63 * 0.95
= 3.4 points by chance alone. More than that is no chance of these images, yet it may still be a chance of the training.

Sources: R. A. Fisher, "Statistical Methods for Research Workers", 1925; Student (W. S. Gosset), "Errors of Routine
Analysis", Biometrika 19, 1927.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.05
Accuracies = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Verdict:
    """Whether cells differ.

    Attributes:
        sentence: The answer with its figures, for people.
        differ: Whether the differences exceed the noise; None if the runs cannot tell.
        p: The p-value of the analysis of variance; None without repeats.
    """

    sentence: str
    differ: bool | None = None
    p: float | None = None


def compare_cells(cells: Accuracies, images: int) -> Verdict:
    """Compare the cells of a sweep.

    Args:
        cells: The validation accuracy of each run's kept weights, 0 to 1, by the cell's name.
        images: The number of validation images, the same for all runs.
    """
    if not cells:
        return Verdict("No cell has finished: there is nothing to compare.")
    if len(cells) == 1:
        return Verdict(f"Only one cell has finished ({next(iter(cells))}): there is nothing to compare.")
    means = {name: float(np.mean(values)) for name, values in cells.items()}
    worst, best = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    low, high = f"{means[worst]:.2%}", f"{means[best]:.2%}"
    reach = f"reaches from {low} ({worst}) to {high} ({best})" if low != high else f"is {low} in all cells"
    if sum(map(len, cells.values())) > len(cells):
        return _with_repeats(cells, reach, images)
    return _without_repeats(means, reach, means[best] - means[worst], images)


def _with_repeats(cells: Accuracies, reach: str, images: int) -> Verdict:
    groups = [np.asarray(values, float) for values in cells.values()]
    runs = sum(map(len, groups))
    freedom = runs - len(groups)
    measured = sum(float(((group - group.mean()) ** 2).sum()) for group in groups) / freedom
    # An accuracy is rounded to whole images, so that its variance is at least that of such a rounding.
    variance = max(measured, (1 / images) ** 2 / 12)
    within = f"{100 * math.sqrt(measured):.2f}"
    if variance > measured:
        within += f", taken as {100 * math.sqrt(variance):.2f} since an accuracy is rounded to whole images"
    between = float(np.std([group.mean() for group in groups], ddof=1))
    p = _p_value(groups, variance, freedom)
    differ = p < LEVEL
    says = "exceed the noise" if differ else "do not exceed the noise"
    size = f"{p:.2g}" if p >= 0.0001 else "under 0.0001"
    return Verdict(
        f"The differences between the {len(cells)} cells {says} between repeats: mean validation accuracy "
        f"{reach}; the cells' means have a standard deviation of {100 * between:.2f} points, the repeats of one cell "
        f"{within} (one-way analysis of variance over {runs} runs, p {'=' if p >= 0.0001 else 'is'} {size}), "
        f"all on the same {images:,} validation images.",
        differ,
        p,
    )


def _p_value(groups: "Sequence[np.ndarray]", variance: float, freedom: int) -> float:
    from scipy.stats import f

    mean = np.concatenate(groups).mean()
    between = sum(len(group) * float(group.mean() - mean) ** 2 for group in groups) / (len(groups) - 1)
    return float(f.sf(between / variance, len(groups) - 1, freedom))


def _without_repeats(means: Mapping[str, float], reach: str, spread: float, images: int) -> Verdict:
    from scipy.stats import studentized_range

    middle = float(np.mean(list(means.values())))
    error = math.sqrt(max(middle * (1 - middle), 0.0) / images)
    bound = error * float(studentized_range.ppf(1 - LEVEL, len(means), np.inf))
    says = (
        "so this is more than the validation images' noise, and may still be the training's"
        if spread > bound
        else "so this is within the noise"
    )
    points = f", {100 * spread:.2f} points" if spread else ""
    return Verdict(
        "One run a cell cannot tell a difference from noise of training: validation accuracy "
        f"{reach}{points}; one accuracy on {images:,} validation images has a binomial standard error of "
        f"{100 * error:.2f} points, by which alone {len(means)} equal nets would reach up to {100 * bound:.2f} points "
        f"(95 %), {says}; --repeat 3 would tell."
    )

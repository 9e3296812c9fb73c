"""Figures as the report writes them, where a missing one is a dash; and the intervals that no file of an export has."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from search.formatting import is_share, percent, percent_range, si_units
from search.metrics.class_figures import class_figures, figures_of_counts, mean_of_defined
from search.metrics.classification import wilson

RESAMPLES, MOST_NUMBERS = 2000, 1 << 22
DASH = "–"  # noqa: RUF001  # An en dash: there is no figure.


def percent_or_dash(value: Any) -> str:
    """A fraction: ``97.5 %``."""
    return DASH if value is None else percent(float(value))


def percent_or_finite(value: float) -> str:
    """A fraction, or a dash where it has no meaning, as the recall of a class without images."""
    return percent(value) if math.isfinite(value) else DASH


def decimal_or_dash(value: Any) -> str:
    """A score or a loss, with four digits after the point; one that is not finite is a dash, too."""
    if value is None or not math.isfinite(float(value)):
        return DASH
    return f"{float(value):.4f}"


def metric_value(metric: str, value: float | None) -> str:
    """A trial's value in the form that its metric is read in."""
    return percent_or_dash(value) if is_share(metric) else decimal_or_dash(value)


def percent_interval(low: float, high: float) -> str:
    """An interval of fractions: ``95.3 to 98.7 %``."""
    return f"{percent_range(low, high)} %"


def accuracy_interval(accuracy: float | None, images: int) -> str:
    """Wilson's 95 % interval of an accuracy on so many images, or a dash."""
    if accuracy is None or not images:
        return DASH
    return percent_interval(*wilson(round(accuracy * images), images))


def interval_of_test(summary: Mapping[str, Any]) -> tuple[float, float]:
    """Wilson's 95 % interval of an export's test accuracy; summaries of older versions do not have it."""
    recorded = summary.get("test_accuracy_interval")
    if recorded:
        return float(recorded[0]), float(recorded[1])
    images = int(summary["test_images"])
    return wilson(round(summary["test_accuracy"] * images), images)


def macro_f1_of(matrix: Sequence[Sequence[int]]) -> float:
    """Macro F1, of the counts themselves: older exports counted a class without an image as 0."""
    return float(mean_of_defined(class_figures(matrix).f1))


def macro_f1_interval(matrix: Sequence[Sequence[int]]) -> tuple[float, float]:
    """95 % interval of macro F1, by a percentile bootstrap over the test images (Efron, Annals of Statistics 7, 1979).

    Macro F1 has no formula for its interval. So as many images as there are get drawn from the test images, each as
    often as chance has it, and macro F1 is computed of them; of 2,000 such draws 95 % lie between the quantiles 2.5 %
    and 97.5 %. An image matters only by its cell of the confusion matrix, so that cells are drawn. The draws are
    seeded: the same matrix has the same interval. Here each draw has 100 images, about 45 of them from the first cell,
    and macro F1 is 0.85:

        >>> [round(bound, 2) for bound in macro_f1_interval([[45, 5], [10, 40]])]
        [0.78, 0.92]

    Args:
        matrix: Counts, a row for each true class.
    """
    counts = np.asarray(matrix, np.int64)
    classes = len(counts)
    rows, columns = np.nonzero(counts)
    random, shares = np.random.default_rng(0), counts[rows, columns] / counts.sum()
    scores: list[float] = []
    while len(scores) < RESAMPLES:
        # A thousand classes have tens of thousands of cells: not all draws of them at a time.
        draws = min(RESAMPLES - len(scores), max(1, MOST_NUMBERS // len(rows)))
        drawn = random.multinomial(counts.sum(), shares, size=draws)
        right, there, predicted = np.zeros((3, draws, classes))
        for cell, (row, column) in enumerate(zip(rows, columns, strict=True)):
            there[:, row] += drawn[:, cell]
            predicted[:, column] += drawn[:, cell]
            if row == column:
                right[:, row] += drawn[:, cell]
        scores += mean_of_defined(figures_of_counts(right, there, predicted).f1).tolist()
    low, high = np.quantile(scores, (0.025, 0.975))
    return float(low), float(high)


def recorded_size(recorded: Mapping[str, Any], name: str, unit: str = "") -> str:
    """A net's size as its trial recorded it, such as ``parameters``, or a dash."""
    return si_units(float(recorded[name]), unit) if name in recorded else DASH

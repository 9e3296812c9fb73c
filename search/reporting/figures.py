"""Numbers as a reader meets them in the report, and intervals that no file has."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from search.evaluation.fit import percent
from search.evaluation.scores import wilson

RESAMPLES, MOST_NUMBERS = 2000, 1 << 22
NONE = "–"  # noqa: RUF001  # An en dash: there is no figure.


def fraction(value: Any) -> str:
    """``97.5 %``, or a dash."""
    return NONE if value is None else percent(float(value))


def interval(low: float, high: float) -> str:
    """``95.3 to 98.7 %``."""
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def of_count(value: float | None, count: int) -> str:
    """Wilson's 95 % interval of a fraction of ``count`` images, or a dash."""
    if value is None or not count:
        return NONE
    return interval(*wilson(round(value * count), count))


def interval_of_test(summary: Mapping[str, Any]) -> tuple[float, float]:
    """Wilson's 95 % interval of the test accuracy, also of a summary from before it was in there."""
    found = summary.get("test_accuracy_interval")
    if found:
        return float(found[0]), float(found[1])
    images = int(summary["test_images"])
    return wilson(round(summary["test_accuracy"] * images), images)


def decimal(value: Any) -> str:
    """A score or a loss, four digits after the point, or a dash."""
    if value is None or not math.isfinite(float(value)):
        return NONE
    return f"{float(value):.4f}"


def scored(metric: str, value: float | None) -> str:
    """A trial's value in the form that its metric is read in."""
    return fraction(value) if metric == "accuracy" else decimal(value)


def macro_f1_interval(matrix: Sequence[Sequence[int]]) -> tuple[float, float]:
    """95 % interval of macro F1, by drawing the test images anew (percentile bootstrap, seeded).

    Args:
        matrix: Counts, a row a true class.
    """
    import numpy as np

    counts = np.asarray(matrix, np.int64)
    classes = len(counts)
    rows, columns = np.nonzero(counts)
    chance, shares = np.random.default_rng(0), counts[rows, columns] / counts.sum()
    scores: list[float] = []
    while len(scores) < RESAMPLES:
        # A thousand classes have tens of thousands of cells: not all draws of them at a time.
        draws = min(RESAMPLES - len(scores), max(1, MOST_NUMBERS // len(rows)))
        drawn = chance.multinomial(counts.sum(), shares, size=draws)
        right, both = np.zeros((draws, classes)), np.zeros((draws, classes))
        for cell, (row, column) in enumerate(zip(rows, columns, strict=True)):
            both[:, row] += drawn[:, cell]
            both[:, column] += drawn[:, cell]
            if row == column:
                right[:, row] += drawn[:, cell]
        scores += (2 * right / np.maximum(both, 1)).mean(axis=1).tolist()
    low, high = np.quantile(scores, (0.025, 0.975))
    return float(low), float(high)


def count(number: int, thing: str, things: str = "") -> str:
    """``1 trial``, ``12 trials``."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def large(number: float, unit: str) -> str:
    """``405.6 kFLOP``, ``0.19 PFLOP``."""
    for power, prefix in ((15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if number >= 10**power:
            return f"{number / 10**power:.3g} {prefix}{unit}"
    return f"{number:g} {unit}"


def plain(value: Any) -> str:
    """A parameter's value."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)

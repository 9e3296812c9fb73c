"""Figures of each class, from counts of true and predicted classes: precision, recall, F1, and what is confused."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class ClassFigures(NamedTuple):
    """Figures of each class, ``(..., classes)``, float64; NaN where a figure has no meaning.

    Attributes:
        precision: How many of those predicted as this class are of it; NaN where none is.
        recall: How many of those of this class are predicted as it; NaN where there is none.
        f1: The harmonic mean of both; NaN of a class that is neither there nor predicted.
    """

    precision: Floats
    recall: Floats
    f1: Floats


def class_figures(matrix: npt.ArrayLike) -> ClassFigures:
    """Precision, recall and F1 of each class: what every table, sentence and metric of the program is made from.

    A figure that has no meaning is NaN rather than 0, so that a class without an image neither lowers a mean nor
    counts as the weakest. scikit-learn's figures are the same with ``zero_division=numpy.nan``.

    Args:
        matrix: Counts, ``(true classes, predicted classes)``; further dimensions may stand before these.

    Example:
        >>> class_figures([[2, 0, 0], [0, 3, 0], [0, 0, 0]]).f1.tolist()
        [1.0, 1.0, nan]
    """
    counts = np.asarray(matrix, np.int64)
    return figures_of_counts(counts.diagonal(axis1=-2, axis2=-1), counts.sum(axis=-1), counts.sum(axis=-2))


def figures_of_counts(right: npt.ArrayLike, there: npt.ArrayLike, predicted: npt.ArrayLike) -> ClassFigures:
    """See ``class_figures``; of each class, how many images are right, are there and are predicted."""
    right, there, predicted = (np.asarray(counts, np.float64) for counts in (right, there, predicted))
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN that is meant.
        return ClassFigures(right / predicted, right / there, 2 * right / (there + predicted))


def mean_of_defined(figures: Floats, weights: Floats | None = None) -> Floats:
    """The mean over the classes (the last dimension) that have this figure; NaN where none has.

    Args:
        figures: Of each class, ``(..., classes)``.
        weights: Of each class, by default all alike.
    """
    defined = np.isfinite(figures)
    weighed = defined * (1.0 if weights is None else weights)
    with np.errstate(invalid="ignore"):
        return np.asarray((np.where(defined, figures, 0) * weighed).sum(-1) / weighed.sum(-1), np.float64)


OVER_ALL = ("accuracy", "micro avg", "macro avg", "weighted avg")


def class_report(matrix: npt.ArrayLike, classes: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """scikit-learn's classification report, with a dash, or None, for a figure that has no meaning.

    Args:
        matrix: Counts, ``(true classes, predicted classes)``.
        classes: Names.

    Returns:
        The text, and the values by class.
    """
    from sklearn.metrics import classification_report

    counts = np.asarray(matrix, np.int64)
    true, predicted = (np.repeat(place.ravel(), counts.ravel()) for place in np.indices(counts.shape))
    settings = {"labels": range(len(classes)), "zero_division": np.nan}
    # A line break in a name would end its row.
    settings["target_names"] = in_one_line = [" ".join(name.splitlines()) for name in classes]
    text = classification_report(true, predicted, digits=4, **settings)
    name = max(map(len, [*in_one_line, "weighted avg"]))
    lines = [line[:name] + line[name:].replace("nan", "  -") for line in text.split("\n")]
    # It counts images, also where none is right, which scikit-learn takes for a mean.
    lines = [re.sub(r"(\d+)\.0$", r"  \1", line) for line in lines]
    # Among the classes stand the figures over all of them: a class that is called as one of these keeps its row.
    settings["target_names"] = [_row_name(one, classes) for one in classes]
    values = classification_report(true, predicted, output_dict=True, **settings)
    return "\n".join(lines), {
        key: {
            figure: int(number) if figure == "support" else None if np.isnan(number) else number
            for figure, number in value.items()
        }
        if isinstance(value, dict)
        else value
        for key, value in values.items()
    }


def _row_name(name: str, classes: Sequence[str]) -> str:
    row = name
    while row in OVER_ALL or (row != name and row in classes):
        row += " (class)"
    return row


def confusions(matrix: Integers) -> list[tuple[int, int, int]]:
    """The pairs of classes that were confused, the most frequent first.

    Args:
        matrix: Counts, ``(true classes, predicted classes)``.

    Returns:
        Of each pair the true class, the predicted class, and the count, which is above 0.

    Example:
        >>> confusions(np.array([[5, 2, 0], [1, 4, 0], [0, 3, 6]]))
        [(2, 1, 3), (0, 1, 2), (1, 0, 1)]
    """
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    places = np.argsort(-wrong, axis=None, kind="stable")[: np.count_nonzero(wrong)]
    return [(*divmod(int(place), wrong.shape[1]), int(wrong.flat[place])) for place in places]

"""The confusion matrix as a table, ``confusion_matrix.csv``, and as a picture, ``confusion_matrix.png``."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from search.formatting import shorten
from search.metrics.classification import Integers
from search.plotting.fonts import with_any_letters

if TYPE_CHECKING:
    from matplotlib.axes import Axes


# Letters of a class name at an axis.
LETTERS = 24
# With more classes a cell is smaller than any number that can be read; the table has them all.
READABLE_COUNTS = 250


def write_matrix_csv(path: Path, matrix: Integers, classes: Sequence[str]) -> None:
    """Write the counts: a row for each true class, a column for each predicted one, names in the first of both."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["true \\ predicted", *classes])
        for name, row in zip(classes, matrix, strict=True):
            writer.writerow([name, *row.tolist()])


@with_any_letters
def write_matrix_png(path: Path, matrix: Integers, classes: Sequence[str], title: str) -> None:
    """Draw the counts as text, and the fraction of the true class as colour.

    Args:
        path: The picture's file.
        matrix: Counts, ``(true classes, predicted classes)``.
        classes: Names.
        title: Above the picture.
    """
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    count = len(classes)
    cell = _cell_inches(count, int(matrix.max()))
    side = max(2.2, cell * count)
    figure = Figure(figsize=(side + 2.2, side + 1.6), dpi=110 if count > 30 else 130)
    axes = figure.add_subplot()
    fractions = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    # By square root, or a confusion of a few in a hundred, which is what a reader looks for, would be near white.
    picture = axes.imshow(fractions, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=1))
    font = max(7.0, min(11.0, 72 * cell / 3))
    if count <= READABLE_COUNTS:
        _write_counts(axes, matrix, fractions, font if count <= 30 else 25 * cell)
    _name_axes(axes, classes, font if count <= 30 else 34 * cell)
    axes.set_title(title, fontsize=12 if count <= 30 else 22, pad=12)
    bar = figure.colorbar(picture, ax=axes, fraction=0.04, pad=0.02)
    bar.set_label("fraction of the true class", fontsize=9 if count <= 30 else 16)
    figure.savefig(path, bbox_inches="tight")


def _cell_inches(count: int, largest: int) -> float:
    """The side of one cell: wide enough for its count, small enough that a hundred classes stay one picture."""
    if count > 30:
        return min(0.26, 45 / count)
    return max(0.4, 0.1 * len(str(largest)) + 0.12, 1.6 / count)


def _write_counts(axes: "Axes", matrix: Integers, fractions: np.ndarray, font: float) -> None:
    """Write the number into each cell, but no zeros where they would be most of the picture."""
    for row, column in np.ndindex(*matrix.shape):
        value = int(matrix[row, column])
        if value == 0 and len(matrix) > 30:
            continue
        colour = "white" if fractions[row, column] > 0.35 else ("black" if value else "#9a9a9a")
        axes.text(column, row, str(value), ha="center", va="center", color=colour, fontsize=font)


def _name_axes(axes: "Axes", classes: Sequence[str], font: float) -> None:
    names = [shorten(name, LETTERS) for name in classes]
    longest = max(map(len, names))
    upright = longest <= 2 or (len(names) <= 4 and longest <= 8)
    axes.set_xticks(range(len(names)), names, rotation=0 if upright else 90, fontsize=font)
    axes.set_yticks(range(len(names)), names, fontsize=font)
    for label in [*axes.get_xticklabels(), *axes.get_yticklabels()]:
        label.set_parse_math(False)  # a class may have a dollar sign in its name
    axes.set_xlabel("predicted", fontsize=max(10.0, min(18.0, len(classes) / 5)))
    axes.set_ylabel("true", fontsize=max(10.0, min(18.0, len(classes) / 5)))
    axes.tick_params(length=0)

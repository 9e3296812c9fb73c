"""The confusion matrix as a table, ``confusion_matrix.csv``, and as a picture, ``confusion_matrix.png``."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from search.formatting import percent, shorten_apart
from search.metrics.classification import Integers
from search.plotting.axes import in_percent
from search.plotting.fonts import with_any_letters

if TYPE_CHECKING:
    from matplotlib.axes import Axes


# Letters of a class name at an axis.
LETTERS = 24
# With more classes a cell is smaller than any number that can be read; the table has them all.
READABLE_COUNTS = 250
# With more classes a cell has room for its count alone.
READABLE_SHARES = 20
# Inches of a cell that holds a share, and of all cells where they are made wider for names to stand side by side.
WITH_SHARE, WIDEST = 0.58, 12.0
# The height of a cell, in parts of its width.
FLATTEST = 0.65
# A cell of a larger share is so dark that white is read better on it than black.
DARK = 0.7
# Of a letter, in parts of the size of its font.
LETTER_WIDTH = 0.62


def write_matrix_csv(path: Path, matrix: Integers, classes: Sequence[str]) -> None:
    """Write the counts: a row for each true class, a column for each predicted one, names in the first of both."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["true \\ predicted", *classes])
        for name, row in zip(classes, matrix, strict=True):
            writer.writerow([name, *row.tolist()])


@with_any_letters
def write_matrix_png(path: Path, matrix: Integers, classes: Sequence[str], title: str) -> None:
    """Draw the counts as text, their shares of the true class as colour, and as text where there is room.

    Args:
        path: The picture's file.
        matrix: Counts, ``(true classes, predicted classes)``.
        classes: Names.
        title: Above the picture.
    """
    from matplotlib.figure import Figure

    count = len(classes)
    names = shorten_apart(classes, LETTERS)
    height = _cell_inches(count, int(matrix.max()))
    font = max(7.0, min(11.0, 72 * height / 3)) if count <= 30 else 34 * height
    needed = (max(map(len, names)) + 1) * LETTER_WIDTH * font / 72
    side_by_side = needed <= max(height, WIDEST / count)
    width = max(height, needed) if side_by_side else height
    height = max(height, FLATTEST * width)
    across, down = max(2.2, width * count), max(2.2, height * count)
    figure = Figure(figsize=(across + 2.2, down + 1.6), dpi=110 if count > 30 else 130)
    axes = figure.add_subplot()
    fractions = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    picture = axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_box_aspect(down / across)
    if count <= READABLE_COUNTS:
        _write_counts(axes, matrix, fractions, font if count <= 30 else 25 * height)
    # Slanted names are read with less of a turn of the head, but of many one would stand on the other.
    _name_axes(axes, names, font, 0 if side_by_side else 45 if count <= 30 else 90)
    axes.set_title(title, fontsize=max(12.0, min(22.0, 1.2 * across)), pad=12)
    beside = axes.inset_axes((1 + 0.15 / across, 0.0, max(0.2, 0.02 * across) / across, 1.0))
    bar = figure.colorbar(picture, cax=beside)
    bar.set_label("share of the true class", fontsize=max(9.0, min(16.0, 0.9 * across)))
    in_percent(bar.ax.yaxis)
    figure.savefig(path, bbox_inches="tight")


def _cell_inches(count: int, largest: int) -> float:
    """The side of one cell: wide enough for its count, small enough that a hundred classes stay one picture."""
    if count > 30:
        return min(0.26, 45 / count)
    least = WITH_SHARE if count <= READABLE_SHARES else 0.4
    return max(least, 0.1 * len(str(largest)) + 0.12, 1.6 / count)


def _write_counts(axes: "Axes", matrix: Integers, fractions: np.ndarray, font: float) -> None:
    """Write the number into each cell, but no zeros where they would be most of the picture."""
    for row, column in np.ndindex(*matrix.shape):
        value = int(matrix[row, column])
        if value == 0 and len(matrix) > 30:
            continue
        colour = "white" if fractions[row, column] > DARK else ("black" if value else "#8c8c8c")
        place: dict[str, Any] = {"ha": "center", "color": colour}
        if not value or len(matrix) > READABLE_SHARES:
            axes.text(column, row, str(value), va="center", fontsize=font, **place)
            continue
        axes.text(column, row - 0.02, f"{value:,}", va="bottom", fontsize=font, weight="bold", **place)
        axes.text(
            column,
            row + 0.08,
            percent(float(fractions[row, column])),
            va="top",
            fontsize=0.75 * font,
            **place,
        )


def _name_axes(axes: "Axes", names: Sequence[str], font: float, turned: int) -> None:
    axes.set_xticks(range(len(names)), names, rotation=turned, fontsize=font)
    if turned == 45:
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names, fontsize=font)
    axes.set_xlabel("predicted", fontsize=max(10.0, min(18.0, len(names) / 5)))
    axes.set_ylabel("true", fontsize=max(10.0, min(18.0, len(names) / 5)))
    axes.tick_params(length=0)

"""Grids of images with lines of text under them: ``samples.png``, ``mistakes.png``, the grid of ``search.predict``."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy.typing as npt

from search.formatting import often, percent, shorten, shorten_path
from search.plotting.fonts import with_any_letters

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from search.data import Dataset
    from search.metrics.classification import Integers, Scores


PLAIN, RIGHT, WRONG = "#222222", "#1b7837", "#c0272d"
DPI = 130
# More pictures are drawn at a lower resolution, at which text can still be read: a thousand photographs would be a file
# of 100 MB.
MANY, DPI_OF_MANY = 150, 75
# In inches: the side of a picture, and the height of a line of text (of 8 points, and some air).
SIDE, LINE = 1.35, 0.15
FONT = 8.0
# Letters that fit under a picture.
LETTERS = 21
# At least so many, so that a title has room above them.
LEAST_COLUMNS = 4


class Tile(NamedTuple):
    """One picture of a grid.

    Attributes:
        pixels: ``(H, W, C)``, uint8, of any size; C is 1 or 3.
        lines: The text under it.
        colour: Of the text.
    """

    pixels: npt.NDArray[Any]
    lines: tuple[str, ...]
    colour: str = PLAIN


def write_samples(path: Path, dataset: "Dataset", chosen: "Integers", classes: Sequence[str]) -> None:
    """Write ``samples.png``: the first image of each class among those that were trained on.

    Args:
        path: The picture's file.
        dataset: The prepared images.
        chosen: Indices of the training images that the weights were fitted on, ``(N,)``.
        classes: Names.
    """
    import numpy as np

    _, labels = dataset.train()
    present, first = np.unique(labels[chosen], return_index=True)
    pictures = dataset.thumbnails(chosen[first].tolist())
    tiles = [
        Tile(pixels, (classes[label],)) for label, pixels in zip(present.tolist(), pictures, strict=True)
    ]
    write_grid(path, tiles, "One training image of each class")


def write_mistakes(
    path: Path,
    indices: "Integers",
    images: Sequence[npt.NDArray[Any]],
    scores: "Scores",
    classes: Sequence[str],
    times_test_scored: int,
    names: Sequence[str] = (),
) -> None:
    """Write ``mistakes.png``: the test images that were misclassified with the highest confidence.

    Args:
        path: The picture's file.
        indices: Their numbers among the test images, ``(M,)``, int64.
        images: Of each its picture, ``(H, W, C)``, uint8.
        scores: Of all test images, at the temperature of the export.
        classes: Names.
        times_test_scored: How often the test images have been scored, this time included.
        names: The paths of their files, ``M``; empty where they have numbers alone.
    """
    count, wrong = len(scores.labels), int((scores.predicted != scores.labels).sum())
    tiles = [
        Tile(
            pixels,
            (
                f"true: {classes[scores.labels[index]]}",
                f"pred: {classes[scores.predicted[index]]}",
                percent(float(scores.confidence[index])),
                *([shorten_path(names[place], LETTERS)] if names else []),
            ),
            WRONG,
        )
        for place, (index, pixels) in enumerate(zip(indices.tolist(), images, strict=True))
    ]
    title = f"The {len(tiles)} most confident of {wrong:,} mistakes on {count:,} test images"
    if len(tiles) == wrong:
        title = f"{'The only mistake' if wrong == 1 else f'All {wrong} mistakes'} on {count:,} test images"
    title = title if wrong else f"No mistake on {count:,} test images"
    write_grid(path, tiles, f"{title} (scored {often(times_test_scored)})")


@with_any_letters
def write_grid(path: Path, tiles: Sequence[Tile], title: str) -> None:
    """Draw pictures in rows, each with its text below; small ones are enlarged without smoothing.

    Args:
        path: The picture's file, PNG.
        tiles: In reading order; none gives a picture of the title alone.
        title: Above them.
    """
    from matplotlib.figure import Figure

    columns = max(LEAST_COLUMNS, math.ceil(math.sqrt(1.3 * len(tiles))))
    rows = math.ceil(len(tiles) / columns)
    lines = max((len(tile.lines) for tile in tiles), default=0)
    box = max((SIDE * min(1.0, tile.pixels.shape[0] / tile.pixels.shape[1]) for tile in tiles), default=0.0)
    column_width, row_height = SIDE + 0.15, box + lines * LINE + 0.15
    head = 0.45
    width, height = columns * column_width + 0.15, rows * row_height + head
    dpi = DPI if len(tiles) <= MANY else DPI_OF_MANY
    figure = Figure(figsize=(width, height), dpi=dpi)
    # One pair of axes for all, in inches from the top left, because a thousand pairs would take a minute.
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    for place, tile in enumerate(tiles):
        row, column = divmod(place, columns)
        _draw_tile(axes, tile, 0.15 + column * column_width, head + row * row_height, box, dpi)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.text(0.15, head / 2, title, fontsize=11, va="center")
    figure.savefig(path)


def _draw_tile(axes: "Axes", tile: Tile, left: float, top: float, box: float, dpi: int) -> None:
    """Draw a picture in the middle of a box of ``SIDE`` by ``box`` inches, and the text under it."""
    height, width = tile.pixels.shape[:2]
    scale = SIDE / max(height, width)
    across, down = width * scale, height * scale
    x, y = left + (SIDE - across) / 2, top + (box - down) / 2
    pixels = tile.pixels[:, :, 0] if tile.pixels.shape[2] == 1 else tile.pixels
    axes.imshow(
        pixels,
        extent=(x, x + across, y + down, y),
        cmap="gray",
        vmin=0,
        vmax=255,
        interpolation="nearest" if scale * dpi >= 1 else "antialiased",
    )
    for number, line in enumerate(tile.lines):
        axes.text(
            left + SIDE / 2,
            top + box + 0.04 + number * LINE,
            shorten(line, LETTERS),
            ha="center",
            va="top",
            fontsize=FONT,
            color=tile.colour,
        )

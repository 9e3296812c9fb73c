"""The grid of ``search.predict --grid``: pictures with predicted class and confidence."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from search.data.image_files import without_pillow_warnings
from search.data.thumbnails import downscaled
from search.errors import InputError
from search.formatting import count, percent, shorten
from search.plotting.image_grid import LETTERS, PLAIN, RIGHT, WRONG, Tile, write_grid
from search.prediction.output import UNSURE, Prediction, Shown

# More would be no picture to look at; so many are taken evenly from all.
MOST_TILES = 100
# Short enough to stand under a picture.
UNLIKE = "unlike the training"
NOTHING_MORE = Shown(())


def check_png_path(flag: str, path: Path | None) -> None:
    """Refuse a path that no picture can be written to, before any model is loaded.

    Args:
        flag: Named in messages.
        path: The picture's file; None is no picture, and fine.

    Raises:
        InputError: It does not end in ``.png``, is a folder, lies in no folder, or is a picture of the user's own.
    """
    if path is None:
        return
    if path.suffix.lower() != ".png":
        raise InputError(f"{flag} {path}: expected a file name that ends in .png, such as grid.png")
    if path.is_dir():
        raise InputError(f"{flag} {path}: is a folder; expected a file name that ends in .png")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{flag} {path}: there is no folder {path.parent}; make it, or name another place")
    # A shell makes of --grid *.png the first photograph as the picture, and the others as what is classified.
    if path.exists() and not _is_drawn(path):
        raise InputError(
            f"{flag} {path}: is there already and is no picture that predict has drawn; expected the name of a new file"
        )


def _is_drawn(path: Path) -> bool:
    """Whether Matplotlib has made the file, which signs what it draws; or it is empty, so that nothing is lost."""
    try:
        if path.stat().st_size == 0:
            return True
        with Image.open(path) as picture:
            return str(picture.info.get("Software", "")).startswith("Matplotlib")
    except Exception:  # Pillow's plugins raise nearly anything on a damaged file.
        return False


def check_not_given(grid: Path | None, matrix: Path | None, files: Sequence[Path]) -> None:
    """Refuse to write a picture over one of the images to classify, or both pictures to one file.

    Args:
        grid: The file of ``--grid``; None for none.
        matrix: The file of ``--matrix``; None for none.
        files: The images to classify.

    Raises:
        InputError: A picture would be lost.
    """
    if grid and matrix and os.path.realpath(grid) == os.path.realpath(matrix):
        raise InputError(f"--grid {grid}: is the file of --matrix, too; give each a file of its own")
    given = set(map(os.path.realpath, files)) if grid or matrix else set()
    for flag, path in (("--grid", grid), ("--matrix", matrix)):
        if path is not None and os.path.realpath(path) in given:
            raise InputError(
                f"{flag} {path}: is one of the images to classify, which would be lost; name another file"
            )


@without_pillow_warnings()
def write_prediction_grid(
    path: Path, predictions: Sequence[Prediction], depth: str | None = None, asked: Shown = NOTHING_MORE
) -> str:
    """Draw at most ``MOST_TILES`` of the files that could be read, green and red where their true class is known.

    Args:
        path: The picture's file.
        predictions: Of all files.
        depth: As in ``search.data.decode.decode``: the pictures are shown as the net saw them.
        asked: Says which answers are called unsure.

    Returns:
        A line for a person where not all are drawn, empty otherwise.

    Raises:
        InputError: The file cannot be written.
    """
    readable = [prediction for prediction in predictions if prediction.label is not None]
    shown = readable
    if len(readable) > MOST_TILES:
        places = np.linspace(0, len(readable) - 1, MOST_TILES).round().astype(int)
        shown = [readable[index] for index in places]
    if not shown:
        return f"{path} was not drawn: no image could be read"
    title = count(len(shown), "image")
    if all(prediction.truth is not None for prediction in shown):
        title += f", {sum(prediction.is_right for prediction in shown)} classified right"
    try:
        write_grid(path, [tile(prediction, depth, asked) for prediction in shown], title)
    except OSError as error:
        raise InputError(f"--grid {path}: cannot be written ({error.strerror}); name another place") from None
    if len(shown) == len(readable):
        return ""
    return f"{path} shows {MOST_TILES} of {len(readable):,} images, evenly chosen"


def tile(prediction: Prediction, depth: str | None = None, asked: Shown = NOTHING_MORE) -> Tile:
    """One file's picture, upright, with its predicted class, its confidence, and its true class where that is known."""
    confidence = percent(prediction.confidence or 0.0)
    label = UNSURE if asked.is_unsure(prediction) else str(prediction.label)
    answer = f"{shorten(label, LETTERS - len(confidence) - 1)} {confidence}"
    pixels = downscaled(Path(prediction.image), depth)
    colour = PLAIN if prediction.truth is None else RIGHT if prediction.is_right else WRONG
    truth = () if prediction.truth is None else (f"true: {prediction.truth}",)
    return Tile(pixels, (answer, *truth, *((UNLIKE,) if prediction.unlike else ())), colour)

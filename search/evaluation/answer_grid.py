"""The grid of ``search.predict --grid``: pictures with predicted class and confidence."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from search.data.decode import decode, read_header
from search.data.source import Pixels
from search.errors import InputError
from search.evaluation.answers import Prediction
from search.evaluation.fit import percent
from search.evaluation.pictures import LETTERS, PLAIN, RIGHT, WRONG, Tile, cut, write_grid

# More would be no picture to look at; they are taken evenly from all that were answered.
MOST = 100
# Longer side in pixels to which photographs are reduced.
LONGEST = 200


def check_picture(flag: str, path: Path | None) -> None:
    """Refuse a path that no picture can be written to, before any model is loaded.

    Raises:
        InputError: It does not end in ``.png``, is a folder, or lies in no folder.
    """
    if path is None:
        return
    if path.suffix.lower() != ".png":
        raise InputError(f"{flag} {path}: expected a file name that ends in .png, such as grid.png")
    if path.is_dir():
        raise InputError(f"{flag} {path}: is a folder; expected a file name that ends in .png")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{flag} {path}: there is no folder {path.parent}; make it, or name another place")


def write_answer_grid(path: Path, answers: Sequence[Prediction]) -> str:
    """Draw at most ``MOST`` of the files that could be read; green and red where their true class is known.

    Returns:
        A line for a person where not all are drawn, empty otherwise.

    Raises:
        InputError: The file cannot be written.
    """
    readable = [answer for answer in answers if answer.label is not None]
    shown = readable
    if len(readable) > MOST:
        shown = [readable[index] for index in np.linspace(0, len(readable) - 1, MOST).round().astype(int)]
    if not shown:
        return f"{path} was not drawn: no image could be read"
    right = sum(answer.label == answer.truth for answer in shown)
    known = all(answer.truth is not None for answer in shown)
    title = f"{len(shown)} image{'s' if len(shown) > 1 else ''}" + (
        f", {right} classified right" if known else ""
    )
    try:
        write_grid(path, [tile(answer) for answer in shown], title)
    except OSError as error:
        raise InputError(f"--grid {path}: cannot be written ({error.strerror}); name another place") from None
    return (
        f"{path} shows {MOST} of {len(readable):,} images, evenly chosen"
        if len(shown) < len(readable)
        else ""
    )


def tile(answer: Prediction) -> Tile:
    """One answered file, as its photographer held the camera."""
    confidence = percent(answer.confidence or 0.0)
    said = f"{cut(str(answer.label), LETTERS - len(confidence) - 1)} {confidence}"
    pixels = reduced(Path(answer.image))
    if answer.truth is None:
        return Tile(pixels, (said,), PLAIN)
    if answer.truth == answer.label:
        return Tile(pixels, (said, f"true: {answer.truth}"), RIGHT)
    return Tile(pixels, (said, f"true: {answer.truth}"), WRONG)


def reduced(path: Path) -> Pixels:
    """The picture in its own proportions, ``(H, W, 3)``, uint8, at most ``LONGEST`` pixels a side."""
    header = read_header(path)
    scale = min(1.0, LONGEST / max(header.height, header.width))
    height, width = (max(1, round(side * scale)) for side in (header.height, header.width))
    return decode(path, height, width, 3)

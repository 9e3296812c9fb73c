"""Images of one colour, and images that use hardly any of the 256 values: what was decoded wrong often looks so."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from search.data.base import Labels, Pixels
from search.formatting import count

# Of the 256 values. Images that are all within so few look to people like one colour.
NARROW = 32
BLOCK_BYTES = 1 << 24


def blank_notes(
    train: Pixels, labels: Labels, test: Pixels, classes: Sequence[str], names: Sequence[str]
) -> list[str]:
    """Lines for people about images in which there is nothing to see; test images are only counted.

    Args:
        train: Training images ``(N, H, W, C)``, uint8; may be memory-mapped.
        labels: Their class numbers ``(N,)``.
        test: Test images ``(M, H, W, C)``, uint8; may be memory-mapped.
        classes: The names of the classes.
        names: What a person knows each training image by; empty where they have numbers alone.

    Returns:
        Nothing if there is nothing to say.
    """
    notes, blank = [], blanks(train)
    empty = [number for number in range(len(classes)) if blank[labels == number].all()]
    for number in empty:
        notes.append(
            f"warning: blank images: all {int((labels == number).sum()):,} training images of the class "
            f"{classes[number]!r} are of one colour: look at the files"
        )
    others = np.flatnonzero(blank & ~np.isin(labels, empty))
    if len(others):
        first = names[others[0]] if names else f"number {others[0]:,}, counted from 0"
        notes.append(
            f"warning: blank images: {count(len(others), 'training image')} of one colour (the first is {first}, of "
            f"the class {classes[labels[others[0]]]!r}): look at them"
        )
    if number := int(blanks(test).sum()):
        notes.append(f"warning: blank images: {count(number, 'test image')} of one colour")
    return [*notes, *_narrow_note(train)]


def blanks(images: Pixels) -> npt.NDArray[np.bool_]:
    """Which images ``(N, H, W, C)`` are of one colour, ``(N,)``."""
    return np.concatenate([(block == block[:, :1, :1]).all(axis=(1, 2, 3)) for block in _blocks(images)])


def _narrow_note(train: Pixels) -> list[str]:
    low, high = (
        min(int(block.min()) for block in _blocks(train)),
        max(int(block.max()) for block in _blocks(train)),
    )
    if low == high:
        return []
    two = not any(((block != low) & (block != high)).any() for block in _blocks(train))
    if high - low >= NARROW and not (two and (low, high) != (0, 255)):
        return []
    values = f"two values, {low} and {high}," if two else f"values from {low} to {high}"
    return [
        f"warning: the training images hold {values} of 0 to 255, and are taken so: if black and white should be "
        "there, scale all images alike"
    ]


def _blocks(images: Pixels) -> list[Pixels]:
    step = max(1, BLOCK_BYTES // images[0].size)
    return [images[start : start + step] for start in range(0, len(images), step)]

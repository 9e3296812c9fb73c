"""What a source of images is: something that can be named cheaply, and read when no cache holds it yet."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Part:
    """One split that is still to be written.

    Attributes:
        labels: Class numbers ``(N,)``.
        fill: Writes the pixels into a given uint8 array ``(N, H, W, C)``; it may say how far it is.
    """

    labels: Labels
    fill: Callable[[Pixels, Say], None]


@dataclass(frozen=True)
class Loaded:
    """All that the cache needs to know of a source's images.

    Attributes:
        classes: Names, in label order.
        height: Of every image, pixels.
        width: Of every image, pixels.
        channels: 1 or 3.
        flip: Whether mirrored images are still of their class, as far as the source tells.
        train: The training images, validation included.
        test: The test images.
        way: How they are brought to that size: see ``search.data.sizing.resize``.
        notes: Lines for a person (skipped files and the like), said again whenever the cache is found.
    """

    classes: tuple[str, ...]
    height: int
    width: int
    channels: int
    flip: bool
    train: Part
    test: Part
    way: str = "stretch"
    notes: tuple[str, ...] = ()


class Source(Protocol):
    """One place where images come from. Both methods raise ``InputError`` for whatever the user can mend."""

    @property
    def said(self) -> str:
        """Where the images come from, as stored on ``Dataset.source``."""

    def request(self) -> dict[str, Any]:
        """Plain values that change when the images may have; decodes nothing: a second start is fast."""

    def read(self, say: Say) -> Loaded:
        """Look at everything, decode nothing yet (``Part.fill`` does)."""

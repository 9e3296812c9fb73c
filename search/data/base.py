"""The contract of a source of images: it can be described cheaply, and is read only if no cache holds its images."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from search.data.damage import Damaged

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Say = Callable[[str], None]

logger = logging.getLogger(__name__)


def log_line(line: str) -> None:
    """Log a line for people, which is what ``say`` does unless told otherwise: as a warning where it begins as one."""
    if line.startswith("warning: "):
        logger.warning(line.removeprefix("warning: "))
    else:
        logger.info(line)


@dataclass(frozen=True)
class Part:
    """The training or the test images of a source, not decoded yet.

    Attributes:
        labels: Class numbers ``(N,)``, int64.
        fill: Writes the pixels into a given array ``(N, H, W, C)``, uint8; it may report its progress.
        names: What a person knows each image by, such as its path inside the data's folder; empty where images have
            numbers alone.
        root: The folder that these paths begin in; empty where there are none.
        digests: Gives the digest of each image as the source has it, of whichever size; none where it knows none.
    """

    labels: Labels
    fill: Callable[[Pixels, Say], None]
    names: Sequence[str] = ()
    root: str = ""
    digests: Callable[[], Sequence[bytes]] = list


@dataclass(frozen=True)
class Loaded:
    """What the cache needs to know of a source's images.

    Attributes:
        classes: The names of the classes, in label order.
        height: The height that all images get, in pixels.
        width: The width that all images get, in pixels.
        channels: 1 or 3.
        flip: Whether mirrored images still belong to their class, as far as the source tells.
        train: The training images, among them those that are later drawn for validation.
        test: The test images.
        method: How they are brought to their size; see ``search.data.resizing.resize``.
        depth: The range of images of more than 8 bits; see ``search.data.decode.decode``.
        notes: Lines for people, such as the number of skipped files, shown again whenever the cache is used.
        validation: How many of the training images, the last ones, are a validation part that the source has itself.
        groups: The group of each training image, which no split may divide; empty where there are no groups.
        left_out: The damaged images that were skipped, as they may be.
        image_files: The number of image files of each class, skipped ones included; only sources of files know it.
    """

    classes: tuple[str, ...]
    height: int
    width: int
    channels: int
    flip: bool
    train: Part
    test: Part
    method: str = "stretch"
    notes: tuple[str, ...] = ()
    depth: str = "refused"
    validation: int = 0
    groups: Sequence[str] = ()
    left_out: tuple[Damaged, ...] = ()
    image_files: Mapping[str, int] = field(default_factory=dict)


class Source(Protocol):
    """One source of images. Both methods raise ``InputError`` for whatever the user can correct."""

    @property
    def name(self) -> str:
        """What the user calls the source: a data set's name, an absolute path, or ``arrays``."""

    def request(self) -> dict[str, Any]:
        """Plain values that change whenever the images may have changed, found without decoding anything."""

    def read(self, say: Say) -> Loaded:
        """Check all images as far as that needs no decoding, which ``Part.fill`` does later."""

"""Prepared images: memory-mapped arrays, and what is known of them without opening the test images."""

import dataclasses
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from search.data.base import Labels, Pixels
from search.data.duplicates import duplicate_notes
from search.data.image_names import read_names
from search.data.splits import SplitRule
from search.data.thumbnails import thumbnails
from search.errors import InputError

META = "meta.json"
IMAGES = "images.npy"
LABELS = "labels.npy"
GROUPS = "groups.npy"
# The folder of the test images, which only the job opens that scores an export.
SEALED = "sealed"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dataset:
    """Decoded images in the cache.

    Attributes:
        folder: The folder that they are in, named by ``fingerprint``.
        fingerprint: A hash of the pixels, labels and class names of training and test images, and of how they were
            resized.
        source: What the user called the source: a data set's name, an absolute path, or ``arrays``.
        classes: The names of the classes, in label order.
        height: The images' height, in pixels.
        width: The images' width, in pixels.
        channels: 1 or 3.
        flip: Whether mirrored images still belong to their class, as far as the source tells; a study may differ.
        train_counts: The number of training images of each class, those for validation included.
        test_counts: The number of test images of each class.
        preprocessing: How a file becomes pixels, as plain values for JSON.
        duplicates: The numbers of images that occur twice (``search.data.duplicates.Duplicates``); empty if the images
            were prepared before these were counted.
        validation_images: How many of the training images, the last ones, are the data's own validation part; 0 where
            it has none.
        groups: The number of groups of training images that no split may divide; 0 where there are none.
        test_digest: Of the test images at whatever size, see ``search.data.originals``; empty if they were prepared
            before that was known.
    """

    folder: Path
    fingerprint: str
    source: str
    classes: tuple[str, ...]
    height: int
    width: int
    channels: int
    flip: bool
    train_counts: tuple[int, ...]
    test_counts: tuple[int, ...]
    preprocessing: dict[str, Any]
    duplicates: dict[str, int] = field(default_factory=dict)
    validation_images: int = 0
    groups: int = 0
    test_digest: str = ""

    def train(self) -> tuple[Pixels, Labels]:
        """Open the training images ``(N, H, W, C)``, uint8, and labels ``(N,)``, int64, memory-mapped and read-only.

        Raises:
            InputError: They are no longer in the cache.
        """
        return _open(self.folder, "training")

    def rule(self) -> SplitRule:
        """What the data says about how its training images may be split.

        Raises:
            InputError: The groups are no longer in the cache.
        """
        groups = _load(self.folder / GROUPS, "groups of training", self.folder) if self.groups else None
        return SplitRule(self.validation_images, groups)

    def duplicate_notes(self) -> list[str]:
        """Lines for people about images that are there twice, with the names of examples where these are known."""
        if not self.duplicates:
            return []
        sizes = sum(self.train_counts), sum(self.test_counts)
        known = read_names(self.folder, self.source, sizes[0]).notes
        return known or duplicate_notes(self.duplicates, *sizes)

    def test_names(self) -> list[str]:
        """What a person knows the test images by; empty where they have numbers alone.

        Only the job that scores an export may call this.
        """
        return read_names(self.folder / SEALED, self.source, sum(self.test_counts)).images

    def thumbnails(self, chosen: Sequence[int]) -> list[Pixels]:
        """Training images as a person knows them: their files in their own proportions, or else their pixels.

        Args:
            chosen: Their numbers.

        Returns:
            Of each ``(H, W, C)``, uint8; C may be 3 where the images are grey.
        """
        names = read_names(self.folder, self.source, sum(self.train_counts))
        return thumbnails(names, chosen, self.train()[0], self.preprocessing)

    def test_thumbnails(self, chosen: Sequence[int]) -> list[Pixels]:
        """As ``thumbnails``, of test images. Only an export may call this, once it has scored them."""
        names = read_names(self.folder / SEALED, self.source, sum(self.test_counts))
        return thumbnails(names, chosen, self.test()[0], self.preprocessing)

    def test(self) -> tuple[Pixels, Labels]:
        """Open the test images and labels, as ``train`` does. Only the job that scores an export may call this.

        Raises:
            InputError: They are no longer in the cache, or may not be read.
        """
        return _open(self.folder / SEALED, "test")


def open_dataset(folder: Path) -> Dataset:
    """Open the prepared images in a folder; the test images are not touched.

    Raises:
        InputError: There are none in that folder, or no longer.
    """
    try:
        meta: dict[str, Any] = json.loads((folder / META).read_text(encoding="utf-8"))
        if not (folder / IMAGES).is_file() or not (folder / LABELS).is_file():
            raise FileNotFoundError(folder / IMAGES)
        for name in ("classes", "train_counts", "test_counts"):
            meta[name] = tuple(meta[name])
        known = {field.name for field in dataclasses.fields(Dataset)}
        unknown = sorted(meta.keys() - known)
        dataset = Dataset(
            folder=folder.absolute(), **{name: value for name, value in meta.items() if name in known}
        )
    # What another version, or nobody of ours, has written may lack a key, or be no object at all.
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"no prepared images in {folder}: expected what an earlier run left there; run again with --data"
        ) from error
    if unknown:
        logger.warning(
            "the prepared images in %s were written by another version of this program: %s not read",
            folder,
            ", ".join(unknown),
        )
    return dataset


def _open(folder: Path, what: str) -> tuple[Pixels, Labels]:
    whole = folder.parent if what == "test" else folder
    return _load(folder / IMAGES, what, whole), _load(folder / LABELS, what, whole)


def _load(file: Path, what: str, whole: Path) -> Any:
    try:
        return np.load(file, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:  # NumPy raises the last of an empty file.
        raise InputError(
            f"the prepared {what} images in {file.parent} cannot be opened ({type(error).__name__}): make them "
            f"readable, or delete {whole} and prepare the data again"
        ) from error

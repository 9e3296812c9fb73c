"""Prepared images: memory-mapped arrays, and what is known of them without opening the test split."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from search.data.source import Labels, Pixels
from search.errors import InputError

META = "meta.json"
IMAGES = "images.npy"
LABELS = "labels.npy"
# The test split lies in a folder of its own, which nothing but an export's scoring job opens.
SEALED = "sealed"


@dataclass(frozen=True)
class Dataset:
    """Images that were decoded once and lie in the cache, whole.

    Attributes:
        folder: Where; named by ``fingerprint``.
        fingerprint: Hash of pixels, labels and class names of training and test images, and of how they were
            resized: equal content, equal name.
        source: Where they came from, as said: a name, an absolute path, or ``arrays``.
        classes: Names, in label order.
        height: Pixels.
        width: Pixels.
        channels: 1 or 3.
        flip: Whether mirrored images are still of their class, as far as the source tells: a default.
        train_counts: Training images of each class, validation included.
        test_counts: Test images of each class: all that leaves the test split before an export.
        preprocessing: How a file becomes pixels, as plain values for JSON.
        duplicates: Images that are there twice: see ``search.data.duplicates.count_duplicates``; empty if they were
            prepared before that was counted.
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

    def train(self) -> tuple[Pixels, Labels]:
        """Training images ``(N, H, W, C)`` uint8 and labels ``(N,)`` int64, memory-mapped and read-only.

        Raises:
            InputError: They are gone from the cache.
        """
        return _open(self.folder, "training")

    def test(self) -> tuple[Pixels, Labels]:
        """Test images and labels, as ``train`` gives them. Only the job that scores an export may call this.

        Raises:
            InputError: They are gone from the cache, or may not be read.
        """
        return _open(self.folder / SEALED, "test")


def open_dataset(folder: Path) -> Dataset:
    """Open prepared images by their folder; the test split is not touched.

    Raises:
        InputError: There are none in that folder (any more).
    """
    try:
        meta: dict[str, Any] = json.loads((folder / META).read_text(encoding="utf-8"))
        if not (folder / IMAGES).is_file() or not (folder / LABELS).is_file():
            raise FileNotFoundError(folder / IMAGES)
    except (OSError, ValueError) as error:
        raise InputError(
            f"no prepared images in {folder}: expected what an earlier run left there; run again with --data"
        ) from error
    for name in ("classes", "train_counts", "test_counts"):
        meta[name] = tuple(meta[name])
    return Dataset(folder=folder, **meta)


def _open(folder: Path, what: str) -> tuple[Pixels, Labels]:
    try:
        return np.load(folder / IMAGES, mmap_mode="r"), np.load(folder / LABELS, mmap_mode="r")
    except (OSError, ValueError) as error:
        whole = folder.parent if what == "test" else folder
        raise InputError(
            f"the prepared {what} images in {folder} cannot be opened ({type(error).__name__}): make them "
            f"readable, or "
            f"delete {whole} and prepare the data again"
        ) from error

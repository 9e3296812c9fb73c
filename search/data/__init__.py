"""Where images come from: any source is decoded once into a cache that all processes map.

Nothing here ever loads Keras or TensorFlow.
"""

import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from search.config import RESIZES, check_choice, check_number
from search.data.arrays import array_source
from search.data.cache import cache_root, find, request_key, sole_writer, write
from search.data.dataset import Dataset, open_dataset
from search.data.decode import decode
from search.data.digits import DigitsSource
from search.data.folder import FolderSource
from search.data.folds import fold, training_split
from search.data.keras_sets import KERAS_SETS, KerasSource
from search.data.npz import NpzSource
from search.data.sizing import STRETCH, Sizing
from search.data.source import Say, Source
from search.data.splits import Split, split
from search.errors import InputError

__all__ = [
    "Dataset",
    "Split",
    "cache_root",
    "decode",
    "fold",
    "open_dataset",
    "prepare",
    "split",
    "training_split",
]


def prepare(
    data: str | Path | Sequence[Any],
    *,
    image_size: int | None = None,
    resize: str = STRETCH,
    test: float = 0.2,
    seed: int = 0,
    cache: Path | None = None,
    say: Say = print,
    enlarge: bool = True,
) -> Dataset:
    """Find prepared images in the cache, or decode them into it.

    Args:
        data: A Keras data set's name, ``digits``, the path of an ``.npz`` file or of a folder of images, or
            the arrays ``(x_train, y_train, x_test, y_test)``.
        image_size: Resize all images to squares of this side; needed where they have several sizes.
        resize: How: ``stretch``, ``fit`` (letterboxed) or ``crop`` (the middle); prediction does it the same way.
        test: Fraction set aside as test images, stratified, where the source does not bring its own.
        seed: Of that draw.
        cache: Folder of prepared images; by default ``cache_root()``.
        say: Takes lines for a person: progress, skipped files.
        enlarge: See ``search.data.sizing.Sizing``.

    Raises:
        InputError: The data cannot be used; the message says why and what to do.
    """
    if image_size is not None:
        check_number("--image-size", image_size, 4, 2048)
    check_choice("--resize", resize, RESIZES)
    check_number("--test", test, 0.01, 0.9)
    check_number("--seed", seed, 0, 2**31 - 1)
    source = _source(data, Sizing(image_size, resize, enlarge), test, seed)
    cache = cache_root() if cache is None else Path(cache)
    key = request_key(source.request())
    if (found := find(cache, key, say)) is not None:
        return found
    # Pillow warns of half the size that it refuses; a photograph of 100 megapixels is none of its user's mistakes.
    unwarned = warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning)
    with unwarned, sole_writer(cache, key, say):
        if (found := find(cache, key, say)) is not None:
            return found
        started = time.monotonic()
        dataset = write(cache, key, source.said, source.read(say), say)
    say(
        f"prepared {sum(dataset.train_counts):,} training and {sum(dataset.test_counts):,} test images of "
        f"{len(dataset.classes)} classes in {time.monotonic() - started:.1f} s, into {dataset.folder}"
    )
    return dataset


def _source(data: str | Path | Sequence[Any], sizing: Sizing, test: float, seed: int) -> Source:
    if not isinstance(data, (str, Path)):
        return array_source(data, sizing)
    if data in KERAS_SETS:
        return KerasSource(str(data), sizing)
    if data == "digits":
        return DigitsSource(sizing, test, seed)
    path = Path(data).expanduser().absolute()
    if data and path.is_dir():
        return FolderSource(path, sizing, test, seed)
    known = (
        f"one of {', '.join(sorted([*KERAS_SETS, 'digits']))}, an .npz file, or a folder with a folder "
        f"for each class"
    )
    if not data or not path.exists():
        raise InputError(f"--data {str(data)!r}: no such data set, file or folder; expected {known}")
    if path.suffix != ".npz":
        raise InputError(
            f"--data {path}: a file, but not an .npz; expected {known} (an archive must be unpacked first)"
        )
    return NpzSource(path, sizing)

"""From what a user names as data to images in the cache."""

import dataclasses
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from search.config.option import check_choice, check_number
from search.config.settings import RESIZES
from search.data.arrays import array_source
from search.data.base import Say, Source, log_line
from search.data.cache import cache_root, find_prepared, request_key, sole_writer, write_prepared
from search.data.damage import DamagedImages, damage_lines, damage_words, write_listing
from search.data.dataset import Dataset
from search.data.digits import DigitsSource
from search.data.folder import FolderSource
from search.data.keras_datasets import KERAS_SETS, KerasSource
from search.data.npz import NpzSource
from search.data.resizing import STRETCH, Sizing
from search.errors import InputError
from search.formatting import count


def prepare(
    data: str | Path | Sequence[Any],
    *,
    image_size: int | None = None,
    resize: str = STRETCH,
    test: float = 0.2,
    seed: int = 0,
    cache: Path | None = None,
    say: Say = log_line,
    enlarge: bool = True,
    skip_damaged: bool = False,
    classes: Sequence[str] = (),
) -> Dataset:
    """Find prepared images in the cache, or decode them into it.

    Args:
        data: The name of one of Keras's data sets, ``digits``, the path of an ``.npz`` file or of a folder of images,
            or the arrays ``(x_train, y_train, x_test, y_test)``.
        image_size: Resize all images to squares of this side, in pixels. It is needed if they have several sizes.
        resize: How to resize: ``stretch``, ``fit`` (with bars) or ``crop`` (to the middle). Prediction does the same.
        test: The fraction of the images to set aside as test images, stratified, if the source has none of its own.
        seed: The seed with which the test images are drawn.
        cache: The folder of prepared images; by default ``cache_root()``.
        say: Takes lines for people, about progress and skipped files.
        enlarge: See ``search.data.resizing.Sizing``.
        skip_damaged: Go on without image files that are damaged or cannot be opened here.
        classes: The classes of a study that is to find its images again; see ``search.data.class_order.in_order``.

    Raises:
        InputError: The data cannot be used; the message says why and what to do.
    """
    if image_size is not None:
        check_number("--image-size", image_size, 4, 2048)
    check_choice("--resize", resize, RESIZES)
    check_number("--test", test, 0.01, 0.9)
    check_number("--seed", seed, 0, 2**31 - 1)
    source = _source(data, Sizing(image_size, resize, enlarge), test, seed, skip_damaged, classes)
    cache = cache_root() if cache is None else Path(cache)
    key = request_key(source.request())
    if (found := find_prepared(cache, key, say)) is not None:
        return found
    # Pillow warns from half the size on that it refuses; a photograph of 100 megapixels is no mistake.
    unwarned = warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning)
    with unwarned, sole_writer(cache, key, say):
        if (found := find_prepared(cache, key, say)) is not None:
            return found
        started = time.monotonic()
        dataset = _write(cache, key, source, say)
    say(
        f"prepared {sum(dataset.train_counts):,} training and {sum(dataset.test_counts):,} test images of "
        f"{len(dataset.classes)} classes in {time.monotonic() - started:.1f} s, into {dataset.folder}"
    )
    return dataset


def _write(cache: Path, key: str, source: Source, say: Say) -> Dataset:
    """Read a source into the cache; damaged files end that, or are said to be skipped, with all of their names."""
    listing = cache / "requests" / f"{key}.damaged.txt"
    try:
        loaded = source.read(say)
        if damaged := loaded.left_out:
            write_listing(listing, damaged)
            words = damage_words(damaged, loaded.image_files, listing)
            note = f"warning: --skip-damaged goes on without {count(len(damaged), 'image file')}: {words}"
            loaded = dataclasses.replace(loaded, notes=(*loaded.notes, note))
        return write_prepared(cache, key, source.name, loaded, say)
    except DamagedImages as error:
        write_listing(listing, error.damaged)
        for line in damage_lines(error.damaged):
            say(line)
        raise error.listed_in(listing) from error


def _source(
    data: str | Path | Sequence[Any],
    sizing: Sizing,
    test: float,
    seed: int,
    skip_damaged: bool,
    classes: Sequence[str],
) -> Source:
    if not isinstance(data, (str, Path)):
        return array_source(data, sizing, classes)
    if data in KERAS_SETS:
        return KerasSource(str(data), sizing)
    if data == "digits":
        return DigitsSource(sizing, test, seed)
    path = Path(data).expanduser().absolute()
    if data and path.is_dir():
        return FolderSource(path, sizing, test, seed, skip_damaged, classes)
    names = ", ".join(sorted([*KERAS_SETS, "digits"]))
    known = f"one of {names}, an .npz file, or a folder with a folder for each class"
    if not data or not path.exists():
        raise InputError(f"--data {str(data)!r}: no such data set, file or folder; expected {known}")
    if path.suffix != ".npz":
        raise InputError(
            f"--data {path}: a file, but not an .npz; expected {known} (an archive must be unpacked first)"
        )
    return NpzSource(path, sizing, classes)

"""From what a user names as data to images in the cache."""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from search.config.option import check_choice, check_number
from search.config.study_settings import RESIZES
from search.config.value_types import as_image_size, as_path
from search.data.archive import is_archive, unpack
from search.data.arrays import array_source
from search.data.base import Say, Source, log_line
from search.data.cache import cache_root, find_prepared, request_key, sole_writer, write_prepared
from search.data.damage import DamagedImages, damage_lines, damage_words, write_listing
from search.data.dataset import Dataset
from search.data.digits import DIGITS, DigitsSource
from search.data.file_source import FileSource
from search.data.folder import FolderSource
from search.data.groups import check_pattern
from search.data.image_files import without_pillow_warnings
from search.data.keras_datasets import KERAS_SETS, KerasSource
from search.data.layout import Layout, refuse_masks, refuse_two_levels, understand
from search.data.npz import NpzSource
from search.data.resizing import STRETCH, Sizing
from search.data.table import is_table, mixed_folder
from search.data.table_source import TableSource
from search.errors import InputError
from search.formatting import count

# What ``--data`` takes for a known set, whatever lies in this folder.
BY_NAME = (*KERAS_SETS, DIGITS)


def prepare(
    data: str | Path | Sequence[Any],
    *,
    image_size: int | str | tuple[int, int] | None = None,
    resize: str = STRETCH,
    test: float = 0.2,
    seed: int = 0,
    cache: str | Path | None = None,
    say: Say = log_line,
    enlarge: bool = True,
    skip_damaged: bool = False,
    classes: Sequence[str] = (),
    groups: str | None = None,
    validation_part: bool = True,
) -> Dataset:
    """Find prepared images in the cache, or decode them into it.

    Args:
        data: The name of one of Keras's data sets, ``digits``, the path of an ``.npz`` file, of a folder of images, of
            a zip or tar of one, or of a table of images and labels; or the arrays ``(x_train, y_train, x_test,
            y_test)``.
        image_size: Resize all images to this size in pixels, the side of a square, or height and width as ``32x64`` or
            ``(32, 64)``. It is needed if they have several sizes.
        resize: How to resize: ``stretch``, ``fit`` (with bars) or ``crop`` (to the middle). Prediction does the same.
        test: The fraction of the images to set aside as test images, stratified, if the source has none of its own.
        seed: The seed with which the test images are drawn. A study draws them with 0, whatever its own seed, so that
            all studies of the same data are tested on the same images.
        cache: The folder of prepared images; by default ``cache_root()``.
        say: Takes lines for people, about progress and skipped files.
        enlarge: See ``search.data.resizing.Sizing``.
        skip_damaged: Go on without image files that are damaged or cannot be opened here.
        classes: The classes of a study that is to find its images again; see ``search.data.class_order.in_order``.
        groups: What no split may divide, see ``TrialSettings``; only image files have groups.
        validation_part: Whether a validation part that a folder has beside train and test is used. False for a study of
            an older version, which has left it out.

    Raises:
        InputError: The data cannot be used; the message says why and what to do.
    """
    if isinstance(data, str) and data in BY_NAME and Path(data).is_dir():
        say(
            f"warning: {data} is the known data set of this name; to take the folder here, pass --data ./{data}"
        )
    size = None if image_size is None else as_image_size("--image-size", image_size)
    check_choice("--resize", resize, RESIZES)
    check_number("--test", test, 0.01, 0.9)
    check_number("--seed", seed, 0, 2**31 - 1)
    cache = cache_root() if cache is None else as_path("--cache", cache)
    asked: dict[str, Any] = {"sizing": Sizing(size, resize, enlarge), "test": test, "seed": seed}
    files = {"skip_damaged": skip_damaged, "classes": classes, "groups": groups}
    of_files = file_source(data, validation_part, cache, say, **asked, **files)
    source: Source = of_files or _other_source(data, classes=classes, groups=groups, **asked)
    key = request_key(source.request())
    if (found := find_prepared(cache, key, say)) is not None:
        return found
    with without_pillow_warnings(), sole_writer(cache, key, say):
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


def file_source(
    data: str | Path | Sequence[Any], validation_part: bool, cache: Path, say: Say, **asked: Any
) -> FileSource | None:
    """The source of image files in a folder or an archive, or named by a table; None if the data is none of these."""
    if not isinstance(data, (str, Path)) or not data or data in BY_NAME:
        return None
    path = as_path("--data", data).absolute()
    try:
        path.exists()  # It raises where a name is too long, or a folder may not be looked into.
    except OSError as error:
        raise InputError(
            f"--data {path}: cannot be looked at ({error.strerror}); name data that can be, or make it readable"
        ) from None
    if path.is_file() and is_table(path):
        return TableSource(table=path, path=path.parent, name=str(path), **asked)
    if path.is_dir():
        folder = path
    elif path.is_file() and is_archive(path):
        folder = unpack(path, cache, say)
    else:
        return None
    layout = understand(folder)
    return _laid_out(layout if validation_part else layout.without_validation(), path, folder, asked)


def _laid_out(layout: Layout, path: Path, folder: Path, asked: dict[str, Any]) -> FileSource:
    """The source of a folder's images: its folders of classes, or else the table that lies in it.

    Args:
        layout: What the folder was understood as.
        path: What the user named: the folder, or the archive of it.
        folder: The folder, absolute.
        asked: The settings of any source of files.

    Raises:
        InputError: There are two readings, or neither folders of classes nor one table.
    """
    if layout.has_classes or not layout.tables:
        if asked["groups"] is not None:
            check_pattern(asked["groups"])
        # A study that finds its images again knows what its classes are.
        for table in () if asked["classes"] else layout.tables:
            if folder_of_several := mixed_folder(table):
                raise InputError(
                    f"--data {path}: has folders that may be classes, but {table.name} gives the images in "
                    f"{folder_of_several}/ several labels: expected one reading; to take its labels pass --data "
                    f"{table}, to take the folders' names move it elsewhere"
                )
        if not asked["classes"]:
            refuse_masks(layout)
            if asked["groups"] is None:  # Groups are mostly such inner folders, in each class again.
                refuse_two_levels(layout)
        return FolderSource(layout=layout, path=folder, name=str(path), **asked)
    if len(layout.tables) > 1:
        names = ", ".join(table.name for table in layout.tables)
        raise InputError(
            f"--data {path}: has no folders of classes, and the tables {names}: expected one, with a column split for "
            "its parts; pass it as --data"
        )
    table = layout.tables[0]
    return TableSource(table=table, path=table.parent, name=str(path), sealed=folder != path, **asked)


def _other_source(
    data: str | Path | Sequence[Any],
    sizing: Sizing,
    test: float,
    seed: int,
    classes: Sequence[str],
    groups: str | None,
) -> Source:
    """The source of images that are no files of their own."""
    if groups is not None:
        kind = data if isinstance(data, (str, Path)) else "arrays"
        raise InputError(
            f"--groups '{groups}': data ({kind}) has no image files, whose names or table would tell the groups; "
            "expected a folder, an archive or a table, or leave --groups out"
        )
    if not isinstance(data, (str, Path)):
        return array_source(data, sizing, classes)
    if data in KERAS_SETS:
        return KerasSource(str(data), sizing)
    if data == DIGITS:
        return DigitsSource(sizing, test, seed)
    path = as_path("--data", data).absolute()
    names = ", ".join(sorted(BY_NAME))
    known = (
        f"one of {names}, a folder with a folder for each class, a zip or tar of one, a table (.csv, .tsv, .parquet), "
        "or an .npz file"
    )
    if not data or not path.exists():
        raise InputError(f"--data {str(data)!r}: no such data set, file or folder; expected {known}")
    if path.suffix.lower() != ".npz":
        raise InputError(f"--data {path}: a file of another kind; expected {known}")
    return NpzSource(path, sizing, classes)

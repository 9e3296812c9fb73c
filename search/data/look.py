"""A look at images before any is decoded: how many there are, of how many classes, and how large they are.

Whatever ``--data`` takes is looked at in the same way. What is wrong with it is refused here as when it is prepared.
"""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from search.data.base import Labels, Say, log_line
from search.data.decode import read_header
from search.data.digits import DIGITS
from search.data.file_source import FileSource
from search.data.found_files import ClassImages, trained_on
from search.data.keras_datasets import KERAS_SETS
from search.data.part_names import TEST, VALIDATION
from search.data.preparation import file_source
from search.data.resizing import Sizing
from search.data.threads import map_in_threads
from search.errors import InputError

# So many headers, evenly over all files, tell of what sizes the images are; all are read when they are decoded.
HEADERS = 1000
# Sets that are known by name: training images, classes, and the side in pixels.
KNOWN = {DIGITS: (1797, 10, 8)}  # These have no test images of their own.
KNOWN |= {name: (50_000, len(found.classes), 32) for name, found in KERAS_SETS.items() if "cifar" in name}
KNOWN |= {name: (60_000, len(found.classes), 28) for name, found in KERAS_SETS.items() if "mnist" in name}


@dataclass(frozen=True)
class Look:
    """What a look at some data has shown.

    Attributes:
        training: Number of training images, the validation part included; about, where test images are to be drawn.
        classes: Number of classes.
        fewest: Training images of the smallest class, about as ``training``; 0 where only the images would tell.
        least: The shortest side of an image, in pixels.
        most: The longest side of an image, in pixels.
        equal: Whether all images have one size.
        validated: Number of images of a validation part; 0 where there is none.
        names: Of the classes; empty where only the images would tell.
        labels: Class numbers of the training images ``(N,)``, those of the validation part last, where no file is
            damaged; of sets known by name as if all classes had as many. None where only the images would tell.
    """

    training: int
    classes: int
    fewest: int
    least: int
    most: int
    equal: bool
    validated: int = 0
    names: Sequence[str] = field(default=(), compare=False)
    labels: Labels | None = field(default=None, compare=False)


def look_at(
    data: str | Path | Sequence[Any],
    *,
    test: float,
    groups: str | None,
    cache: Path,
    say: Say = log_line,
) -> Look | None:
    """Look at data; None where it is of a kind that only its preparation can judge.

    Args:
        data: As ``prepare`` takes it.
        test: The fraction of the images to set aside where no test images are given.
        groups: As ``prepare`` takes it.
        cache: An archive is unpacked into it.
        say: Takes lines for people.

    Raises:
        InputError: The data cannot be used.
    """
    if isinstance(data, str) and data in KNOWN:
        training, classes, side = KNOWN[data]
        training = round((1 - test) * training) if data == DIGITS else training
        names = KERAS_SETS[data].classes if data in KERAS_SETS else tuple(map(str, range(classes)))
        even = np.arange(training) % classes
        return Look(training, classes, 0, side, side, equal=True, names=names, labels=even)
    settings: dict[str, Any] = {"sizing": Sizing(), "test": test, "seed": 0, "skip_damaged": True}
    source = file_source(data, True, cache, say, **settings, classes=(), groups=groups)
    if source is not None:
        return _at_files(source, test, say)
    shape, labels = _of_npz(Path(data)) if isinstance(data, str | Path) else _of_arrays(data)
    if len(shape) not in (3, 4):
        return None
    sides = [int(side) for side in shape[1:3]]
    return Look(int(shape[0]), labels, 0, min(sides), max(sides), equal=True)


def _at_files(source: FileSource, test: float, say: Say) -> Look | None:
    images = source.find().images
    paths = [path for of_class in images.values() for files in of_class.values() for path in files]
    chosen = (
        [paths[place] for place in np.unique(np.linspace(0, len(paths) - 1, HEADERS).astype(int))]
        if paths
        else []
    )
    headers, _ = map_in_threads(lambda index: read_header(chosen[index]), chosen, "looked at", say)
    sizes = [(header.height, header.width) for header in headers if header is not None]
    if not sizes:
        return None
    kept = 1.0 if TEST in images else 1.0 - test
    training = {name: kept * len(files) for name, files in trained_on(images).items()}
    validation = sum(len(files) for files in images.get(VALIDATION, {}).values())
    return Look(
        round(sum(training.values())) + validation,
        len(training),
        int(min(training.values(), default=0)),
        min(map(min, sizes)),
        max(map(max, sizes)),
        equal=len(set(sizes)) == 1,
        validated=validation,
        names=tuple(training),
        labels=_labels(source, images),
    )


def _labels(source: FileSource, images: Mapping[str, ClassImages]) -> Labels | None:
    """As ``Look.labels``."""
    if source.groups is not None:  # They stay whole, and are known where the images are prepared.
        return None
    try:
        return source.training_labels(images)
    except InputError:  # What is wrong is said where they are prepared.
        return None


def _of_npz(path: Path) -> tuple[Sequence[int], int]:
    """The shape of an ``.npz`` file's training images, by their header alone, and the number of classes."""
    if not path.expanduser().is_file():  # A pipe would be waited for.
        return (), 0
    try:
        with zipfile.ZipFile(path.expanduser()) as file, file.open("x_train.npy") as array:
            version = np.lib.format.read_magic(array)
            shape, _, _ = getattr(np.lib.format, f"read_array_header_{version[0]}_0")(array)
        with np.load(path.expanduser(), allow_pickle=False) as arrays:
            return shape, len(np.unique(arrays["y_train"]))
    except Exception:  # What is wrong with it is said where it is prepared.
        return (), 0


def _of_arrays(data: Sequence[Any]) -> tuple[Sequence[int], int]:
    try:
        images, labels, *_ = data
        return np.shape(images), len(np.unique(labels))
    except (ValueError, TypeError):
        return (), 0

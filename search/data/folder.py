"""A folder of image files: ``train/<class>/`` and ``test/<class>/``, or ``<class>/`` alone."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from search.data.base import Loaded, Part, Say
from search.data.decode import Header, decode_all, map_in_threads, read_header
from search.data.resizing import Sizing
from search.data.splits import TEST, hold_out
from search.errors import InputError

JPEG = (".jpg", ".jpeg", ".jpe", ".jfif", ".jp2")
OTHER = (".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".tga")
IMAGE_ENDINGS = JPEG + OTHER


class File(NamedTuple):
    """One file in a class's folder, with its size and its time of change in nanoseconds."""

    path: str
    size: int
    time: int


ClassFiles = dict[str, list[File]]


@dataclass(frozen=True)
class FolderSource:
    """A folder of images. If it has no ``test/``, a stratified part is set aside as test images."""

    path: Path
    sizing: Sizing
    test: float
    seed: int

    @property
    def name(self) -> str:
        """The absolute path."""
        return str(self.path)

    @cached_property
    def parts(self) -> dict[str, ClassFiles]:
        """The files of each class under ``train`` and ``test``, or all of them under an empty name."""
        inside = _folders(self.path)
        if "train" in inside and "test" in inside:
            return {part: _class_files(self.path / part) for part in ("train", "test")}
        if inside == ["train"]:
            raise InputError(
                f"--data {self.path}: has train/ but no test/: expected both; to set a part of train/ aside as test "
                f"images, pass --data {self.path / 'train'}"
            )
        return {"": _class_files(self.path)}

    def request(self) -> dict[str, Any]:
        """The path, size and time of every file; none is opened."""
        drawn = {"test": self.test, "seed": self.seed} if "" in self.parts else {}
        return {
            "kind": "folder",
            "path": str(self.path),
            "files": self.parts,
            **self.sizing.request(),
            **drawn,
        }

    def read(self, say: Say) -> Loaded:
        """Tell images from other files, read every image's header, and set test images aside."""
        images, skipped = _only_images(self.parts)
        classes = self._check_classes(images)
        train, train_labels = _flatten(images.get("train", images.get("", {})), classes)
        test, test_labels = _flatten(images.get("test", {}), classes)
        if "" in images:
            held = hold_out(
                train_labels,
                self.test,
                [self.seed, TEST],
                f"--test {self.test:g} and a validation split",
                3,
                classes,
            )
            rest = np.setdiff1d(np.arange(len(train)), held, assume_unique=True)
            test, test_labels = [train[index] for index in held], train_labels[held]
            train, train_labels = [train[index] for index in rest], train_labels[rest]
        paths = train + test
        say(f"reading {len(paths):,} image files in {self.path}")
        headers = map_in_threads(lambda index: read_header(paths[index]), len(paths), "looked at", say)
        height, width = self._size(headers)
        return Loaded(
            classes=classes,
            height=height,
            width=width,
            channels=1 if all(header.grey for header in headers) else 3,
            flip=True,
            train=Part(train_labels, partial(decode_all, train, self.sizing.method)),
            test=Part(test_labels, partial(decode_all, test, self.sizing.method)),
            method=self.sizing.method,
            notes=tuple(self._notes(skipped, images)),
        )

    def _check_classes(self, images: dict[str, ClassFiles]) -> tuple[str, ...]:
        for part, of_class in images.items():
            where = self.path / part if part else self.path
            if not any(of_class.values()):
                raise InputError(
                    f"--data {where}: no images in it; expected a folder of images for each class"
                )
            for name, files in of_class.items():
                if not files:
                    raise InputError(
                        f"--data {where}: class {name!r} has no images; add some or remove that folder"
                    )
        classes = tuple(images.get("train", images.get("", {})))
        if len(classes) < 2:
            raise InputError(
                f"--data {self.path}: one class ({classes[0]!r}): expected a folder for each of two or more"
            )
        if strange := [name for name in images.get("test", {}) if name not in classes]:
            raise InputError(
                f"--data {self.path}: test/ has the class {strange[0]!r}, which train/ has not: expected the same "
                "classes"
            )
        return classes

    def _size(self, headers: Sequence[Header]) -> tuple[int, int]:
        sizes = Counter((header.height, header.width) for header in headers)
        if len(sizes) == 1:
            return self.sizing.of(*next(iter(sizes)))
        if self.sizing.side is None:
            low, high = min(min(size) for size in sizes), max(max(size) for size in sizes)
            raise InputError(
                f"--data {self.path}: images of {len(sizes)} sizes (sides from {low} to {high} pixels): pass the one "
                "to resize them all to, such as --image-size 64"
            )
        return self.sizing.side, self.sizing.side

    def _notes(self, skipped: Sequence[str], images: dict[str, ClassFiles]) -> list[str]:
        notes = []
        if skipped:
            several = f"{len(skipped):,} files that are no images"
            count = "1 file that is no image" if len(skipped) == 1 else several
            notes.append(f"warning: skipped {count} in {self.path} (the first is {skipped[0]})")
        if "test" in images:
            if missing := [name for name in images["train"] if name not in images["test"]]:
                notes.append(f"warning: test/ has no images of {', '.join(missing)}")
            if other := [name for name in _folders(self.path) if name not in ("train", "test")]:
                notes.append(
                    f"warning: only train/ and test/ of {self.path} are used, not {', '.join(other)}"
                )
        return notes


def _folders(path: Path) -> list[str]:
    """The sorted names of the folders in a folder, without hidden ones and what unpacking leaves (``__MACOSX``)."""
    try:
        with os.scandir(path) as entries:
            return sorted(
                entry.name for entry in entries if entry.is_dir() and not entry.name.startswith((".", "__"))
            )
    except OSError as error:
        raise InputError(
            f"--data {path}: this folder cannot be read ({error.strerror}); make it readable"
        ) from error


def _class_files(path: Path) -> ClassFiles:
    names = _folders(path)
    if not names:
        what = "an empty folder" if not any(path.iterdir()) else "no folders in it"
        raise InputError(
            f"--data {path}: {what}; expected train/<class>/ and test/<class>/, or <class>/, with images inside"
        )
    return {name: _files(path / name) for name in names}


def _files(folder: Path) -> list[File]:
    try:
        with os.scandir(folder) as entries:
            found = []
            for entry in entries:
                if entry.is_file():
                    status = entry.stat()
                    found.append(File(entry.path, status.st_size, status.st_mtime_ns))
            return sorted(found)
    except OSError as error:
        raise InputError(
            f"--data {folder}: this folder cannot be read ({error.strerror}); make it readable"
        ) from error


def _only_images(parts: dict[str, ClassFiles]) -> tuple[dict[str, ClassFiles], list[str]]:
    skipped: list[str] = []
    images: dict[str, ClassFiles] = {}
    for part, of_class in parts.items():
        images[part] = {}
        for name, files in of_class.items():
            others = {file.path for file in files if not _is_image(file.path)}
            images[part][name] = [file for file in files if file.path not in others]
            skipped += sorted(others)
    return images, skipped


def _is_image(path: str) -> bool:
    """Whether a file is an image, by its ending or else its first bytes. A damaged ``.jpg`` is one, to be reported."""
    name = Path(path).name
    if name.startswith("."):
        return False
    if name.lower().endswith(IMAGE_ENDINGS):
        return True
    try:
        with Image.open(path):
            return True
    except Image.DecompressionBombError:
        return True  # It is reported when it is decoded.
    except Exception:
        return False


def _flatten(of_class: ClassFiles, classes: Sequence[str]) -> tuple[list[str], Any]:
    paths = [file.path for name in classes for file in of_class.get(name, [])]
    counts = [len(of_class.get(name, [])) for name in classes]
    return paths, np.repeat(np.arange(len(classes), dtype=np.int64), counts)

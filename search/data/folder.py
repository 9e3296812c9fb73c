"""A folder of image files: ``train/<class>/`` and ``test/<class>/``, or ``<class>/`` alone."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from search.data.base import Labels, Loaded, Part, Pixels, Say
from search.data.class_order import in_order, order_request
from search.data.common_range import common_range
from search.data.damage import Damaged, DamagedImages
from search.data.decode import Header, decode, decode_all, map_in_threads, read_header
from search.data.deep_files import Deep
from search.data.image_files import IMAGE_ENDINGS, FolderContent, is_image, is_passed_over, look_into
from search.data.pixel_range import RULE
from search.data.resizing import Sizing
from search.data.splits import TEST, hold_out
from search.errors import InputError
from search.formatting import count

ClassFolders = dict[str, FolderContent]
# The paths of the image files of each class.
ClassImages = dict[str, list[str]]


class Images(NamedTuple):
    """Image files with their classes.

    Attributes:
        paths: Of the files, ``N``, class by class.
        labels: Their class numbers, ``(N,)``, int64.
    """

    paths: list[str]
    labels: Labels

    def at(self, places: Labels) -> "Images":
        """Those at these places ``(M,)``."""
        return Images([self.paths[place] for place in places], self.labels[places])

    def without(self, paths: Mapping[str, str]) -> "Images":
        """Those that are not among ``paths``."""
        return self.at(
            np.array([place for place, path in enumerate(self.paths) if path not in paths], np.int64)
        )


@dataclass(frozen=True)
class FolderSource:
    """A folder of images. If it has no ``test/``, a stratified part is set aside as test images.

    Attributes:
        path: The folder, absolute.
        sizing: How to resize the images.
        test: The fraction of the images to set aside.
        seed: Of their draw.
        skip_damaged: Whether to go on without images that cannot be decoded.
        classes: The classes of a study that is to find its images again; see ``search.data.class_order.in_order``.
    """

    path: Path
    sizing: Sizing
    test: float
    seed: int
    skip_damaged: bool = False
    classes: Sequence[str] = ()

    @property
    def name(self) -> str:
        """The absolute path."""
        return str(self.path)

    @cached_property
    def parts(self) -> dict[str, ClassFolders]:
        """The folders of each class under ``train`` and ``test``, or all of them under an empty name."""
        inside = _folders(self.path)
        if "train" in inside and "test" in inside:
            return {part: self._class_folders(self.path / part) for part in ("train", "test")}
        if inside == ["train"]:
            raise InputError(
                f"--data {self.path}: has train/ but no test/: expected both; to set a part of train/ aside as test "
                f"images, pass --data {self.path / 'train'}"
            )
        return {"": self._class_folders(self.path)}

    @cached_property
    def loose(self) -> list[str]:
        """Image files that lie beside the folders of classes, sorted, by their endings alone."""
        folders = [self.path / part for part in dict.fromkeys(["", *self.parts])]
        return sorted(
            entry.path
            for folder in folders
            for entry in os.scandir(folder)
            if entry.name.lower().endswith(IMAGE_ENDINGS)
            and not entry.name.startswith(".")
            and entry.is_file()
        )

    def request(self) -> dict[str, Any]:
        """The path, size and time of every file; none is opened."""
        drawn = {"test": self.test, "seed": self.seed} if "" in self.parts else {}
        of_part = {
            part: {name: content.files for name, content in folders.items()}
            for part, folders in self.parts.items()
        }
        return {
            "kind": "folder",
            "path": str(self.path),
            "files": of_part,
            "range_rule": RULE,
            **self.sizing.request(),
            **drawn,
            **order_request(list(self.parts.get("train", self.parts.get("", {})))),
            # What older versions did not look at, or had no choice of, is left out where there is none of it.
            **({"loose": self.loose} if self.loose else {}),
            **({"skip_damaged": True} if self.skip_damaged else {}),
        }

    def read(self, say: Say) -> Loaded:
        """Tell images from other files, read every image's header, and set test images aside."""
        images, others = _only_images(self.parts)
        classes = self._check_classes(images)
        train = _flatten(images.get("train", images.get("", {})), classes)
        test = _flatten(images.get("test", {}), classes)
        paths = train.paths + test.paths
        say(f"reading {len(paths):,} image files in {self.path}{_deeper(images, self.parts)}")
        shape, deep, damaged = self._look_at(paths, images, say)
        if damaged:
            train, test = train.without(damaged), test.without(damaged)
            self._check_left(train, classes)
        if "" in images:
            flag = f"--test {self.test:g} and a validation split"
            held = hold_out(train.labels, self.test, [self.seed, TEST], flag, 3, classes)
            rest = np.setdiff1d(np.arange(len(train.paths)), held, assume_unique=True)
            train, test = train.at(rest), train.at(held)
        depth, said = common_range(
            f"--data {self.path}",
            {path: deep[path] for path in train.paths if path in deep},
            {path: deep[path] for path in test.paths if path in deep},
            len(train.paths),
            "" in images,
            say,
        )
        return Loaded(
            classes=classes,
            height=shape[0],
            width=shape[1],
            channels=shape[2],
            flip=True,
            train=Part(
                train.labels, partial(self._fill, train.paths, test.paths, images, depth), self._names(train)
            ),
            test=Part(test.labels, partial(self._fill, test.paths, [], images, depth), self._names(test)),
            method=self.sizing.method,
            notes=(*self._notes(others, images), *said),
            depth=depth,
            left_out=tuple(self._named(damaged, images)),
            image_files=_counts(images),
        )

    def _look_at(
        self, paths: Sequence[str], images: dict[str, ClassImages], say: Say
    ) -> tuple[tuple[int, int, int], dict[str, Deep], dict[str, str]]:
        """The shape of all images, those of more than 8 bits, and the damaged, refused unless they may be skipped.

        A header says nothing of the pixels behind it. Where some file is damaged all others are decoded, so that one
        run finds all; where files may be skipped that has to be before test images are drawn.
        """
        headers, damaged = map_in_threads(lambda index: read_header(paths[index]), paths, "looked at", say)
        readable = [header for header in headers if header is not None]
        if not readable:
            raise DamagedImages(self.name, self._named(damaged, images), _counts(images))
        height, width = self._size(readable)
        shape = height, width, 1 if all(header.grey for header in readable) else 3
        if damaged or self.skip_damaged:
            damaged |= self._undecodable([path for path in paths if path not in damaged], shape, say)
        if damaged and not self.skip_damaged:
            raise DamagedImages(self.name, self._named(damaged, images), _counts(images))
        deep = {
            path: header.deep
            for path, header in zip(paths, headers, strict=True)
            if header is not None and header.deep is not None
        }
        return shape, deep, damaged

    def _undecodable(self, paths: Sequence[str], shape: tuple[int, ...], say: Say) -> dict[str, str]:
        height, width, channels = shape

        def decode_one(index: int) -> None:
            # Of deeper images it is not known yet how they are read.
            decode(paths[index], height, width, channels, self.sizing.method, None)

        return map_in_threads(decode_one, paths, "checked", say)[1]

    def _fill(
        self,
        paths: Sequence[str],
        next_ones: Sequence[str],
        images: dict[str, ClassImages],
        depth: str,
        out: Pixels,
        say: Say,
    ) -> None:
        """Decode files; if some are damaged, those that are decoded next are looked at too, and all are named."""
        damaged = decode_all(paths, self.sizing.method, depth, out, say)
        if damaged:
            damaged |= self._undecodable(next_ones, out.shape[1:], say)
            raise DamagedImages(self.name, self._named(damaged, images), _counts(images))

    def _named(self, damaged: Mapping[str, str], images: dict[str, ClassImages]) -> list[Damaged]:
        return [
            Damaged(self._relative(path), name, damaged[path])
            for of_class in images.values()
            for name, paths in of_class.items()
            for path in paths
            if path in damaged
        ]

    def _names(self, images: Images) -> list[str]:
        return [self._relative(path) for path in images.paths]

    def _relative(self, path: str) -> str:
        """A file's path inside the data's folder; bytes that are no UTF-8 are written as escapes."""
        inside = os.path.relpath(path, self.path).replace(os.sep, "/")
        return inside.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")

    def _class_folders(self, path: Path) -> ClassFolders:
        names = in_order(_folders(path), self.classes)
        if not names:
            what = "an empty folder" if not any(path.iterdir()) else "no folders in it"
            raise InputError(
                f"--data {path}: {what}; expected train/<class>/ and test/<class>/, or <class>/, with images inside"
            )
        found = {name: look_into(path / name) for name in names}
        if unreadable := {
            folder: why for content in found.values() for folder, why in content.unreadable.items()
        }:
            folder, why = min(unreadable.items())
            more = f" ({count(len(unreadable) - 1, 'more such folder')})" if len(unreadable) > 1 else ""
            raise InputError(f"--data {folder}: {why}{more}")
        return found

    def _check_classes(self, images: dict[str, ClassImages]) -> tuple[str, ...]:
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

    def _check_left(self, train: Images, classes: Sequence[str]) -> None:
        left = np.bincount(train.labels, minlength=len(classes))
        if not left.all():
            raise InputError(
                f"--data {self.path}: class {classes[int(left.argmin())]!r} has no image that can be decoded; add some "
                "or remove that folder"
            )

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

    def _notes(self, others: Sequence[str], images: dict[str, ClassImages]) -> list[str]:
        notes = []
        if others:
            what = count(len(others), "file that is no image", "files that are no images")
            notes.append(f"warning: skipped {what} in {self.path} (the first is {others[0]})")
        for folders in self.parts.values():
            for name, content in folders.items():
                if words := content.not_looked_into():
                    notes.append(f"warning: not looked into, of class {name}: {words}")
        if self.loose:
            notes.append(
                f"warning: not used, since in no class's folder: {count(len(self.loose), 'image file')} (the first is "
                f"{self.loose[0]})"
            )
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
                entry.name
                for entry in entries
                if not is_passed_over(entry.name) and Path(entry.path).is_dir()
            )
    except OSError as error:
        raise InputError(
            f"--data {path}: this folder cannot be read ({error.strerror}); make it readable"
        ) from error


def _only_images(parts: dict[str, ClassFolders]) -> tuple[dict[str, ClassImages], list[str]]:
    """The image files of each part and class, and the paths of all others."""
    others: list[str] = []
    images: dict[str, ClassImages] = {}
    for part, folders in parts.items():
        images[part] = {}
        for name, content in folders.items():
            images[part][name] = found = [file.path for file in content.files if is_image(file.path)]
            others += sorted({file.path for file in content.files}.difference(found))
    return images, others


def _deeper(images: dict[str, ClassImages], parts: dict[str, ClassFolders]) -> str:
    """How many images lie in subfolders of their class, in words; empty where none does."""
    deeper = sum(
        str(Path(path).parent) != content.path
        for part, folders in parts.items()
        for name, content in folders.items()
        for path in images[part][name]
    )
    return f" ({deeper:,} of them in subfolders of their class)" if deeper else ""


def _counts(images: dict[str, ClassImages]) -> dict[str, int]:
    """The number of image files of each class, over all parts."""
    total: Counter[str] = Counter()
    for of_class in images.values():
        total.update({name: len(paths) for name, paths in of_class.items()})
    return dict(total)


def _flatten(of_class: ClassImages, classes: Sequence[str]) -> Images:
    paths = [path for name in classes for path in of_class.get(name, [])]
    counts = [len(of_class.get(name, [])) for name in classes]
    return Images(paths, np.repeat(np.arange(len(classes), dtype=np.int64), counts))

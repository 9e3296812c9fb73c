"""Image files with their classes, wherever these are known from: looked at, split where they are not, and decoded.

A source of files (``search.data.folder``, ``search.data.table``) finds them; the rest is the same for all.
"""

import os
import re
import shlex
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from search.data.base import Labels, Loaded, Part, Pixels, Say
from search.data.class_order import unlike_words
from search.data.common_range import common_range
from search.data.damage import Damaged, DamagedImages
from search.data.decode import Header, decode, decode_all, read_header
from search.data.deep_files import Deep
from search.data.found_files import ClassImages, Found, Images, counts_of, flatten, trained_on
from search.data.groups import check_apart, groups_by_pattern, named
from search.data.originals import file_digests
from search.data.part_names import TEST, TRAIN, VALIDATION
from search.data.pixel_range import RULE
from search.data.resizing import Sizing
from search.data.splits import TEST as TEST_DRAW
from search.data.splits import hold_out
from search.data.threads import map_in_threads
from search.errors import InputError
from search.formatting import count, escaped
from spaces.contract import sides


@dataclass(frozen=True, kw_only=True)
class FileSource(ABC):
    """Image files. If there is no test part, a stratified part is set aside as test images.

    Attributes:
        path: The folder that the paths of files begin in, absolute.
        name: What the user calls the source: an absolute path.
        sizing: How to resize the images.
        test: The fraction of the images to set aside.
        seed: Of their draw.
        skip_damaged: Whether to go on without images that cannot be decoded.
        classes: The classes of a study that is to find its images again; see ``search.data.class_order.in_order``.
        groups: What images are never split from: see ``StudySettings``.
    """

    path: Path
    name: str
    sizing: Sizing
    test: float
    seed: int
    skip_damaged: bool = False
    classes: Sequence[str] = ()
    groups: str | None = None

    @property
    def set_aside(self) -> str:
        """How many of the images are to become test images, in words."""
        return f"{100 * self.test:g} %"

    @abstractmethod
    def request(self) -> dict[str, Any]:
        """As of every source."""

    @abstractmethod
    def find(self) -> Found:
        """Find the files and tell images from others."""

    @abstractmethod
    def part_name(self, part: str) -> str:
        """What messages call a part: ``valid/``."""

    def asked(self, parts: Collection[str]) -> dict[str, Any]:
        """What was asked of these parts, for a request; what older versions had no choice of, only where it is made."""
        return {
            "range_rule": RULE,
            **self.sizing.request(),
            **({} if TEST in parts else {"test": self.test, "seed": self.seed}),
            **({"groups": self.groups} if self.groups else {}),
            **({"skip_damaged": True} if self.skip_damaged else {}),
        }

    def read(self, say: Say) -> Loaded:
        """Find the images, read every image's header, and set test images aside."""
        found = self.find()
        images = found.images
        classes = self._check_classes(images)
        train = flatten(trained_on(images), classes)
        validation, test = (flatten(images.get(part, {}), classes) for part in (VALIDATION, TEST))
        paths = train.paths + validation.paths + test.paths
        say(f"reading {len(paths):,} image files {found.reading}")
        grouped = self._grouped(found, {TRAIN: train, VALIDATION: validation, TEST: test})
        shape, deep, damaged = self._look_at(paths, images, say)
        if damaged:
            train, validation, test = (part.without(damaged) for part in (train, validation, test))
            self._check_left({TRAIN: train, VALIDATION: validation, TEST: test}, images, classes)
        if TEST not in images:
            train, test = self._set_aside(train, grouped, classes, 2 if validation.paths else 3)
        train = train.and_also(validation)
        of_train, of_test = (
            {path: deep[path] for path in part.paths if path in deep} for part in (train, test)
        )
        depth, said = common_range(
            f"--data {self.name}", of_train, of_test, len(train.paths), TEST not in images, say
        )
        return Loaded(
            classes=classes,
            height=shape[0],
            width=shape[1],
            channels=shape[2],
            flip=True,
            train=self._part(train, test.paths, images, depth),
            test=self._part(test, [], images, depth),
            method=self.sizing.method,
            notes=(
                *found.notes,
                *_missing(self, images),
                *_group_notes(grouped, [*train.paths, *test.paths]),
                *said,
            ),
            depth=depth,
            left_out=tuple(self._named(damaged, images)),
            image_files=counts_of(images),
            validation=len(validation.paths),
            groups=[grouped[path] for path in train.paths] if grouped else (),
        )

    def training_labels(self, images: Mapping[str, ClassImages]) -> Labels:
        """The labels of the training images, those of a validation part last, where no file is damaged.

        Without groups, which a test part that is drawn would keep whole.

        Raises:
            InputError: A class has too few images for a test part to be drawn.
        """
        classes = tuple(trained_on(images))
        train, validation = flatten(trained_on(images), classes), flatten(images.get(VALIDATION, {}), classes)
        if TEST not in images:
            train, _ = self._set_aside(train, {}, classes, 2 if validation.paths else 3)
        return train.and_also(validation).labels

    def _set_aside(
        self, images: Images, grouped: Mapping[str, str], classes: Sequence[str], least: int
    ) -> tuple[Images, Images]:
        """Draw test images; ``least`` is the fewest images, or groups, that a class needs for this and later splits."""
        flag = f"--test {self.test:g}" + (" and a validation split" if least == 3 else "")
        groups = np.array([grouped[path] for path in images.paths]) if grouped else None
        held = hold_out(images.labels, self.test, [self.seed, TEST_DRAW], flag, least, classes, groups)
        rest = np.setdiff1d(np.arange(len(images.paths)), held, assume_unique=True)
        return images.at(rest), images.at(held)

    def _grouped(self, found: Found, parts: Mapping[str, Images]) -> dict[str, str]:
        """The group of each file, by its path; empty where there are no groups."""
        if self.groups is None:
            return {}
        paths = [path for images in parts.values() for path in images.paths]
        if found.groups is None:
            relative = [self._relative(path) for path in paths]
            names = groups_by_pattern(self.groups, relative, found.columns).tolist()
        else:
            names = [found.groups[path] for path in paths]
        grouped = dict(zip(paths, names, strict=True))
        if TRAIN in found.images:
            given = {self.part_name(part): parts[part].paths for part in found.images}
            check_apart({name: np.array([grouped[path] for path in paths]) for name, paths in given.items()})
        return grouped

    def _look_at(
        self, paths: Sequence[str], images: dict[str, ClassImages], say: Say
    ) -> tuple[tuple[int, int, int], dict[str, Deep], dict[str, str]]:
        """The shape of all images, those of more than 8 bits, and the damaged, refused unless they may be skipped.

        A header says nothing of the pixels behind it. Where some file is damaged all others are decoded, so that one
        run finds all; where files may be skipped that has to be before test images are drawn.
        """
        headers, damaged = map_in_threads(lambda index: read_header(paths[index]), paths, "looked at", say)
        readable = {path: header for path, header in zip(paths, headers, strict=True) if header is not None}
        shape = self._shape(readable.values()) if readable else (0, 0, 0)
        if damaged or self.skip_damaged:
            damaged |= self._undecodable(list(readable), shape, say)
            readable = {path: header for path, header in readable.items() if path not in damaged}
        if (damaged and not self.skip_damaged) or not readable:
            raise DamagedImages(self.name, self._named(damaged, images), counts_of(images))
        deep = {path: header.deep for path, header in readable.items() if header.deep is not None}
        # Damaged images have no say in the size, nor in whether there are colours.
        return self._shape(readable.values()), deep, damaged

    def _undecodable(self, paths: Sequence[str], shape: tuple[int, ...], say: Say) -> dict[str, str]:
        height, width, channels = shape

        def decode_one(index: int) -> None:
            # Of deeper images it is not known yet how they are read.
            decode(paths[index], height, width, channels, self.sizing.method, None)

        return map_in_threads(decode_one, paths, "checked", say)[1]

    def _part(
        self, part: Images, next_ones: Sequence[str], images: dict[str, ClassImages], depth: str
    ) -> Part:
        fill = partial(self._fill, part.paths, next_ones, images, depth)
        names = [self._relative(path) for path in part.paths]
        return Part(part.labels, fill, names, str(self.path), partial(file_digests, part.paths))

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
            raise DamagedImages(self.name, self._named(damaged, images), counts_of(images))

    def _named(self, damaged: Mapping[str, str], images: dict[str, ClassImages]) -> list[Damaged]:
        return [
            Damaged(self._relative(path), name, damaged[path])
            for of_class in images.values()
            for name, paths in of_class.items()
            for path in paths
            if path in damaged
        ]

    def _relative(self, path: str) -> str:
        """A file's path inside the data's folder; bytes that are no UTF-8 are written as escapes."""
        return escaped(os.path.relpath(path, self.path).replace(os.sep, "/"))

    def _check_classes(self, images: dict[str, ClassImages]) -> tuple[str, ...]:
        for part, of_class in images.items():
            where = self.name + (f", {self.part_name(part)}" if part else "")
            if not any(of_class.values()):
                raise InputError(
                    f"--data {where}: no images in it; expected a folder of images for each class"
                )
            for name, files in of_class.items():
                if not files:
                    raise InputError(
                        f"--data {where}: class {name!r} has no images; add some or remove that folder"
                    )
        classes = tuple(trained_on(images))
        if len(classes) < 2:
            raise InputError(
                f"--data {self.name}: one class ({classes[0]!r}): expected a folder for each of two or more"
            )
        for part in images:
            if strange := [name for name in images[part] if name not in classes]:
                raise InputError(
                    f"--data {self.name}: {self.part_name(part)} has the class {strange[0]!r}, which "
                    f"{self.part_name(TRAIN)} has not{unlike_words(strange[0], classes)}: expected the same classes; "
                    "rename or move its folder or rows"
                )
        return classes

    def _check_left(
        self, parts: Mapping[str, Images], images: dict[str, ClassImages], classes: Sequence[str]
    ) -> None:
        """Refuse a class, or a part, of which damaged images were all."""
        left = np.bincount(parts[TRAIN].labels, minlength=len(classes))
        gone = [f"class {classes[int(left.argmin())]!r}"] if not left.all() else []
        gone += [self.part_name(part) for part in images if part and not parts[part].paths]
        if gone:
            raise InputError(
                f"--data {self.name}: {gone[0]} has no image that can be decoded; add some or remove that folder"
            )

    def _study_name(self) -> str:
        """A name for a study of these images, after their folder or file."""
        return re.sub(r"[^A-Za-z0-9]+", "_", Path(self.name).name.split(".")[0]).strip("_") or "photos"

    def _shape(self, headers: Collection[Header]) -> tuple[int, int, int]:
        return *self._size(headers), 1 if all(header.grey for header in headers) else 3

    def _size(self, headers: Collection[Header]) -> tuple[int, int]:
        sizes = Counter((header.height, header.width) for header in headers)
        if len(sizes) == 1:
            return self.sizing.of(*next(iter(sizes)))
        if self.sizing.side is None:
            low, high = min(min(size) for size in sizes), max(max(size) for size in sizes)
            raise InputError(
                f"--data {self.name}: images of {len(sizes)} sizes (sides from {low} to {high} pixels): pass the one "
                "to resize them all to, such as --image-size 64, or have all be chosen: python -m search.run --study "
                f"{self._study_name()} --data {shlex.quote(self.name)}"
            )
        return sides(self.sizing.side)


def _missing(source: FileSource, images: dict[str, ClassImages]) -> list[str]:
    """Warnings of the classes that a part has no images of."""
    return [
        f"warning: {source.part_name(part)} has no images of {', '.join(missing)}"
        for part in (VALIDATION, TEST)
        if part in images and (missing := [name for name in images[TRAIN] if name not in images[part]])
    ]


def _group_notes(grouped: Mapping[str, str], paths: Sequence[str]) -> list[str]:
    """How many groups there are, and of which sizes, which shows whether a pattern says what it was meant to say."""
    if not grouped:
        return []
    sizes = Counter(grouped[path] for path in paths)
    low, high = min(sizes.values()), max(sizes.values())
    each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return [
        f"--groups: {count(len(sizes), 'group')} of {each} images, such as {named(sorted(sizes))}: none is split"
    ]

"""A folder of image files: ``train/<class>/`` and ``test/<class>/``, or ``<class>/`` alone (``search.data.layout``)."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from search.data.class_order import in_order, order_request
from search.data.file_source import FileSource
from search.data.folder_content import FolderContent, is_file, is_folder, look_into
from search.data.found_files import ClassImages, Found, trained_on
from search.data.image_files import IMAGE_ENDINGS, is_hidden, skipped_words
from search.data.layout import Layout, folders_in
from search.data.part_names import TEST, TRAIN, VALIDATION, part_of
from search.errors import InputError
from search.formatting import count

ClassFolders = dict[str, FolderContent]


@dataclass(frozen=True, kw_only=True)
class FolderSource(FileSource):
    """A folder of images.

    Attributes:
        layout: What the folder was understood as.
    """

    layout: Layout

    @cached_property
    def parts(self) -> dict[str, ClassFolders]:
        """The folders of each class of each part."""
        return {part: self._class_folders(part, folder) for part, folder in self.layout.parts.items()}

    @cached_property
    def loose(self) -> list[str]:
        """Image files that lie beside the folders of classes, sorted, by their endings alone."""
        folders = dict.fromkeys([self.path, self.layout.root, *self.layout.parts.values()])
        return sorted(
            entry.path
            for folder in folders
            for entry in os.scandir(folder)
            if entry.name.lower().endswith(IMAGE_ENDINGS) and not is_hidden(entry.name) and is_file(entry)
        )

    @cached_property
    def hidden(self) -> list[str]:
        """Hidden folders beside those of classes that have image files in them, sorted, by their endings alone."""
        return sorted(
            entry.path
            for folder in dict.fromkeys(self.layout.parts.values())
            for entry in os.scandir(folder)
            if is_hidden(entry.name)
            and is_folder(entry)
            and any(file.path.lower().endswith(IMAGE_ENDINGS) for file in look_into(entry.path).files)
        )

    def request(self) -> dict[str, Any]:
        """The path, size and time of every file; none is opened."""
        of_part = {
            part: {name: content.files for name, content in folders.items()}
            for part, folders in self.parts.items()
        }
        return {
            "kind": "folder",
            "path": str(self.path),
            "files": of_part,
            **self.asked(self.parts),
            **order_request(list(trained_on(self.parts))),
            # What older versions did not look at is left out where there is none of it.
            **({"loose": self.loose} if self.loose else {}),
        }

    def find(self) -> Found:
        """Tell the images in the folders of classes from other files."""
        images, others = _only_images(self.parts)
        reading = f"in {self.path}{_deeper(images, self.parts)}"
        return Found(images, reading, [self._understood(), *self._notes(others)])

    def part_name(self, part: str) -> str:
        """The part's folder."""
        return self.layout.name(part)

    def _understood(self) -> str:
        """What the folder was understood as, in one line."""
        where = f"{Path(self.name) / self.layout.root.relative_to(self.path)}"
        classes = count(len(trained_on(self.parts)), "class", "classes")
        if "" in self.parts:
            return f"{where}: a folder for each of {classes}; {self.set_aside} are set aside as test images (--test)"
        names = [self.part_name(part) for part in self.parts]
        words = f"{', '.join(names[:-1])} and {names[-1]} of {where}: {len(names)} parts, {classes}"
        if VALIDATION in self.parts:
            words += f"; {self.part_name(VALIDATION)} is the validation part, as it is"
        if TEST not in self.parts:
            words += (
                f", and {self.set_aside} of {self.part_name(TRAIN)} are set aside as test images (--test); to have "
                f"{self.part_name(VALIDATION)} be the test part instead, rename it to test/"
            )
        return words

    def _class_folders(self, part: str, path: Path) -> ClassFolders:
        self._check_links(path)
        names = in_order(folders_in(path), self.classes)
        if not names:
            what = "an empty folder" if not any(path.iterdir()) else "no folders in it"
            hint = ""
            if part == TEST:
                hint = f"; if these images have no labels, move {path.name}/ elsewhere"
            raise InputError(
                f"--data {self._shown(path)}: {what}; expected train/<class>/ and test/<class>/, or <class>/, with "
                f"images inside{hint}"
            )
        found = {name: look_into(path / name) for name in names}
        if unreadable := {
            folder: why for content in found.values() for folder, why in content.unreadable.items()
        }:
            folder, why = min(unreadable.items())
            more = f" ({count(len(unreadable) - 1, 'more such folder')})" if len(unreadable) > 1 else ""
            raise InputError(f"--data {self._shown(Path(folder))}: {why}{more}")
        return found

    def _check_links(self, folder: Path) -> None:
        """Refuse links to nothing among the folders of classes: the class of one would be missing without a word.

        One whose name ends as a file's does was no folder.

        Raises:
            InputError: There is one.
        """
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            path = Path(entry.path)
            if entry.is_symlink() and not (is_hidden(entry.name) or path.suffix or path.exists()):
                raise InputError(
                    f"--data {self._shown(path)}: a link to nothing ({path.readlink()}), which may have been a class; "
                    "make what it leads to available, or remove it"
                )

    def _shown(self, path: Path) -> Path:
        """A path as messages name it: of an archive's, that in the archive, as nobody knows where it was unpacked."""
        return Path(self.name) / path.relative_to(self.path)

    def _notes(self, others: Sequence[str]) -> list[str]:
        notes = []
        if others:
            notes.append(skipped_words(others))
        for folders in self.parts.values():
            for name, content in folders.items():
                if words := content.not_looked_into():
                    notes.append(f"warning: not looked into, of class {name}: {words}")
        if self.loose:
            notes.append(
                f"warning: not used, since in no class's folder: {count(len(self.loose), 'image file')} (the first is "
                f"{self.loose[0]})"
            )
        for name in filter(part_of, self.parts.get("", {})):
            notes.append(
                f"warning: {name}/ is taken for a class, since its images lie right in it: if they are a part, move it "
                "elsewhere, or sort them into folders of the classes"
            )
        if self.hidden:
            notes.append(
                f"warning: not used, since hidden: {count(len(self.hidden), 'folder')} of images beside the classes "
                f"(the first is {self.hidden[0]}); rename it if it is a class"
            )
        if unused := self.layout.unused:
            names = " and ".join(self.part_name(part) for part in self.parts)
            notes.append(f"warning: only {names} of {self.layout.root} are used, not {', '.join(unused)}")
        if tables := self.layout.tables:
            notes.append(
                f"warning: {tables[0]} has labels too, and is not used: to take them and not the folders' names, pass "
                f"--data {tables[0]}"
            )
        if splits := self.layout.splits:
            notes.append(
                f"warning: {splits[0]} has a split, and is not used, since it has no labels: to take it, add them as a "
                f"column label and pass --data {splits[0]}"
            )
        return notes


def _only_images(parts: Mapping[str, ClassFolders]) -> tuple[dict[str, ClassImages], list[str]]:
    """The image files of each part and class, and the paths of all others."""
    others: list[str] = []
    images: dict[str, ClassImages] = {}
    for part, folders in parts.items():
        images[part] = {}
        for name, content in folders.items():
            images[part][name], rest = content.tell_images()
            others += rest
    return images, others


def _deeper(images: Mapping[str, ClassImages], parts: Mapping[str, ClassFolders]) -> str:
    """How many images lie in subfolders of their class, in words; empty where none does."""
    deeper = sum(
        str(Path(path).parent) != content.path
        for part, folders in parts.items()
        for name, content in folders.items()
        for path in images[part][name]
    )
    return f" ({deeper:,} of them in subfolders of their class)" if deeper else ""

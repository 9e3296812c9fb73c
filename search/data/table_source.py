"""Image files that a table names with their labels (``search.data.table``)."""

from dataclasses import dataclass
from functools import cached_property
from os.path import normpath
from pathlib import Path
from typing import Any

from search.data.class_order import in_order, order_request
from search.data.file_source import FileSource
from search.data.folder_content import File
from search.data.found_files import ClassImages, Found, trained_on
from search.data.groups import named
from search.data.part_names import TEST, TRAIN, VALIDATION
from search.data.table import Row, read_table
from search.errors import InputError
from search.formatting import count


@dataclass(frozen=True, kw_only=True)
class TableSource(FileSource):
    """A table of paths, which begin in its folder, and labels.

    Attributes:
        table: The table's file.
        sealed: Whether files outside the folder are refused, since the table came out of an archive.
    """

    table: Path
    sealed: bool = False

    @cached_property
    def rows(self) -> list[Row]:
        """The table's rows, in the order of their paths, each with the absolute path of its file.

        Raises:
            InputError: The table cannot be used, or none of its files is there.
        """
        rows, _ = self._read
        placed = sorted(rows)
        if not any(Path(row.path).exists() for row in placed):
            raise InputError(
                f"--data {self.name}: none of its {len(rows):,} files is there, such as {placed[0].path}; expected "
                f"paths that begin in {self.path}, or absolute ones"
            )
        unfit = [row.path for row in placed if not Path(row.path).is_file() and Path(row.path).exists()]
        if folders := [path for path in unfit if Path(path).is_dir()]:
            raise InputError(
                f"--data {self.name}: {named(folders)} {'is a folder' if len(folders) == 1 else 'are folders'}; "
                "expected the path of an image in each row"
            )
        if unfit:  # A pipe would be waited for.
            raise InputError(
                f"--data {self.name}: {named(unfit)} {'is' if len(unfit) == 1 else 'are'} no file but a pipe or a "
                "device; expected the path of an image in each row"
            )
        return placed

    @cached_property
    def _read(self) -> tuple[list[Row], list[str]]:
        return read_table(self.table, self.groups, self._place, self.classes)

    def _place(self, path: str) -> str:
        place = self.path / path
        if "\\" in path and not place.exists():
            place = self.path / path.replace("\\", "/")  # The table was written on Windows.
        if self.sealed and not place.resolve().is_relative_to(self.path.resolve()):
            raise InputError(
                f"--data {self.name}: names {path!r}, which is outside the archive; expected a file in it"
            )
        return normpath(place)

    @cached_property
    def images(self) -> dict[str, ClassImages]:
        """The files of each part and class."""
        parts = {row.part for row in self.rows}
        if parts - {"", TRAIN} and TRAIN not in parts:
            raise InputError(
                f"--data {self.name}: its split has no train, only {named(sorted(parts))}; expected train and test in "
                "it"
            )
        of_part = {part: part for part in (TRAIN, VALIDATION, TEST) if part in parts}
        if parts <= {"", TRAIN}:
            of_part = {"": next(iter(parts))}
        found: dict[str, ClassImages] = {}
        for name, part in of_part.items():
            labels = in_order({row.label for row in self.rows if row.part == part}, self.classes)
            found[name] = {label: [] for label in labels}
        places = {part: name for name, part in of_part.items()}
        for row in self.rows:
            found[places[row.part]][row.label].append(row.path)
        return found

    def request(self) -> dict[str, Any]:
        """The table's size and time, and the path, size and time of every file; none is opened."""
        files = {
            part: {label: [_status(path) for path in paths] for label, paths in of_class.items()}
            for part, of_class in self.images.items()
        }
        return {
            "kind": "table",
            "table": _status(str(self.table)),
            "files": files,
            **self.asked(self.images),
            **order_request(list(trained_on(self.images))),
        }

    def find(self) -> Found:
        """The files that the table names."""
        _, columns = self._read
        of_file = {row.path: row.group for row in self.rows} if self.groups in columns else None
        return Found(self.images, f"of {self.table}", [self._understood()], of_file, columns)

    def part_name(self, part: str) -> str:
        """The split's word for it."""
        return f"split {part}"

    def _understood(self) -> str:
        """What the table was understood as, in one line."""
        images = self.images
        classes = count(len(trained_on(images)), "class", "classes")
        words = f"{self.name}: {count(len(self.rows), 'image')} of {classes}"
        if "" not in images:
            words += f" in {len(images)} parts ({', '.join(images)})"
        if VALIDATION in images:
            words += "; validation is used as it is"
        if TEST not in images:
            words += f"; {self.set_aside} {'of train ' if VALIDATION in images else ''}are its test images (--test)"
        if VALIDATION in images and TEST not in images:
            words += "; to have validation be the test part instead, call it test"
        return words


def _status(path: str) -> File:
    try:
        status = Path(path).stat()
    except OSError:  # It is named with all others that cannot be opened.
        return File(path, -1, -1)
    return File(path, status.st_size, status.st_mtime_ns)

"""What lies in a folder of images.

A folder is looked at to any depth, through links too, as Keras does (``keras.utils.image_dataset_from_directory``), but
hidden folders and what unpacking leaves (``__MACOSX``) are not looked into.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from search.data.image_files import is_hidden, is_image
from search.formatting import count


class File(NamedTuple):
    """One file in a folder, with its size and its time of change in nanoseconds."""

    path: str
    size: int
    time: int


@dataclass
class FolderContent:
    """What lies in a folder, at any depth.

    Attributes:
        path: The folder.
        files: All files, sorted by their paths, links to nothing among them.
        unreadable: Folders that may not be read, and why.
        hidden: The hidden folders, which were not looked into.
        loops: The links to a folder that they lie in, which were not followed.
    """

    path: str
    files: list[File] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    hidden: list[str] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)

    def tell_images(self) -> tuple[list[str], list[str]]:
        """The paths of the images, and those of all other files; see ``is_image``."""
        images: list[str] = []
        others: list[str] = []
        for file in self.files:
            (images if is_image(file.path) else others).append(file.path)
        return images, others

    def not_looked_into(self) -> str:
        """The folders that were not looked into, in words; empty where there are none."""
        parts = []
        if self.hidden:
            parts.append(f"{count(len(self.hidden), 'hidden folder')} (the first is {min(self.hidden)})")
        if self.loops:
            links = count(len(self.loops), "link to a folder that it lies in", "links to folders they lie in")
            parts.append(f"{links} (the first is {min(self.loops)})")
        return " and ".join(parts)


def is_passed_over(folder: str) -> bool:
    """Whether a folder of this name is not looked into: it is hidden, or left by unpacking an archive or by Python."""
    return is_hidden(folder) or folder in ("__MACOSX", "__pycache__")


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, or a link to one; ``DirEntry.is_dir`` raises on a link to itself."""
    return Path(entry.path).is_dir() if entry.is_symlink() else entry.is_dir()


def is_file(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a file, or a link to one; ``DirEntry.is_file`` raises on a link to itself."""
    return Path(entry.path).is_file() if entry.is_symlink() else entry.is_file()


def look_into(folder: str | Path) -> FolderContent:
    """List what lies in a folder, at any depth and through links. No file is opened.

    Args:
        folder: An absolute or relative path; the paths found begin with it.
    """
    found = FolderContent(os.fspath(folder))
    # A link may lead to a folder above the one that is looked into, too.
    above = {_identity(parent) for parent in Path(folder).resolve().parents}
    _look_into(found.path, above, found)
    found.files.sort()
    return found


def _look_into(folder: str, above: set[tuple[int, int]], found: FolderContent) -> None:
    try:
        if (identity := _identity(folder)) in above:
            found.loops.append(folder)
            return
        with os.scandir(folder) as scanned:
            entries = list(scanned)
        for entry in entries:
            if not is_folder(entry):
                found.files += _file(entry)
            elif is_passed_over(entry.name):
                found.hidden.append(entry.path)
            else:
                _look_into(entry.path, above | {identity}, found)
    except OSError as error:
        found.unreadable[folder] = f"this folder cannot be read ({error.strerror}); make it readable"


def _identity(path: str | Path) -> tuple[int, int]:
    status = Path(path).stat()
    return status.st_dev, status.st_ino


def _file(entry: os.DirEntry[str]) -> list[File]:
    """A file or a link to nothing; a pipe or a socket is neither, and opening one would wait for ever."""
    try:
        status = entry.stat()
    except OSError:
        status = entry.stat(follow_symlinks=False)
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
        return []
    return [File(entry.path, status.st_size, status.st_mtime_ns)]

"""How a folder of images is laid out: which of its folders are parts, which are classes, and what cannot be told.

People keep images in many ways, and a wrong guess is a wrong number later: classes called ``train`` and ``test``, or
test images that were trained on. So a part is known by its name alone (``train``, ``Training``, ``val``, ``test_set``,
...), and where names allow two readings the folder is refused, with the words that make it plain.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from search.data.folder_content import is_file, is_folder, is_passed_over, look_into
from search.data.image_files import IMAGE_ENDINGS, is_hidden
from search.data.part_names import TEST, TRAIN, VALIDATION, part_of, parts_mentioned, without_secondary
from search.data.table import has_columns, is_table
from search.data.table_columns import LABEL, PATH, SPLIT
from search.errors import InputError

IMAGES = ("images", "image", "imgs", "img", "jpegimages")
SEGMENTATIONS = ("segmentations", "segmentationclass", "segmentationobject", "trimaps")
NO_IMAGES = ("masks", "mask", "annotations", "annotation", "labels", "label", "attributes", *SEGMENTATIONS)
# So many folders are compared with all others: of thousands, all pairs take seconds.
COMPARED = 50


@dataclass(frozen=True)
class Layout:
    """What a folder was understood as.

    Attributes:
        root: The folder that holds parts or classes: the one given, or one that is all there is in it.
        parts: The folders of ``train``, ``validation`` and ``test``, as far as there are such; else the root alone,
            under an empty name, with a folder for each class in it.
        unused: The names of folders beside those.
        tables: Tables of paths and labels beside them.
        splits: Tables of paths and parts beside folders of classes alone, without labels.
    """

    root: Path
    parts: Mapping[str, Path]
    unused: tuple[str, ...] = ()
    tables: tuple[Path, ...] = ()
    splits: tuple[Path, ...] = ()

    @property
    def has_classes(self) -> bool:
        """Whether any part has folders in it, which are classes; else only a table can tell the classes."""
        alone = "" in self.parts and len(folders_in(self.root)) == 1
        return not alone and any(folders_in(part) for part in self.parts.values())

    def without_validation(self) -> "Layout":
        """The same, as it was understood when only train and test were parts."""
        if not {VALIDATION, TEST} <= set(self.parts):
            return self
        parts = {part: path for part, path in self.parts.items() if part != VALIDATION}
        return dataclasses.replace(self, parts=parts, unused=(*self.unused, self.parts[VALIDATION].name))

    def name(self, part: str) -> str:
        """A part's folder inside the root, as messages name it: ``valid/``."""
        return f"{self.parts[part].relative_to(self.root).as_posix()}/"


def understand(path: Path) -> Layout:
    """Find the parts of a folder of images by the names of its folders.

    Args:
        path: The folder, absolute.

    Raises:
        InputError: It cannot be read, or its names allow more than one reading; the message says what to do.
    """
    root, inside = _innermost(path)
    roles: dict[str, list[str]] = {}
    for name in inside:
        if role := part_of(name):
            roles.setdefault(role, []).append(name)
    roles = {role: without_secondary(names) for role, names in roles.items()}
    for role, names in roles.items():
        if len(names) > 1 and TRAIN in roles:
            raise InputError(
                f"--data {root}: has {_slashes(names)}, which all may be the {role} part: expected one; put their "
                "images together, or move the others elsewhere"
            )
    tables = _tables(root)
    if TRAIN in roles and len(roles) > 1:
        parts = {role: _part(root / roles[role][0]) for role in (TRAIN, VALIDATION, TEST) if role in roles}
        used = [names[0] for names in roles.values()]
        return Layout(root, parts, tuple(name for name in inside if name not in used), tables)
    _check_plain(root, inside, roles)
    splits = tuple(path for path in _tables(root, SPLIT) if path not in tables)
    return Layout(root, {"": root}, tables=tables, splits=splits)


def folders_in(path: Path) -> list[str]:
    """The sorted names of the folders in a folder, without hidden ones and what unpacking leaves (``__MACOSX``).

    Raises:
        InputError: The folder cannot be read.
    """
    try:
        with os.scandir(path) as entries:
            return sorted(
                entry.name for entry in entries if not is_passed_over(entry.name) and is_folder(entry)
            )
    except OSError as error:
        raise InputError(
            f"--data {path}: this folder cannot be read ({error.strerror}); make it readable"
        ) from error


def refuse_two_levels(layout: Layout) -> None:
    """Refuse folders of which two levels may be the classes: ``fold1/cat/`` and ``fold2/cat/``, or ``cat/masks/``.

    Folders of a class may hold folders of any name. Where two of them hold nothing but folders, and they share more
    than half of those of the one that has more, those may be the classes as well: a class that lies in one fold alone
    makes the others no less of a class. Numbers alone may be parts of a large folder, unless all are the same. A single
    folder inside one is gone through. So with one that holds the folders beside it once more, which may be a copy of
    all.

    Raises:
        InputError: There are such; the message says what to do for either reading.
    """
    for part in layout.parts.values():
        inside: dict[str, set[str]] = {}
        for name in folders_in(part):
            innermost, folders = _innermost(part / name)
            if len(folders) > 1 and not _has_images(innermost):
                inside[name] = set(folders)
        _refuse_copy(part, inside)
        for one, other in product([*inside][:COMPARED], inside):
            shared, more = inside[one] & inside[other], max(len(inside[one]), len(inside[other]))
            least = more if "".join(shared).isdigit() else more // 2 + 1
            if one != other and len(shared) >= least:
                inner = _slashes(sorted(shared))
                outer = _slashes([name for name, folders in inside.items() if shared <= folders])
                raise InputError(
                    f"--data {part}: {outer} hold no images of their own but share the folders {inner}: expected one "
                    f"level of classes; if {inner} are the classes, put all images of each into one folder; if {outer} "
                    "are, put their images right into them, without masks and the like, or, where the inner folders "
                    "are patients or the like, name these by --groups"
                )


def _refuse_copy(part: Path, inside: Mapping[str, set[str]]) -> None:
    beside = set(folders_in(part))
    for name, folders in inside.items():
        numbered = "".join((name, *folders)).isdigit()
        if not numbered and 2 * len(folders & beside) > len(folders):
            again = _slashes(sorted(folders & beside))
            raise InputError(
                f"--data {part}: {name}/ holds the folders {again}, as are beside it: expected one level of classes; "
                f"if {name}/ is a copy, move it elsewhere, if it holds more images of these classes, put them into the "
                "folders beside it, and if it is a class, put its images right into it, or give its folders other names"
            )


def refuse_masks(layout: Layout) -> None:
    """Refuse a folder of images beside one of what belongs to them, as of segmentation: neither is a class.

    Where other folders of images lie beside them, all are classes.

    Raises:
        InputError: There are such.
    """
    for part in layout.parts.values():
        names = folders_in(part)
        images, others = ([name for name in names if name.lower() in usual] for usual in (IMAGES, NO_IMAGES))
        if not images or not others:
            continue
        if any(_has_images_within(part / name) for name in names if name not in (*images, *others)):
            continue
        inner = [name for name in images if folders_in(part / name)] if part == layout.root else []
        fix = (
            f"if the folders in {inner[0]}/ are the classes, pass --data {part / inner[0]}"
            if inner
            else "put the images of each class into a folder of its name, or name all images with their labels in a "
            "table and pass that as --data"
        )
        raise InputError(
            f"--data {part}: {_slashes(images)} beside {_slashes(others)} seem to be no classes: expected a folder of "
            f"images for each class; {fix}; if {_slashes([*images, *others])} are classes, rename them"
        )


def _innermost(path: Path) -> tuple[Path, list[str]]:
    """The first folder that has more in it than one folder of folders, and the names of its folders."""
    inside = folders_in(path)
    while len(inside) == 1 and not part_of(inside[0]) and folders_in(path / inside[0]):
        if _tables(path) or _has_images(path):
            break
        path /= inside[0]
        inside = folders_in(path)
    return path, inside


def _part(folder: Path) -> Path:
    """The folder of a part; unpacking leaves ``test_set/test_set/`` of many."""
    inside = folders_in(folder)
    same = len(inside) == 1 and part_of(inside[0]) == part_of(folder.name)
    return folder / inside[0] if same and folders_in(folder / inside[0]) else folder


def _check_plain(root: Path, inside: list[str], roles: Mapping[str, list[str]]) -> None:
    """Refuse what would be taken for classes and may well be parts. A folder of images alone is a class of any name."""
    parts = [name for names in roles.values() for name in names if folders_in(root / name)]
    if TRAIN in roles and (parts or inside == roles[TRAIN]):
        train = roles[TRAIN][0]
        others = [name for name in inside if name != train]
        beside = f", and beside it {_slashes(others)}" if others else ""
        raise InputError(
            f"--data {root}: has {train}/ but no test/{beside}: expected both; to set a part of {train}/ aside as test "
            f"images, pass --data {root / train}; if {train}/ is a class, give it another name"
        )
    if parts:
        raise InputError(
            f"--data {root}: has {_slashes(parts)} but no train/: expected both; rename the folder of training images "
            "to train/"
        )
    for name in inside:
        within = [folder for folder in folders_in(root / name) if part_of(folder)]
        if TRAIN in map(part_of, within) and len(within) > 1:
            raise InputError(
                f"--data {root}: {name}/ has {_slashes(within)} in it: expected train/<class>/ and test/<class>/; move "
                f"the classes into the parts or, if {name}/ is a data set of its own, pass --data {root / name}"
            )
    likely = parts_mentioned(inside)
    found = set().union(*likely.values())
    if TRAIN in found and len(found) > 1 and len(likely) > 1:
        raise InputError(
            f"--data {root}: {_slashes(list(likely))} look like parts, and would be taken for classes: rename them to "
            "train/, validation/ and test/, or, if they are classes, give them names without these words"
        )


def _has_images(folder: Path) -> bool:
    return any(name.lower().endswith(IMAGE_ENDINGS) for name in _files(folder))


def _has_images_within(folder: Path) -> bool:
    return any(file.path.lower().endswith(IMAGE_ENDINGS) for file in look_into(str(folder)).files)


def _tables(root: Path, usual: Sequence[str] = LABEL) -> tuple[Path, ...]:
    tables = (root / name for name in _files(root) if is_table(Path(name)))
    return tuple(table for table in tables if has_columns(table, PATH, usual))


def _files(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not is_hidden(entry.name) and is_file(entry))


def _slashes(names: list[str]) -> str:
    words = [f"{name}/" for name in names[:5]]
    return ", ".join(words) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")

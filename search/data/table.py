"""A table of image files and their labels: ``.csv``, ``.tsv`` or, with ``pyarrow``, ``.parquet``.

One row is one image. Columns are found by their usual names (``path`` or ``image``, ``label`` or ``class``, ``split``),
whatever their case; a split's words are those of folders (``train``, ``val``, ``Testing``, ...).
"""

import os
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from importlib.util import find_spec
from os.path import normpath
from pathlib import Path, PurePath
from typing import NamedTuple

from search.data.class_order import is_no_value
from search.data.groups import named
from search.data.hidden_split import refuse_hidden_split, refuse_split_by_folders
from search.data.part_names import part_of, plain_name
from search.data.table_columns import LABEL, PATH, SPLIT, Columns, has_decimal_commas, read_columns
from search.errors import InputError

TABLES = (".csv", ".tsv", ".parquet")
# A number that is no whole one is a quantity and no class; some countries write a comma in it. With an exponent, as
# NumPy writes all numbers into a text, it may be whole.
FRACTION = re.compile(r"[-+]?\d*[.,]\d*[1-9]\d*([eE][-+]?\d+)?|[-+]?\d+([.,]\d*)?[eE][-+]?\d+")
PIXELS = (
    ", or, where the pixels themselves stand in the table, save those of each row as an image file and name it in a "
    "column path (pixels that stand in a table are not read)"
)
# Of a file's name, in bytes, on all usual file systems.
LONGEST = 255
# Whole numbers as programs write them, and as they do in tables with decimal commas.
WHOLE, WHOLE_OF_COMMAS = re.compile(r"([-+]?\d+)\.0*"), re.compile(r"([-+]?\d+)[.,]0*")


class Row(NamedTuple):
    """One image of a table.

    Attributes:
        path: Of the file, as the table has it.
        label: The name of its class.
        part: ``train``, ``validation`` or ``test``; empty where the table has no split.
        group: What it is never split from; empty where no column says.
    """

    path: str
    label: str
    part: str
    group: str


def is_table(path: Path) -> bool:
    """Whether a file is a table, by its ending."""
    return path.name.lower().endswith(TABLES)


def has_columns(path: Path, *kinds: Sequence[str]) -> bool:
    """Whether a table has columns of these usual names, by its first line; perhaps, where that cannot be read."""
    if path.suffix.lower() == ".parquet" and find_spec("pyarrow") is None:
        return True
    try:
        names = read_columns(path, rows=0)
    except InputError:
        return False
    return all(any(plain_name(name) in usual for name in names) for usual in kinds)


def read_table(
    path: Path, groups: str | None, place: Callable[[str], str] = normpath, classes: Sequence[str] = ()
) -> tuple[list[Row], list[str]]:
    """Read a table of images.

    Args:
        path: The table.
        groups: The name of the column of groups; a name that no column has is left to be a pattern.
        place: Where the file of a path is, written in one way: ./a.png is a.png.
        classes: The classes of a study that finds its images again; what its table was read as is not asked again.

    Returns:
        A row for each image, without those that stand there twice; and the names of all columns.

    Raises:
        InputError: It cannot be read, a column is missing, or values are missing or contradict each other.
    """
    columns = read_columns(path, groups)
    paths = columns[_find(path, columns, "paths", PATH)]
    labels = columns[_find(path, columns, "labels", LABEL)]
    if not paths:
        raise InputError(f"--data {path}: has no rows; expected one for each image")
    by_column = groups in columns
    kept: dict[str, Sequence[str]] = {"path": paths, "label": labels}
    if split := _find(path, columns, "splits", SPLIT, needed=False):
        kept["split"] = columns[split]
    elif not classes:
        refuse_hidden_split(path, columns, groups)
        refuse_split_by_folders(path, paths, labels)
    if groups is not None and by_column:
        kept[groups] = columns[groups]
    for name, values in kept.items():
        known = classes if name == "label" else ()
        missing = {value for value in set(values) if is_no_value(value) and value not in known}
        if empty := [row for row, value in enumerate(values, start=1) if value in missing]:
            rows_named, written = named(list(map(str, empty))), values[empty[0] - 1]
            real = f"; if {written!r} is a real one, rename it" if written else ""
            raise InputError(
                f"--data {path}: no {name} in {len(empty):,} of {len(paths):,} rows (row {rows_named}); fill it in, or "
                f"remove these rows{real}"
            )
    none = [""] * len(paths)
    parts = _parts(path, kept["split"]) if split else none
    of_groups = kept[groups] if groups is not None and by_column else none
    _check_paths(path, paths)
    places = [place(written) for written in paths]
    whole = _whole(path)
    columns_of_rows = (places, _classes(path, labels, classes, whole), parts, _one_way(of_groups, whole))
    rows = [Row(*values) for values in zip(*columns_of_rows, strict=True)]
    return _once(path, rows), list(columns)


def mixed_folder(path: Path) -> str:
    """A folder whose images have several labels in a table, which are not its name then; empty where there is none."""
    try:
        columns = read_columns(path)
        paths, labels = (
            columns[_find(path, columns, what, usual)] for what, usual in (("paths", PATH), ("labels", LABEL))
        )
        _check_paths(path, paths)
    except InputError:
        return ""
    of_folder: dict[str, str] = {}
    whole = _whole(path)
    for image, written in zip(map(normpath, paths), labels, strict=True):
        label = _whole_number(written, whole)
        folder = str(PurePath(image).parent)
        if (
            label
            and folder != "."
            and of_folder.setdefault(folder, label) != label
            and (path.parent / image).exists()
        ):
            return folder
    return ""


def _find(path: Path, columns: Columns, what: str, usual: Sequence[str], *, needed: bool = True) -> str:
    """The name of the one column that is called by one of the usual names; empty where none is and none needs to be."""
    found = [name for name in columns if plain_name(name) in usual]
    if len(found) > 1:
        raise InputError(
            f"--data {path}: columns {named(found)} may all be the {what}; remove all but one, or rename them"
        )
    if not found and needed:
        raise InputError(
            f"--data {path}: no column of {what}: expected one called {', '.join(usual[:4])} or the like; it has "
            f"{named(list(columns)) or 'none'}; rename one{PIXELS if usual is PATH and columns else ''}"
        )
    return found[0] if found else ""


def _whole(path: Path) -> re.Pattern[str]:
    """Whole numbers of a table, such as ``1.0``; their digits are its group."""
    return WHOLE_OF_COMMAS if has_decimal_commas(path) else WHOLE


def _classes(path: Path, labels: Sequence[str], known: Sequence[str], whole: re.Pattern[str]) -> list[str]:
    """The names of classes. Numbers are names if they are whole, or known to be."""
    names = {label: label if label in known else _whole_number(label, whole) for label in set(labels)}
    classes = [names[label] for label in labels]
    if fractions := [label for label in classes if label not in known and FRACTION.fullmatch(label)]:
        raise InputError(
            f"--data {path}: labels that are numbers with fractions, or without their last digits, "
            f"({named(list(dict.fromkeys(fractions)))}) are quantities; expected the name of a class in each row, or "
            "its whole number"
        )
    return classes


def _whole_number(label: str, whole: re.Pattern[str]) -> str:
    """1 of what a program may have written for it, such as ``1.0`` or ``1.0e+00``; other labels as they are.

    Of ``1.23457E+11``, as Excel writes a long number, the last digits are lost, so that many become one; and ``1e1``
    may be a code.
    """
    if found := whole.fullmatch(label):
        return found[1]
    if not FRACTION.fullmatch(label):
        return label
    number = Decimal(label.replace(",", "."))
    exponent = number.as_tuple().exponent
    known = isinstance(exponent, int) and exponent <= 0
    return str(int(number)) if known and number == number.to_integral_value() else label


def _check_paths(path: Path, written: Sequence[str]) -> None:
    """Refuse what no file can be called, such as the pixels themselves."""
    for number, name in enumerate(written, start=1):
        if "\0" in name or max(len(os.fsencode(part)) for part in re.split(r"[/\\]", name)) > LONGEST:
            raise InputError(
                f"--data {path}: row {number} has {name[:40]!r}... of {len(name):,} characters for a path, which no "
                "file can be called; expected the path of an image file (pixels that stand in a table are not read)"
            )


def _one_way(groups: Sequence[str], whole: re.Pattern[str]) -> Sequence[str]:
    """The names of groups; where 1 and 1.0 both stand for one they are one, as of labels."""
    merged = [found[1] if (found := whole.fullmatch(name)) else name for name in groups]
    return merged if len(set(merged)) < len(set(groups)) else groups


def _parts(path: Path, words: Sequence[str]) -> list[str]:
    known = {word: part_of(word) for word in dict.fromkeys(words)}
    if strange := [word for word, part in known.items() if not part]:
        raise InputError(
            f"--data {path}: the split {named(strange)} is not known; expected train, validation or test in each row"
        )
    return [known[word] for word in words]


def _once(path: Path, rows: Sequence[Row]) -> list[Row]:
    """Each image once; refused if rows of the same image contradict each other."""
    found: dict[str, Row] = {}
    for row in rows:
        known = found.setdefault(row.path, row)
        if known != row:
            what = next(
                name for name in ("label", "part", "group") if getattr(known, name) != getattr(row, name)
            )
            several = f"{getattr(known, what)} and {getattr(row, what)}"
            raise InputError(
                f"--data {path}: {row.path} is there twice, as {what} {several}; expected one row for each image"
            )
    return list(found.values())

"""The columns of a table as text, read from ``.csv``, ``.tsv`` or, with ``pyarrow``, ``.parquet``."""

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from search.config.interpreter import to_install
from search.data.groups import named
from search.data.part_names import plain_name
from search.errors import InputError, first_line

Columns = Mapping[str, Sequence[str]]
# The usual names of columns, as ``plain_name`` makes them.
PATH = (
    *("path", "file", "filename", "filepath"),
    *("image", "imagepath", "imagefile", "imagefilename", "imagename"),
    *("img", "imgpath", "imgfile", "imgname"),
)
LABEL = ("label", "labels", "class", "category", "target", "classname", "classlabel", "labelname")
SPLIT = ("split", "part", "set", "subset")
DELIMITERS = ",;\t|"
# A name in quotes, which may go on in the next line; a quote within a name is a character as any other.
QUOTED = re.compile(rf'(?<![^{DELIMITERS}])"(?:[^"]|"")*"?')
# Of a column that tells the parts: names of three parts, in a few ways.
MOST_WORDS = 10
# The mean size of a column's values, in bytes, and what its pages and their headers may have beside these.
MOST_OF_A_WORD, MOST_OF_A_PATH, OVERHEAD = 64, 1024, 4096
# Rows that are read at once of a column that is not used.
BATCH = 256
# What Arrow raises where Python has no such value; its own errors are among these.
UNREADABLE = (ValueError, OverflowError, LookupError, NotImplementedError)


def read_columns(path: Path, groups: str | None = None, rows: int | None = None) -> dict[str, list[str]]:
    """Read the columns of a table as text, empty where there is no value.

    Only those that are used hold their values: paths, labels, splits and groups. Others hold each value once where
    these are few, as those of a split are, and else nothing.

    Args:
        path: The table.
        groups: The column that says which images belong together, if there is one.
        rows: 0 for the names of the columns alone; None for all rows.

    Raises:
        InputError: It cannot be read.
    """
    if path.suffix.lower() == ".parquet":
        return _read_parquet(path, groups, rows)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _read_csv(path, file, groups, rows)
    except UnicodeDecodeError as error:
        raise InputError(f"--data {path}: not UTF-8 ({error.reason}); save it as CSV UTF-8") from error
    except csv.Error as error:
        raise InputError(
            f"--data {path}: no table that can be read ({error}); save it as CSV again"
        ) from error
    except OSError as error:
        raise InputError(f"--data {path}: cannot be read ({error.strerror}); make it readable") from error


def has_decimal_commas(path: Path) -> bool:
    """Whether the numbers of a table that has been read have decimal commas: where ``;`` separates its columns."""
    if path.suffix.lower() == ".parquet":
        return False
    with path.open(newline="", encoding="utf-8-sig") as file:
        return _delimiter(path, file.readline()) == ";"


def _read_csv(path: Path, file: TextIO, groups: str | None, rows: int | None) -> dict[str, list[str]]:
    delimiter = _delimiter(path, file.readline())
    file.seek(0)
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    names = [name.strip() for name in next(reader, [])]
    found: list[list[str]] = [[] for _ in names]
    used = [_is_used(name, groups) for name in names]
    for values in reader if rows is None else ():
        if values and len(values) != len(names):
            raise InputError(
                f"--data {path}: line {reader.line_num} has {len(values)} values, and the first line names "
                f"{len(names)} columns; put values that hold {delimiter!r} into quotes"
            )
        for column, value, whole in zip(found, map(str.strip, values), used, strict=False):
            if whole or (len(column) <= MOST_WORDS and value not in column):
                column.append(value)
    _refuse_twice(path, names)
    return {
        name: column if whole or len(column) <= MOST_WORDS else []
        for name, column, whole in zip(names, found, used, strict=True)
    }


def _delimiter(path: Path, head: str) -> str:
    """What separates the columns of a table, by its first line; within quotes nothing does."""
    return "\t" if path.suffix.lower() == ".tsv" else max(DELIMITERS, key=QUOTED.sub("", head).count)


def _read_parquet(path: Path, groups: str | None, rows: int | None) -> dict[str, list[str]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise InputError(
            f"--data {path}: a .parquet table needs pyarrow; {to_install('parquet')}, or save the table as "
            ".csv"
        ) from None
    try:
        file = parquet.ParquetFile(path)
        names = file.schema_arrow.names
        if rows is not None:
            return {name: [] for name in names}
        _refuse_twice(path, names)
        types = {name: file.schema_arrow.field(name).type for name in names}
        plain = [name for name in names if not pyarrow.types.is_nested(types[name])]
        used = [name for name in plain if _is_used(name, groups)]
        sizes = _bytes_a_row(file.metadata)
        if images := [name for name in used if sizes[name] > MOST_OF_A_PATH]:
            raise InputError(
                f"--data {path}: column {images[0]} holds far more than a path or a name in each row; expected text "
                "(images that stand in a table are not read); save them as files and name these, or remove this column"
            )
        table = file.read(columns=used)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(
            f"--data {path}: no .parquet table that can be read ({first_line(error)}); save it again"
        ) from error
    return {
        name: _texts(path, name, table[name]) if name in used else _few_words(file, name, sizes[name])
        for name in plain
    }


def _bytes_a_row(metadata: Any) -> Counter[str]:
    """The mean size of each column's values, as the file states it, without what a small table has beside them."""
    sizes: Counter[str] = Counter()
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for chunk in map(group.column, range(group.num_columns)):
            sizes[chunk.path_in_schema] += chunk.total_uncompressed_size
    return Counter({name: (size - OVERHEAD) // max(metadata.num_rows, 1) for name, size in sizes.items()})


def _is_used(name: str, groups: str | None) -> bool:
    return plain_name(name) in (*PATH, *LABEL, *SPLIT) or name == groups


def _few_words(file: Any, name: str, size: int) -> list[str]:
    """The different values of a column that is not used, as far as it may be a split: they are short and few.

    It is read no further than that is known, and Arrow reads a whole row group at least: of images, gigabytes. What is
    in it may be damaged, or beyond Python, such as a time in nanoseconds, and nobody asks for it.
    """
    if size > MOST_OF_A_WORD:
        return []
    found: dict[str, None] = {}
    try:
        for batch in file.iter_batches(BATCH, columns=[name]):
            found.update(dict.fromkeys(map(_text, batch.column(name).unique().to_pylist())))
            if len(found) > MOST_WORDS:
                return []
    except (*UNREADABLE, OSError):
        return []
    return list(found)


def _texts(path: Path, name: str, column: Any) -> list[str]:
    """A column of a .parquet table as text."""
    try:
        return [_text(value) for value in column.to_pylist()]
    except UnicodeDecodeError as error:
        raise InputError(
            f"--data {path}: column {name} holds bytes that are not UTF-8 ({error.reason}); save it as text, or "
            "remove this column (images that stand in a table are not read)"
        ) from error
    except UNREADABLE as error:
        raise InputError(
            f"--data {path}: column {name} holds {column.type}, which cannot be read ({first_line(error)}); save it as "
            "text"
        ) from error


def _text(value: Any) -> str:
    """A value as text; empty for none, and for NaN, which pandas takes for none."""
    if isinstance(value, bytes):
        value = value.decode()
    return "" if value is None or value != value else str(value).strip()


def _refuse_twice(path: Path, names: Sequence[str]) -> None:
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise InputError(
            f"--data {path}: has several columns called {named(twice)}; give each a name of its own"
        )

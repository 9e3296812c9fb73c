"""A split that a table has and does not call so: its test images would be trained on, and it is refused."""

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from search.data.class_order import is_no_value
from search.data.groups import named
from search.data.part_names import part_of, plain_name
from search.data.table_columns import LABEL, PATH, Columns
from search.errors import InputError

YES_OR_NO = {"0", "1", "0.0", "1.0", "0,0", "1,0", "no", "yes", "n", "y", "false", "true", "f", "t"}


def refuse_hidden_split(path: Path, columns: Columns, groups: str | None) -> None:
    """Refuse a split under a name that is none of ``SPLIT``: its test images would be trained on.

    It is known by its values (``train`` and ``test``, whatever stands beside these), or by a name of its own
    (``is_train``, or ``test`` over yes and no). The column of groups is used, and is none; nor is one that names a
    single part, or nothing. Columns of yes and no beside others of them may each stand for a class, and ``valid`` for
    quality.
    """
    words_of = {
        name: [value for value in dict.fromkeys(values) if not is_no_value(value)]
        for name, values in columns.items()
        if name != groups and plain_name(name) not in (*PATH, *LABEL)
    }
    binary = [name for name, words in words_of.items() if words and {*map(str.lower, words)} <= YES_OR_NO]
    classes = any(not part_of(plain_name(name).removeprefix("is")) for name in binary)
    for name, words in words_of.items():
        if len(set(map(part_of, words)) - {""}) > 1:
            raise InputError(
                f"--data {path}: column {name} holds {named(words)}, and seems to be the split, which would not be "
                "used: expected it to be called split; rename it, or remove it"
            )
        divides = name in binary and len(words) > 1 and not classes and plain_name(name) != "valid"
        asks = words and (plain_name(name).startswith("is") or divides)
        if asks and part_of(plain_name(name).removeprefix("is")):
            raise InputError(
                f"--data {path}: column {name} seems to be the split, which would not be used: expected one called "
                "split, with train, validation or test in each row; write it so, or remove it; if it is none, rename it"
            )


def refuse_split_by_folders(path: Path, paths: Sequence[str], labels: Sequence[str]) -> None:
    """Refuse images in folders of several parts, such as ``train/1.png`` and ``test/2.png``, where no column tells.

    A folder that all are in says nothing, and one that is called as an image's label is that of its class.
    """
    folders = {
        (tuple(written.replace("\\", "/").split("/")[:-1]), label)
        for written, label in zip(paths, labels, strict=True)
    }
    ends = zip(min(folders)[0], max(folders)[0], strict=False)
    shared = len(list(takewhile(lambda names: names[0] == names[1], ends)))
    innermost = (
        next((name for name in reversed(folder[shared:]) if part_of(name) and name != label), "")
        for folder, label in folders
    )
    names = sorted(set(innermost) - {""})
    if len(set(map(part_of, names))) > 1:
        raise InputError(
            f"--data {path}: its images lie in folders {named(names)}, and no column says which part each is of: "
            "expected one called split, with train, validation or test in each row; add it, or move the images into "
            "folders of other names"
        )

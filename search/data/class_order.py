"""The order of classes, and so their numbers: that of people, who count ``2`` before ``10``."""

import re
from collections.abc import Iterable, Sequence

from search.errors import InputError

DIGITS = re.compile(r"(\d+)")
LONGEST = 255
# What programs write where there is no value: pandas, databases and, as it stands here, Python. In small letters
# "none" is a word, and the name of many a class.
NO_VALUES, PYTHON_NONE = ("", "nan", "<na>", "null"), "None"


def in_natural_order(names: Iterable[str]) -> list[str]:
    """Sort names by their text and the numbers in it: ``class2`` comes before ``class10``.

    Text and numbers alternate in a name, so that text is compared with text and a number with a number. Names without
    numbers are sorted as Python sorts them, capitals first.
    """

    def key(name: str) -> tuple[list[str | int], str]:
        parts = DIGITS.split(name)
        return [int(part) if place % 2 else part for place, part in enumerate(parts)], name

    return sorted(names, key=key)


def in_order(names: Iterable[str], wanted: Sequence[str] = ()) -> list[str]:
    """Put classes into the order of a study that knows these very classes, and else into the natural order.

    Args:
        names: The classes.
        wanted: The classes of a study, in its order. One of an older version has ``10`` before ``2``.

    Raises:
        InputError: A name cannot be written to a file, or is no name.
    """
    names = list(names)
    for name in names:
        if len(name) > LONGEST:
            raise InputError(
                f"class {name[:40]!r}...: a name of {len(name):,} characters; expected at most {LONGEST}"
            )
        if not name.isascii() and name != name.encode("utf-8", "ignore").decode("utf-8"):
            raise InputError(f"class {name!r}: its name is not UTF-8; rename its folder, or its label")
    ordered = in_natural_order(names)
    return list(wanted) if sorted(wanted) == sorted(ordered) else ordered


def is_no_value(text: str) -> bool:
    """Whether a program wrote this text, such as ``NaN``, where there is no value; as a label it is no class."""
    text = text.strip()
    return text == PYTHON_NONE or text.lower() in NO_VALUES


def alike_words(classes: Iterable[str]) -> list[str]:
    """A warning of classes whose names differ by case, spaces, hyphens or underscores alone, if there are any.

    They are one class more often than not, written by several people: ``Cat`` and ``cat ``. Names of one letter are
    none of these (``A`` and ``a``), nor are ``1`` and ``-1``.
    """
    groups: dict[str, list[str]] = {}
    for name in classes:
        if len(name.strip()) > 1:
            key = re.sub(r"(?<=\S)[\s_-]+(?=\S)", " ", name.strip().strip("_")).casefold()
            groups.setdefault(key, []).append(name)
    alike = [" and ".join(map(repr, names)) for names in groups.values() if len(names) > 1]
    if not alike:
        return []
    return [
        f"warning: classes {'; '.join(alike)} differ by case, spaces, hyphens or underscores alone, and are classes of "
        "their own; if they are one, give them one name"
    ]


def order_request(ordered: Sequence[str]) -> dict[str, list[str]]:
    """The classes for a source's request, where their order is not that of older versions, whose caches are found."""
    return {} if list(ordered) == sorted(ordered) else {"classes": list(ordered)}


def wanted_request(wanted: Sequence[str]) -> dict[str, list[str]]:
    """A study's classes, where their order is not natural, for the request of a source that is not opened for it."""
    return {} if list(wanted) == in_natural_order(wanted) else {"classes": list(wanted)}

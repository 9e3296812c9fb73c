"""The order of classes, and so their numbers: that of people, who count ``2`` before ``10``."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from search.errors import InputError

DIGITS = re.compile(r"(\d+)")
LONGEST = 255
# What is no difference between classes to most people, who take both for the same.
DIFFERENCES = "case, spaces, hyphens, underscores, leading zeros or what cannot be seen"
# What programs write where there is no value, in any case; and what they write as it stands here: Python, R, Excel,
# pandas of times, MySQL. In other cases "none" is a word, and the name of many a class, as "Na" and "nat" may be.
NO_VALUES, NO_VALUES_AS_WRITTEN = (
    ("", "nan", "<na>", "null"),
    ("None", "NA", "N/A", "n/a", "#N/A", "NaT", "\\N"),
)


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
    return text in NO_VALUES_AS_WRITTEN or text.lower() in NO_VALUES


def alike_words(classes: Iterable[str]) -> list[str]:
    """A warning of classes whose names differ by ``DIFFERENCES`` alone, if there are any.

    They are one class more often than not, written by several people, or on a Mac and elsewhere: ``Cat`` and ``cat ``,
    or ``1`` and ``01``.
    Names of one letter are none of these (``A`` and ``a``), nor are ``1`` and ``-1``.
    """
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault(_alike_key(name), []).append(name)
    alike = [" and ".join(_written(names)) for names in groups.values() if len(names) > 1]
    if not alike:
        return []
    return [
        f"warning: classes {'; '.join(alike)} differ by {DIFFERENCES} alone, and are classes of their own; if they are "
        "one, give them one name"
    ]


def unlike_words(name: str, classes: Iterable[str]) -> str:
    """The class that a name which is none of the classes was perhaps meant for, in words; empty where there is none."""
    for known in classes:
        if known != name and _alike_key(known) == _alike_key(name):
            written, meant = _written([name, known])
            return f" (it has {meant}, of which {written} differs by {DIFFERENCES} alone)"
    return ""


def _alike_key(name: str) -> str:
    """What classes have in common that look or read the same."""
    visible = re.sub(r"(?<![\d.,])0+(?=\d)", "", _visible(name))
    if len(visible.strip()) <= 1:
        return visible
    return re.sub(r"(?<=\S)[\s_-]+(?=\S)", " ", visible.strip().strip("_")).casefold()


def _visible(name: str) -> str:
    """A name as people see it: a letter with its accent is one sign, and signs of no width (Unicode's Cf) are none."""
    return unicodedata.normalize("NFC", "".join(sign for sign in name if unicodedata.category(sign) != "Cf"))


def _written(names: Sequence[str]) -> list[str]:
    """Names in quotes; those that look the same with the codes of their signs."""
    seen = [_visible(name) for name in names]
    return [ascii(name) if seen.count(_visible(name)) > 1 else repr(name) for name in names]


def order_request(ordered: Sequence[str]) -> dict[str, list[str]]:
    """The classes for a source's request, where their order is not that of older versions, whose caches are found."""
    return {} if list(ordered) == sorted(ordered) else {"classes": list(ordered)}


def wanted_request(wanted: Sequence[str]) -> dict[str, list[str]]:
    """A study's classes, where their order is not natural, for the request of a source that is not opened for it."""
    return {} if list(wanted) == in_natural_order(wanted) else {"classes": list(wanted)}

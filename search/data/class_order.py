"""The order of classes, and so their numbers: that of people, who count ``2`` before ``10``."""

import re
from collections.abc import Iterable, Sequence

DIGITS = re.compile(r"(\d+)")


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
    """
    ordered = in_natural_order(names)
    return list(wanted) if sorted(wanted) == sorted(ordered) else ordered


def order_request(ordered: Sequence[str]) -> dict[str, list[str]]:
    """The classes for a source's request, where their order is not that of older versions, whose caches are found."""
    return {} if list(ordered) == sorted(ordered) else {"classes": list(ordered)}


def wanted_request(wanted: Sequence[str]) -> dict[str, list[str]]:
    """A study's classes, where their order is not natural, for the request of a source that is not opened for it."""
    return {} if list(wanted) == in_natural_order(wanted) else {"classes": list(wanted)}

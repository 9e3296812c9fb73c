"""Values as an option's type: what Python hands over is checked by type, as what is typed is by its parser."""

import numbers
import re
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from search.errors import InputError

# What a training counts: whole passes over its images, or parts of its compute (``search.study.length``).
EPOCH, EIGHTH = "epoch", "eighth"
# Sides of images, in pixels.
SHORTEST, LONGEST = 4, 2048
PREFIXES = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
EXPECTED = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "a text",
    Path: "a path",
    Sequence: "a list",
    Mapping: "a dict",
}


def of_type(flag: str, value: Any, hint: Any, unit: str = "") -> Any:
    """The value as its option's type: a whole float as int, NumPy's numbers as Python's, a text as a path.

    Args:
        flag: Named in the message.
        value: Not None.
        hint: The type of the option. One of several types is checked where it is used, as images are.
        unit: Named in the message.

    Raises:
        InputError: It is of another type.
    """
    is_union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    among = {typing.get_origin(kind) or kind for kind in (typing.get_args(hint) if is_union else (hint,))}
    kind = among.difference({types.NoneType}).pop() if len(among - {types.NoneType}) == 1 else Any
    if kind not in EXPECTED:
        return value
    if kind in (int, float):
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        fits = is_number and (kind is float or value % 1 == 0)
    else:
        fits = isinstance(value, (str, Path) if kind is Path else kind)
        fits = fits and not (kind is Sequence and isinstance(value, str))
    if not fits:
        unit = f" of {unit}" if unit and kind in (int, float) else ""
        raise InputError(f"{flag} {value!r}: expected {EXPECTED[kind]}{unit}")
    if kind is Path:
        if value == "":  # It would be the current folder.
            raise InputError(f"{flag}: an empty text is no path; leave the flag out for its default")
        return as_path(flag, value)
    return kind(value) if kind in (int, float) else value


def as_path(flag: str, value: str | Path) -> Path:
    """A path with the home folder in the place of ``~``, which a shell leaves as it is in ``--out=~/x``.

    Args:
        flag: Named in the message.
        value: A text or a path; a text that begins with ``./~`` names a file or folder here.

    Raises:
        InputError: It begins with the name of a user who is unknown here, as ``~nobody/x``.
    """
    # A path drops the ./, and whoever reads ~x then would look for x's home.
    if str(value).startswith("./~"):
        return Path(value).absolute()
    try:
        return Path(value).expanduser()
    except RuntimeError:
        user = Path(value).parts[0]
        raise InputError(
            f"{flag} {value}: {user} is the home of no user of this host; give the whole path, or ./{value} for one "
            "of that name"
        ) from None


class Final(NamedTuple):
    """A final training: its compute, or how often the default configuration sees all training images in it.

    Attributes:
        flops: Training FLOPs; 0 where epochs say it.
        epochs: Epochs of the default configuration; 0 where the compute is given.
    """

    flops: float = 0.0
    epochs: float = 0.0


def as_final(flag: str, value: Any) -> Final:
    """A final training as it is typed: ``0.2PFLOP``, ``10 epochs``, or ``10``, which are epochs, too.

    Args:
        flag: Named in the message.
        value: A text or a number.

    Raises:
        InputError: It is none, under two epochs or over 10,000, or under a megaflop or over 10^27.
    """
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    text = f"{value}" if number else value if isinstance(value, str) else ""
    match = re.fullmatch(
        r"(\d+(?:\.\d*)?(?:e[+-]?\d+)?)\s*(?:(epochs?)|([KMGTPE]?)FLOPs?)?", text.strip(), re.IGNORECASE
    )
    amount = float(match[1]) if match else 0.0
    counts_flops = match is not None and match[3] is not None
    if counts_flops:
        amount *= PREFIXES[str(match and match[3]).upper()]
    low, high = (1e6, 1e27) if counts_flops else (2, 10_000)
    if not low <= amount <= high:
        raise InputError(
            f"{flag} {value}: expected compute such as 0.2PFLOP, or from 2 to 10,000 epochs of the default "
            "configuration, such as 10 epochs"
        )
    return Final(flops=amount) if counts_flops else Final(epochs=amount)


def as_image_size(flag: str, value: Any) -> int | str:
    """A size of images in the form that is stored: the side of a square in pixels, or ``32x64``, 32 high and 64 wide.

    Args:
        flag: Named in the message.
        value: A number, a text such as ``64`` or ``32x64``, or a pair of height and width.

    Raises:
        InputError: It is none of these, or a side is shorter than 4 pixels or longer than 2,048.
    """
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", value) if isinstance(value, str) else None
    if match:
        found: Sequence[Any] = [int(match[1]), int(match[2] or match[1])]
    else:
        found = value if isinstance(value, Sequence) and not isinstance(value, str) else [value, value]
    whole: list[Any] = [
        side for side in found if isinstance(side, numbers.Real) and not isinstance(side, bool)
    ]
    if len(found) != 2 or len(whole) != 2 or not all(SHORTEST <= side <= LONGEST for side in whole):
        raise InputError(
            f"{flag} {value}: expected a number from {SHORTEST} to {LONGEST}, or two such as 32x64"
        )
    if any(side % 1 for side in whole):
        raise InputError(f"{flag} {value}: expected whole numbers of pixels")
    height, width = map(int, whole)
    return height if height == width else f"{height}x{width}"

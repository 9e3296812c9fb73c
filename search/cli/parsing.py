"""Numbers, durations, amounts of compute and lists as people type them."""

import re
from collections.abc import Sequence
from pathlib import Path

import typer

from search.config.value_types import PREFIXES, as_path
from search.errors import InputError

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = r"(?P<number>\d+(?:\.\d*)?(?:e[+-]?\d+)?)"


def parse_vary(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Values of each parameter, of ``filters=16,32`` and the like, as typed: what they mean the parameter decides.

    Raises:
        InputError: Not NAME=VALUES, no value, or something said twice.
    """
    vary: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, equals, listed = (part.strip() for part in text.partition("="))
        words = tuple(word.strip() for word in listed.split(","))
        if not equals or not name or "" in words:
            raise InputError(f"--vary {text!r}: expected NAME=VALUES, such as filters=16,32,64")
        if len(set(words)) != len(words) or name in vary:
            raise InputError(
                f"--vary {text!r}: a value or a name is said twice; each cell is run once, or --repeat times"
            )
        vary[name] = words
    return vary


def split_list(text: str) -> list[str]:
    """The names of a list with commas."""
    return [name.strip() for name in text.split(",")]


def whole_number(text: str) -> int:
    """``parser=`` of a flag that takes a whole number; unlike typer's own it says what was given."""
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no whole number, such as 20") from None


def number(text: str) -> float:
    """``parser=`` of a flag that takes a number; unlike typer's own it says what was given."""
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no number, such as 0.2") from None


def place(text: str) -> Path:
    """``parser=`` of a flag that takes a path; an empty text would be the current folder."""
    if not text:
        raise typer.BadParameter("an empty text is no path; leave the flag out for its default")
    return _path(text)


def required_place(text: str) -> Path:
    """``parser=`` of a path that has no default; an empty text, as of a shell variable that is not set, is none."""
    if not text:
        raise typer.BadParameter(
            "an empty text is no path; expected a file or a folder, such as . for this one"
        )
    return _path(text)


def _path(text: str) -> Path:
    try:
        return as_path("", text)
    except InputError as error:  # Typer names the flag.
        raise typer.BadParameter(str(error).strip()) from None


def parse_duration(flag: str, text: str, high: float = 365 * 86400.0) -> float:
    """Seconds of ``90``, ``90s``, ``30m``, ``2h`` or ``1d``.

    Raises:
        InputError: Not such a value, zero, negative, or more than ``high`` seconds.
    """
    match = re.fullmatch(rf"{_NUMBER}\s*(?P<unit>[smhd]?)", text.strip(), re.IGNORECASE)
    seconds = float(match["number"]) * _SECONDS[match["unit"].lower()] if match else 0.0
    if not 0 < seconds <= high:
        raise InputError(
            f"{flag} {text!r}: expected a time above zero and up to {high / 86400:g} days, "
            "such as 90 (seconds), 30m or 2h"
        )
    return seconds


def parse_flops(flag: str, text: str, low: float, high: float, example: str) -> float:
    """Operations of ``1PFLOP``, ``200 TFLOP``, ``0.2GFLOPs`` or a plain number.

    Raises:
        InputError: Not such a value, or outside ``low`` to ``high``; the message shows ``example``.
    """
    match = re.fullmatch(rf"{_NUMBER}\s*(?:(?P<prefix>[KMGTPE]?)FLOPs?)?", text.strip(), re.IGNORECASE)
    flops = float(match["number"]) * PREFIXES[(match["prefix"] or "").upper()] if match else 0.0
    if not low <= flops <= high:
        raise InputError(
            f"{flag} {text!r}: expected floating-point operations from {low:g} to {high:g}, such as {example}"
        )
    return flops


def parse_compute(flag: str, text: str) -> float:
    """Operations of a compute budget: ``1PFLOP``, ``200TFLOP``.

    Raises:
        InputError: Not such a value, or one under a megaflop or over 10^27.
    """
    return parse_flops(flag, text, 1e6, 1e27, "1PFLOP or 200TFLOP")


def parse_cost(flag: str, text: str) -> int:
    """Operations one image may cost: ``170MFLOP``, ``0.2GFLOP``, ``170000000``.

    Raises:
        InputError: Not such a value, or one under a kiloflop or over 10^15.
    """
    return int(parse_flops(flag, text, 1e3, 1e15, "170MFLOP, 0.2GFLOP or 170000000"))

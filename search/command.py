"""What every command has in common: plain help with an example, one-line errors, human values, exit codes.

A command module is a function first; around it stands ``app = make_app(function, example=...)`` and, at the
end, ``main(app)``. Exit codes: 0 done, 1 the search stopped by itself or the program has a fault, 2 wrong input, 130
interrupted.
"""

import contextlib
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

import typer

from search.errors import DiskFull, InputError, StudyStopped, is_disk_full
from search.loudness import VERBOSE, with_loudness
from search.stopping import this_process_is_ours
from storage.errors import DatabaseGone

# BadParameter -> UsageError -> this one: the base of all that typer says about a wrong command line. Reached
# through a public name because some releases of typer carry their own click and others use the installed one.
_CommandLineError: type[Exception] = typer.BadParameter.__mro__[2]

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PREFIX = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
NO_TEMPORARY = "No usable temporary directory"  # tempfile.
_NUMBER = r"(?P<number>\d+(?:\.\d*)?(?:e[+-]?\d+)?)"


def make_app(function: Callable[..., None], *, example: str, chatty: bool = False) -> typer.Typer:
    """A typer app of the one command ``function``, with ``--quiet`` and ``--verbose``.

    Args:
        function: Its docstring is the help.
        example: The last lines of the help.
        chatty: Whether it prints more than its result, which it then prints by ``search.loudness.result``.
    """
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    # "\b" keeps click from re-flowing the example's lines into one paragraph.
    app.command(epilog=f"\b\nExample:\n{_indented(example)}")(with_loudness(function, chatty))
    return app


def main(app: typer.Typer, argv: Sequence[str] | None = None) -> NoReturn:
    """Run ``app`` on ``argv`` (default: the process's own) and exit; no traceback for a user's mistake.

    Raises:
        SystemExit: Always: 0, 1 after ``StudyStopped`` or a fault, 2 for wrong input, 130 when interrupted.
    """
    this_process_is_ours()
    if os.environ.get("NO_COLOR"):
        os.environ["TERM"] = (
            "dumb"  # Else rich drops the colours alone, and still prints bold and moves the cursor.
        )
    code = _run(app, argv)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has seen enough (| head); Python would complain when it flushes once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def _run(app: typer.Typer, argv: Sequence[str] | None) -> int:
    try:
        code = app(args=None if argv is None else list(argv), standalone_mode=False)
    except (InputError, _CommandLineError) as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        _say_error(message)
        return 2
    except StudyStopped as stopped:
        _say_error(str(stopped))
        return 1
    except DatabaseGone as gone:
        _say_error(f"--storage: {gone}; nothing that was finished is lost: run the same command again")
        return 1
    except KeyboardInterrupt:
        return 130
    except typer.Abort as abort:
        # typer turns Ctrl-C into Abort, and an EOFError from anywhere too, which would hide a real fault.
        if not isinstance(abort.__cause__, EOFError):
            return 130
        _say_fault(abort.__cause__)
        return 1
    except BrokenPipeError:
        return 1
    except Exception as fault:
        if is_disk_full(fault):
            _say_error(str(DiskFull(fault)))
        elif isinstance(fault, FileNotFoundError) and NO_TEMPORARY in str(fault):
            _say_error(
                f"{fault.strerror}: they are full or cannot be written; free some, or set TMPDIR to another"
            )
        else:
            _say_fault(fault)
        return 1
    return code if isinstance(code, int) else 0


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
    flops = float(match["number"]) * _PREFIX[(match["prefix"] or "").upper()] if match else 0.0
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


def _indented(example: str) -> str:
    return "\n".join(f"  {line}" for line in example.strip().splitlines())


def _say_fault(fault: BaseException) -> None:
    """A fault of the program in one line; its traceback is kept for whoever is to mend it."""
    text = "".join(traceback.format_exception(fault))
    if VERBOSE.is_set():
        print(text, end="", file=sys.stderr)
        return
    kept = ""
    with contextlib.suppress(OSError):
        with tempfile.NamedTemporaryFile("w", prefix="search-", suffix=".txt", delete=False) as file:
            file.write(text)
        kept = f"its traceback is in {file.name}, and "
    _say_error(
        f"{type(fault).__name__}: {fault}: a fault of this program, not of yours; {kept}--verbose shows it"
    )


def _say_error(message: str) -> None:
    line = " ".join(part.strip() for part in message.splitlines() if part.strip())
    print(f"error: {line}", file=sys.stderr)

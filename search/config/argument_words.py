"""Messages in the words of whoever reads them: flags for a command's user, arguments for a Python caller.

All messages are written with flags, ``--epochs 0: expected a number from 1 to 10000``, since the code that finds a
mistake does not know who made it. The functions that Python calls say the same of their arguments, ``epochs=0:
expected ...``: each is a boundary, at which refusals and log lines are translated on their way out.
"""

import functools
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from search.errors import InputError, StudyStopped

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
LOGGERS = ("search", "spaces", "storage")


@dataclass(frozen=True)
class Argument:
    """What a flag is called in Python.

    Attributes:
        name: The argument's name.
        switch: What it is set to by a flag that takes no value; None for one that takes a value.
        choices: The words it may be.
    """

    name: str
    switch: bool | None = None
    choices: tuple[str, ...] = ()


# A command of the shell stays one; each of its flags has one value, or none, which holds spaces where it is quoted.
_WORD = r"(?!--)(?:'[^']*'|\"[^\"]*\"|[^\s,;:()'\"]|[,:](?=\S))+"
_FLAG = re.compile(rf"python -m search\.\w+(?: --[\w-]+(?: {_WORD})?)*|(?<![\w-])--(?P<name>[a-z][a-z-]*)")
_LITERAL = (
    r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w/]|\.\w)|(?:nan|inf|True|False|None)\b"
    r"|b?'[^']*'|b?\"[^\"]*\"|(?:Posix|Windows)Path\('[^']*'\)"
    r"|\{[^{}]*\}|\[[^\[\]]*\]"
)
# A value with no quotes around it: at the head of a message all up to the colon, elsewhere a word before a mark.
_HEAD = re.compile(rf" (?P<literal>{_LITERAL})| (?P<text>(?:(?! --)[^:;]|:(?! ))+)(?=: )")
_LATER = re.compile(
    rf" (?P<literal>{_LITERAL})| (?P<text>\w+=[\w.,]*\w|(?!(?:out|name|or)\b)[^\s,;:()]+(?=[,;:)]|$| \())"
)


def in_arguments(message: str, arguments: Mapping[str, Argument]) -> str:
    """The message with arguments in place of flags.

    Args:
        message: As it is written for a command: ``--image-size 3: expected a number from 4 to 2048``.
        arguments: What a flag is called in Python, by the flag without its dashes; any other keeps its name.

    Example:
        >>> in_arguments("--data /x: no images; run python -m search.run --study s, or pass --image-size 64", {})
        "data='/x': no images; run python -m search.run --study s, or pass image_size=64"
    """
    parts, at = [], 0
    for match in _FLAG.finditer(message):
        if match.start() < at or match["name"] is None:
            continue
        argument = arguments.get(match["name"]) or Argument(match["name"].replace("-", "_"))
        words, end = _said(argument, message, match)
        parts += [message[at : match.start()], words]
        at = end
    return "".join([*parts, message[at:]]).replace("leave the flag out", "leave the argument out")


def _said(argument: Argument, message: str, match: re.Match[str]) -> tuple[str, int]:
    """The argument, with its value if the flag has one there; and where that ends in the message."""
    value = (_LATER if match.start() else _HEAD).match(message, match.end())
    if argument.switch is not None:
        literal = value["literal"] if value else None
        given = literal if literal and (not match.start() or literal[0] in "TF'\"") else None
        return f"{argument.name}={given or argument.switch}", value.end() if value and given else match.end()
    if value is None:
        choice = re.compile(" (" + "|".join(map(re.escape, argument.choices)) + r")\b").match(
            message, match.end()
        )
        if not argument.choices or choice is None:
            return argument.name, match.end()
        return f"{argument.name}={choice[1]!r}", choice.end()
    text = value["literal"] or repr(value["text"])
    if cost := re.fullmatch(r"([\d,.]+)MFLOP", value["text"] or ""):
        text = f"{float(cost[1].replace(',', '')) * 1e6:.0f}"
    if varied := re.fullmatch(r"(\w+)=([\w.,]+)", value["text"] or ""):
        listed = [one if re.fullmatch(_LITERAL, one) else repr(one) for one in varied[2].split(",")]
        text = f"{{{varied[1]!r}: [{', '.join(listed)}]}}"
    return f"{argument.name}={text}", value.end()


@contextmanager
def speaking_of(arguments: Mapping[str, Argument]) -> Iterator[None]:
    """Within it, what a person reads speaks of arguments: exceptions on their way out, and lines of our loggers.

    Args:
        arguments: See ``in_arguments``.

    Raises:
        InputError: The one that was raised inside, in other words.
        StudyStopped: Likewise.
    """

    def translate(record: logging.LogRecord) -> bool:
        record.msg, record.args = in_arguments(record.getMessage(), arguments), ()
        return True

    handlers = [handler for name in LOGGERS for handler in logging.getLogger(name).handlers]
    for handler in handlers:
        handler.addFilter(translate)
    try:
        yield
    except (InputError, StudyStopped) as error:
        error.args = tuple(in_arguments(str(part), arguments) for part in error.args)
        raise
    finally:
        for handler in handlers:
            handler.removeFilter(translate)


def of_arguments(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """The function, whose refusals and lines speak of arguments rather than of flags."""

    @functools.wraps(function)
    def called(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with speaking_of({}):
            return function(*args, **kwargs)

    return called

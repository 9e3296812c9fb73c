"""``--quiet`` and ``--verbose``, the same for every command, and how a result is told from the talk around it."""

import contextlib
import functools
import inspect
import io
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TextIO

import typer

from search.cli.closed_pipe import outliving_readers
from search.config.interpreter import as_typed_here
from search.errors import InputError

WARNING = "warning:"
# Whether the libraries' words and tracebacks are wanted.
VERBOSE = threading.Event()
Quiet = Annotated[bool, typer.Option("--quiet", help="Print the result, warnings and errors alone.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", help="Print what the libraries log, and tracebacks, as well.")
]


def with_verbosity(function: Callable[..., None], chatty: bool) -> Callable[..., None]:
    """The same function with the flags ``--quiet`` and ``--verbose``.

    Args:
        function: A command.
        chatty: Whether it prints more than its result.
    """

    @functools.wraps(function)
    def wrapped(*, quiet: bool = False, verbose: bool = False, **given: Any) -> None:
        if quiet and verbose:
            raise InputError("--quiet and --verbose contradict each other: leave one of the two out")
        VERBOSE.clear()
        if verbose:
            VERBOSE.set()
            logging.basicConfig(
                level=logging.INFO,
                format="%(asctime)s %(levelname)s %(name)s: %(message)s",
                stream=sys.stderr,
            )
        with (
            outliving_readers() if chatty else contextlib.nullcontext(),
            _quietly() if quiet and chatty else contextlib.nullcontext(),
        ):
            function(**given)

    before = inspect.signature(function)
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in (("quiet", Quiet), ("verbose", Verbose))
    ]
    wrapped.__signature__ = before.replace(parameters=[*before.parameters.values(), *more])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {**function.__annotations__, "quiet": Quiet, "verbose": Verbose}
    return wrapped


def print_result(text: str) -> None:
    """Print what a command was called for: ``--quiet`` lets it through."""
    stream = sys.stdout
    print(as_typed_here(text), file=stream.beyond if isinstance(stream, _Silenced) else stream)


def print_hint(text: str) -> None:
    """Print what can be done with a result: ``--quiet`` leaves it out."""
    print(as_typed_here(text))


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    with contextlib.redirect_stdout(_Silenced(sys.stdout)):
        yield


class _Silenced(io.TextIOBase):
    """Standard output of which warnings alone are passed on, to standard error."""

    def __init__(self, beyond: TextIO) -> None:
        self.beyond = beyond
        self._line = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            if line.startswith(WARNING):
                print(line, file=sys.stderr)
        return len(text)

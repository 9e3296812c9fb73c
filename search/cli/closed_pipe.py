"""What a long command prints when nobody reads it any more (``run | head -1``): nothing, and the work goes on."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO


class LastingStream:
    """A standard stream that goes on into nothing once its reader is gone; all else is the stream's own.

    Args:
        stream: Standard output or standard error.
        on_close: Called once, when the reader turns out to be gone.
    """

    def __init__(self, stream: TextIO, on_close: Callable[[], None] = lambda: None) -> None:
        self._stream, self._on_close = stream, on_close

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, wherever the stream leads by now."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._go_on_into_nothing()
            return len(text)

    def flush(self) -> None:
        """Flush, wherever the stream leads by now."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._go_on_into_nothing()

    def _go_on_into_nothing(self) -> None:
        # The descriptor itself: what lies in the buffer, and what children print, goes there too.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        self._on_close()


@contextlib.contextmanager
def outliving_readers() -> Iterator[None]:
    """Let no reader that is gone end what this process does within the block."""

    def say() -> None:
        print(
            "warning: nobody reads the output any more (its pipe is closed); the work goes on",
            file=sys.stderr,
        )

    with (
        contextlib.redirect_stderr(LastingStream(sys.stderr)),  # type: ignore[type-var]
        contextlib.redirect_stdout(LastingStream(sys.stdout, say)),  # type: ignore[type-var]
    ):
        yield

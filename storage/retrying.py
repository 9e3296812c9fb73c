"""Which failures are the database's absence, and how a call is tried again until it is back."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

import optuna
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from storage.errors import DatabaseGone, LockLost
from storage.times import Times

Result = TypeVar("Result")
FIRST_PAUSE = 0.05
SLICE_SECONDS = 0.2
# Operational too, in the database's words, but no waiting mends them.
FATAL = (
    "no such table", "no such column", "readonly database", "not a database", "malformed",
    "authentication failed", "no password supplied", "does not exist", "no pg_hba.conf entry",
)  # fmt: skip


class Retrying:
    """Tries calls again, bounded and with jitter; one a process.

    Attributes:
        times: How long.
    """

    def __init__(self, times: Times) -> None:
        self.times = times
        self._deadline = float("inf")

    def hurry(self, seconds: float) -> None:
        """From now on give up after ``seconds``: this process is asked to end. May be called by a signal's handler."""
        self._deadline = min(self._deadline, time.monotonic() + seconds)

    def relax(self) -> None:
        """Take the hurry back: this process goes on after all."""
        self._deadline = float("inf")

    def call(self, attempt: Callable[[int], Result]) -> Result:
        """Call ``attempt`` with the number of tries before, until it does not fail for want of the database.

        Raises:
            DatabaseGone: It failed for too long.
        """
        started, pause, tries = time.monotonic(), FIRST_PAUSE, 0
        while True:
            try:
                return attempt(tries)
            except Exception as error:
                if not is_outage(error):
                    raise
                now = time.monotonic()
                if now > min(started + self.times.retry, self._deadline):
                    raise DatabaseGone(
                        f"the database did not answer for {now - started:.0f} s ({reason(error)})"
                    ) from None
            tries += 1
            # With jitter: workers that lost the database together do not come back together.
            self._wait(random.uniform(0.2, 1) * pause)
            pause = min(2 * pause, self.times.pause)

    def _wait(self, seconds: float) -> None:
        over = time.monotonic() + seconds
        while (left := min(over, self._deadline) - time.monotonic()) > 0:
            time.sleep(min(left, SLICE_SECONDS))


def is_outage(error: BaseException | None) -> bool:
    """Whether ``error`` says that the database is away, restarting, busy or full, so that it is worth another try."""
    if isinstance(error, optuna.exceptions.StorageInternalError):
        error = error.__cause__
    if isinstance(error, (LockLost, PoolTimeout)):
        return True
    if isinstance(error, (OperationalError, InterfaceError)):
        return not any(words in str(error.orig).lower() for words in FATAL)
    if not isinstance(error, DBAPIError):
        return False
    # A server that has just become a standby: the next connection reaches its successor.
    return error.connection_invalidated or "read-only transaction" in str(error.orig)


def reason(error: BaseException) -> str:
    """The first line of what the driver said; it quotes neither statement nor password."""
    inner = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
    said = inner.orig if isinstance(inner, DBAPIError) else inner
    return (str(said).strip().splitlines() or [type(said).__name__])[0][:200]

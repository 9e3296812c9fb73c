"""Which failures mean that the database is away, and how a call is tried again until it is back.

A call that fails is made again after a pause that doubles from try to try (exponential backoff), so that a short
absence costs little time and a long one few calls. Each pause is multiplied by a random factor (jitter): the workers
that lost the database together do not all come back at the same moment.

In symbols, the pause after try k = 0, 1, 2, ... is u_k * min(p * 2**k, P) seconds, where p = 0.05, P is
``Timeouts.pause`` and each u_k is drawn evenly from 0.2 to 1. The first failure later than ``Timeouts.retry`` seconds
after the beginning, or later than a deadline that the process was set, is the last one.

An example with the defaults, P = 5 and retry = 720: without jitter the pauses are 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2,
5, 5, ... With it they are 0.6 times as long on average. So a restart of the server that takes 3 s costs about seven
failed tries, and a server that stays away is asked every 3 s, some 240 times, before ``DatabaseGone`` is raised.

Source: M. Brooker, "Exponential Backoff and Jitter", 2015,
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
"""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

import optuna
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from storage.errors import DatabaseGone, LockLost
from storage.timeouts import Timeouts

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
FIRST_PAUSE = 0.05
# Seconds after which people are told that a call waits, and from one such line to the next.
PATIENCE, SILENCE = 10.0, 60.0
# What the drivers say of a full disk, which people are told of at once: no waiting alone mends it.
FULL = ("disk is full", "no space left on device")
SLICE_SECONDS = 0.2
# What drivers also report as operational errors, though waiting does not help.
FATAL = (
    "no such table", "no such column", "readonly database", "not a database", "malformed",
    "authentication failed", "no password supplied", "does not exist", "no pg_hba.conf entry",
)  # fmt: skip

INSUFFICIENT_PRIVILEGE = "42501"  # Postgres's code.


class Retrying:
    """Makes calls and tries them again while the database is away; all calls of a process share one.

    Attributes:
        timeouts: For how long, and with what pauses.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self._deadline = float("inf")
        self._told = float("-inf")

    def set_deadline(self, seconds: float) -> None:
        """Give up ``seconds`` from now, since this process is asked to end; an earlier deadline stays.

        A signal's handler may call it.
        """
        self._deadline = min(self._deadline, time.monotonic() + seconds)

    def clear_deadline(self) -> None:
        """Remove the deadline: this process goes on after all."""
        self._deadline = float("inf")

    def call(self, attempt: Callable[[int], Result]) -> Result:
        """Call ``attempt`` until it no longer fails because the database is away.

        Args:
            attempt: It is given the number of tries before this one.

        Returns:
            What ``attempt`` returns.

        Raises:
            DatabaseGone: The database was away for too long.
            Exception: Any other failure of ``attempt``, at once.
        """
        started, pause, tries = time.monotonic(), FIRST_PAUSE, 0
        while True:
            try:
                return attempt(tries)
            except Exception as error:
                if not is_outage(error):
                    raise
                self._end_or_tell(error, started)
            tries += 1
            self._wait(random.uniform(0.2, 1) * pause)
            pause = min(2 * pause, self.timeouts.pause)

    def _end_or_tell(self, error: Exception, started: float) -> None:
        """Give up once the time is over; before that, tell people that a call waits, for what, and how long."""
        now, why, until = time.monotonic(), reason(error), min(started + self.timeouts.retry, self._deadline)
        is_full = says_full(why)
        no_room = f"the database has no room left on its disk: free some ({why})"
        if now > until:
            waited = f"for {now - started:.0f} s"
            told = (
                f"{no_room}; it was asked again {waited}"
                if is_full
                else f"the database did not answer {waited} ({why})"
            )
            raise DatabaseGone(told) from None
        if (is_full or now - started > PATIENCE) and now - self._told > SILENCE:
            self._told = now
            told = no_room if is_full else f"the database does not answer ({why})"
            logger.warning(f"{told}; it is asked again for up to {until - now:.0f} s more")

    def _wait(self, seconds: float) -> None:
        over = time.monotonic() + seconds
        while (left := min(over, self._deadline) - time.monotonic()) > 0:
            time.sleep(min(left, SLICE_SECONDS))


def is_outage(error: BaseException | None) -> bool:
    """Whether ``error`` means that the database is away, restarting, busy or full, so that another try may succeed."""
    error = _cause(error)
    if isinstance(error, (LockLost, PoolTimeout)):
        return True
    if isinstance(error, (OperationalError, InterfaceError)):
        return not any(words in str(error.orig).lower() for words in FATAL)
    if not isinstance(error, DBAPIError):
        return False
    # The latter comes from a server that has just become a standby: the next connection reaches its successor.
    return error.connection_invalidated or "read-only transaction" in str(error.orig)


def says_full(why: str) -> bool:
    """Whether a ``reason`` is that the database's disk is full."""
    return any(words in why.lower() for words in FULL)


def is_refusal(error: BaseException | None) -> bool:
    """Whether the database refuses what is asked of it: a right is missing, or its file may only be read."""
    error = _cause(error)
    if not isinstance(error, DBAPIError):
        return False
    missing = getattr(error.orig, "sqlstate", None) == INSUFFICIENT_PRIVILEGE
    return missing or "readonly database" in str(error.orig)


def reason(error: BaseException) -> str:
    """The first line of the driver's message, at most 200 characters; it quotes neither a statement nor a password."""
    inner = _cause(error)
    cause = inner.orig if isinstance(inner, DBAPIError) else inner
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0][:200]


def _cause(error: BaseException | None) -> BaseException | None:
    """The failure itself, out of what Optuna and SQLAlchemy raise on its account.

    When a query fails, Optuna tries another in the same transaction, for SQLite's sake. Where the connection was lost,
    SQLAlchemy refuses that one, and names the loss only as what came before.
    """
    if isinstance(error, optuna.exceptions.StorageInternalError):
        error = error.__cause__
    if isinstance(error, PendingRollbackError) and error.__context__ is not None:
        error = error.__context__
    return error

"""The locks by which processes do one thing at a time: a file beside an SQLite database, an advisory one in Postgres.

Each gives a guard: a check at the start of another transaction that the lock is still held, which refuses to write once
it is not.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from storage.errors import LockLost
from storage.url import sqlite_file

Guard = Callable[[Connection], None]
# However short the grace: a holder of a lock is not taken for a stopped process before this time.
LEAST_HOLD_SECONDS = 5.0
# A process that waits for a lock stops waiting after this time, to see whether it is asked to end, and tries again.
LONGEST_WAIT_SECONDS = 10.0
IS_LOCK_HELD = text(
    "SELECT 1 FROM pg_locks JOIN pg_stat_get_activity(:pid) USING (pid) WHERE locktype = 'advisory' AND granted "
    "AND objid = :low AND classid = :high AND backend_start = CAST(:started AS timestamptz)"
)
SET_LIMITS = text(
    "SELECT set_config('lock_timeout', :wait, true), set_config('idle_in_transaction_session_timeout', :hold, true)"
)
TAKE_LOCK = text(
    "SELECT pg_advisory_xact_lock(:key), pid, CAST(backend_start AS text) "
    "FROM pg_stat_get_activity(pg_backend_pid())"
)


@contextmanager
def file_lock(url: URL, timeout: float = LONGEST_WAIT_SECONDS) -> Iterator[Guard]:
    """Hold the lock file beside an SQLite database in a ``with`` block; the kernel frees it when its holder dies.

    Raises:
        LockLost: Another process held it for longer than ``timeout`` seconds.
    """
    path = sqlite_file(url)
    try:
        with FileLock(path.with_name(path.name + ".claim.lock")).acquire(timeout, poll_interval=0.01):
            yield lambda connection: None
    except Timeout:
        raise LockLost(f"another process holds the lock of {path.name}") from None


@contextmanager
def advisory_lock(engine: Engine, name: str, grace: float) -> Iterator[Guard]:
    """Hold Postgres's advisory lock ``name`` in a ``with`` block.

    The lock belongs to a transaction of its own, and ends with it or with its connection. The server ends the
    transaction of a holder that is stopped for longer than ``grace``, which the guard then notices.

    Args:
        engine: Where the database is.
        name: The lock's name, of any length.
        grace: Seconds, at least ``LEAST_HOLD_SECONDS``.
    """
    key = int.from_bytes(
        hashlib.sha256(f"keras-image-search {name}".encode()).digest()[:8], "big", signed=True
    )
    connection = engine.connect()
    try:
        limits = {"wait": LONGEST_WAIT_SECONDS, "hold": max(grace, LEAST_HOLD_SECONDS)}
        connection.execute(SET_LIMITS, {name: str(int(1000 * seconds)) for name, seconds in limits.items()})
        _, pid, started = connection.execute(TAKE_LOCK, {"key": key}).one()
        identity = {"pid": pid, "started": started, "low": key & 0xFFFFFFFF, "high": (key >> 32) & 0xFFFFFFFF}

        def guard(other: Connection) -> None:
            if other.execute(IS_LOCK_HELD, identity).scalar() is None:
                raise LockLost("the database gave the lock to another")

        yield guard
    finally:
        with suppress(SQLAlchemyError):  # Where the connection is gone the lock is too.
            connection.rollback()
        with suppress(SQLAlchemyError):
            connection.close()

"""How the database is opened: with settings that survive busy files and lost hosts, and its schema made under a lock.

Optuna creates the schema without a lock, which fails when several processes do so at once (24 of 40 on SQLite, 33 of 40
on Postgres, measured with eight at a time).
"""

import math
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import RDBStorage
from sqlalchemy import create_engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import InvalidatePoolError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from storage.database import Database
from storage.errors import DatabaseGone, LockLost
from storage.locks import LEAST_HOLD_SECONDS, LONGEST_WAIT_SECONDS, advisory_lock, file_lock
from storage.rdb import LeanStorage
from storage.retry import Retrying, is_refusal, reason, says_full
from storage.timeouts import Timeouts
from storage.url import check_url, is_sqlite, parse, passwords_of, redacted, sqlite_file, without_password

# How long SQLite waits for another process's write.
BUSY_SECONDS = 60
# How long to wait for other processes that open the same database at the same time.
OPENING_SECONDS = 120.0
ENCRYPTED = ("require", "verify-ca", "verify-full")
LARGE_SERVER = 300  # Connections that a Postgres takes; a new one takes 100.
# Before a connection is used that nobody has used for so long, the server is asked whether it is still there.
UNUSED_SECONDS = 5.0
USED = "used"
LOCK_NOT_AVAILABLE = "55P03"  # Postgres's code for a lock_timeout.


def open_storage(url: str, timeouts: Timeouts | None = None, *, patient: bool = False) -> Database:
    """Open the database at ``url``, and create it on first use.

    Args:
        url: An SQLite or Postgres URL. A password in it goes to the driver alone: nothing that is printed, logged or
            raised later contains it.
        timeouts: How long to wait for what.
        patient: Wait for a database that is away, as a search that goes on does, instead of raising at once.

    Raises:
        ValueError: The URL is not one of a database, or the database cannot be opened; in one line without a
            password, which begins with ``storage``.
    """
    check_url(url)
    parsed, timeouts = parse(url), timeouts or Timeouts()
    _check_encryption(parsed)
    shown = redacted(without_password(parsed))
    if is_sqlite(parsed):  # A notebook may change its folder later.
        parsed = parsed.set(database=str(sqlite_file(parsed).absolute()))
    bare = without_password(parsed)
    try:
        opened = (
            Retrying(timeouts).call(lambda _: _open(parsed, timeouts))
            if patient
            else _open_after_others(parsed, timeouts)
        )
    except (
        SQLAlchemyError,
        sqlite3.Error,
        OSError,
        LockLost,
        RuntimeError,
        optuna.exceptions.StorageInternalError,
        DatabaseGone,
    ) as error:
        raise ValueError(
            f"storage {shown}: cannot be opened ({_reason(error, parsed)}); {_expected(parsed, error)}"
        ) from None
    return Database(opened, bare, timeouts)  # type: ignore[abstract]  # Its methods are filled in at import.


@contextmanager
def existing_database(url: str) -> Iterator[sqlalchemy.Connection | None]:
    """Connect for reading to a database that is there already; nothing is created.

    Yields:
        The connection; None if there is no database with Optuna's tables.

    Raises:
        ValueError: As ``open_storage``; also for whatever the database refuses within the ``with`` block.
    """
    check_url(url)
    parsed = parse(url)
    _check_encryption(parsed)
    if is_sqlite(parsed) and not sqlite_file(parsed).exists():
        yield None
        return
    engine = create_engine(
        without_password(parsed), poolclass=NullPool, connect_args=_connect_args(parsed, Timeouts())
    )
    try:
        with engine.connect() as connection:
            there = sqlalchemy.inspect(connection).has_table("studies")
            yield connection if there else None
    except SQLAlchemyError as error:
        raise ValueError(
            f"storage {redacted(parsed)}: cannot be opened ({_reason(error, parsed)}); {_expected(parsed, error)}"
        ) from None


def _open_after_others(url: URL, timeouts: Timeouts) -> RDBStorage:
    """Open the database; wait for other processes that do so at the same time, but for nothing else."""
    over = time.monotonic() + OPENING_SECONDS
    while True:
        try:
            return _open(url, timeouts)
        except (LockLost, OperationalError) as error:
            others = (
                isinstance(error, LockLost) or getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE
            )
            if not others or time.monotonic() > over:
                raise


def _open(url: URL, timeouts: Timeouts) -> RDBStorage:
    bare = without_password(url)
    settings: dict[str, Any] = {"connect_args": _connect_args(url, timeouts)}
    if is_sqlite(url):
        with file_lock(bare):
            connection = sqlite3.connect(sqlite_file(url), timeout=BUSY_SECONDS)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.close()
            storage = _with_schema(bare, settings)
        # Attached after the schema exists: during its creation the listener would meet Optuna's own transaction.
        sqlalchemy.event.listen(storage.engine, "connect", _relax_sync)
        storage.engine.dispose()
        return storage
    engine = create_engine(bare, poolclass=NullPool, connect_args=settings["connect_args"])
    # A claim needs two connections, a sign of life a third. A small server keeps one open for each process, since many
    # share it; a large one two, since a claim holds a lock while it waits for the second.
    with engine.connect() as asking:
        most = int(asking.exec_driver_sql("SHOW max_connections").scalar_one())
    size = 2 if most >= LARGE_SERVER else 1
    settings |= {"pool_size": size, "max_overflow": 5 - size, "pool_timeout": 30}
    with advisory_lock(engine, "schema", max(timeouts.grace, 60.0)):
        storage = _with_schema(bare, settings)
    sqlalchemy.event.listen(storage.engine, "connect", _session_settings(timeouts))
    sqlalchemy.event.listen(storage.engine, "checkin", _note_use)
    sqlalchemy.event.listen(storage.engine, "checkout", _asking_unused(storage.engine.dialect))
    storage.engine.dispose()
    return storage


def _note_use(_connection: object, record: Any) -> None:
    record.info[USED] = time.monotonic()


def _asking_unused(dialect: Any) -> Callable[[Any, Any, object], None]:
    """Replaces connections that were lost while nobody used them; whoever used one lately would have heard of it."""

    def ask(connection: Any, record: Any, _fairy: object) -> None:
        if time.monotonic() - record.info.get(USED, math.inf) <= UNUSED_SECONDS:
            return
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error:
            raise InvalidatePoolError from None

    return ask


def _with_schema(url: URL, settings: dict[str, Any]) -> RDBStorage:
    storage = LeanStorage(url.render_as_string(hide_password=False), engine_kwargs=settings)
    storage.engine_kwargs = {}  # Optuna would pickle it, the driver's password included.
    return storage


def _connect_args(url: URL, timeouts: Timeouts) -> dict[str, Any]:
    if is_sqlite(url):
        return {"timeout": BUSY_SECONDS}
    return {
        "connect_timeout": max(2, round(timeouts.connect)),
        # So a host that vanishes is noticed within half a minute.
        "keepalives": 1,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        **passwords_of(url),
    }


def _check_encryption(url: URL) -> None:
    """Refuse an encrypted connection in a process that it would end: ``free(): invalid pointer``, without a message.

    TensorFlow (2.21) brings cryptographic code of its own; where it is loaded before the driver (psycopg 3.3), that is
    called in place of the driver's. No command of ours loads TensorFlow, but a notebook may.
    """
    first = next((name for name in sys.modules if name in ("psycopg", "tensorflow")), "")
    if first == "tensorflow" and url.query.get("sslmode") in ENCRYPTED:
        raise ValueError(
            f"storage {redacted(url)}: TensorFlow was imported before the database's driver, and an encrypted "
            "connection would end this process: begin it (a notebook's kernel) anew with import psycopg"
        )


def _reason(error: BaseException, url: URL) -> str:
    message = reason(error)
    for password in passwords_of(url).values():
        message = message.replace(password, "***") if password else message
    return message


def _expected(url: URL, error: BaseException) -> str:
    if not is_sqlite(url) and is_refusal(error):
        return f"its owner can grant what is missing: {grants(url)}"
    if says_full(reason(error)):
        return "free some space there, and run the same command again"
    if is_sqlite(url) and _only_read(sqlite_file(url)):
        folder = sqlite_file(url).parent
        return f"SQLite writes into a folder even to read it: make {folder} writable, or copy it and name the copy"
    if is_sqlite(url):
        return "expected the path of a writable SQLite database, such as sqlite:///studies/search.db"
    return "is the server up, does the database exist (createdb), and is PGPASSFILE set or ~/.pgpass there?"


def _only_read(file: Path) -> bool:
    """Whether a database is there that may be read alone."""
    return file.is_file() and not all(os.access(path, os.W_OK) for path in (file, file.parent))


def grants(url: URL) -> str:
    """The statements that give the role of a URL all that a study needs, tables that are made later included."""
    role = '"{}"'.format((url.username or "ROLE").replace('"', '""'))
    return (
        f"GRANT USAGE, CREATE ON SCHEMA public TO {role}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "
        f"public TO {role}; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"
    )


def _session_settings(timeouts: Timeouts) -> Callable[[Any, object], None]:
    """The settings of each Postgres session: a process stopped or lost during a write must not hold up the others."""
    # Milliseconds; half of what a lock's holder has, so that its writes are cut off before the lock goes to another.
    idle = int(500 * max(timeouts.grace, LEAST_HOLD_SECONDS))
    settings = (
        # A host's PGTZ would win over the URL's options. In UTC all sessions mean the same time.
        "SET TIME ZONE 'UTC'",
        f"SET lock_timeout = {int(1000 * LONGEST_WAIT_SECONDS)}",
        f"SET idle_in_transaction_session_timeout = {idle}",
        # With the server's defaults it takes two hours to notice that a host is lost.
        "SET tcp_keepalives_idle = 10",
        "SET tcp_keepalives_interval = 5",
        "SET tcp_keepalives_count = 3",
    )

    def apply(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("; ".join(settings))
        connection.commit()

    return apply


def _relax_sync(connection: Any, _record: object) -> None:
    # With a write-ahead log, NORMAL loses nothing when a process dies. A power cut may cost the last transactions.
    connection.execute("PRAGMA synchronous=NORMAL")

"""How the database is opened: settings that survive busy files and lost hosts, its schema made once, under a lock."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import RDBStorage
from sqlalchemy import create_engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from storage.database import (
    LEAST_HOLD_SECONDS,
    LONGEST_WAIT_SECONDS,
    Database,
    advisory_lock,
    file_lock,
)
from storage.errors import DatabaseGone, LockLost
from storage.retrying import Retrying, reason
from storage.times import Times
from storage.url import check_url, is_sqlite, parse, passwords_of, shown, sqlite_file, without_password

BUSY_SECONDS = 60
TURN_SECONDS = 120.0
LOCK_NOT_AVAILABLE = "55P03"


def open_storage(url: str, times: Times | None = None, *, patient: bool = False) -> Database:
    """Open (and on first use create) the database at ``url``.

    Args:
        url: Of SQLite or Postgres. A password in it goes to the driver alone: nothing that is printed, logged or
            raised later has it.
        times: How long to wait for what.
        patient: Wait for a database that is away, as a search that goes on does; else say so at once.

    Raises:
        ValueError: In one line and without a password: the URL is no URL, or the database cannot be opened.
    """
    check_url(url)
    parsed, times = parse(url), times or Times()
    bare = without_password(parsed)
    try:
        opened = (
            Retrying(times).call(lambda _: _open(parsed, times)) if patient else _open_in_turn(parsed, times)
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
            f"--storage {shown(bare)}: cannot be opened ({_reason(error, parsed)}); {_expected(parsed)}"
        ) from None
    return Database(opened, bare, times)  # type: ignore[abstract]  # Its methods are filled in at import.


def database_exists(url: str) -> bool:
    """Whether there is a database with our tables at ``url``; creates nothing.

    Raises:
        ValueError: The URL is no URL of ours, or nobody answers there.
    """
    check_url(url)
    if is_sqlite(parse(url)):
        return sqlite_file(parse(url)).exists()
    with reading(url) as connection:
        return connection is not None


@contextmanager
def reading(url: str) -> Iterator[sqlalchemy.Connection | None]:
    """Within, a connection for looking; None where there is no database with our tables.

    Raises:
        ValueError: As ``open_storage``; what the database refuses within, too.
    """
    check_url(url)
    parsed = parse(url)
    if is_sqlite(parsed) and not sqlite_file(parsed).exists():
        yield None
        return
    engine = create_engine(
        without_password(parsed), poolclass=NullPool, connect_args=_connect_args(parsed, Times())
    )
    try:
        with engine.connect() as connection:
            there = sqlalchemy.inspect(connection).has_table("studies")
            yield connection if there else None
    except SQLAlchemyError as error:
        raise ValueError(
            f"--storage {shown(parsed)}: cannot be opened ({_reason(error, parsed)}); {_expected(parsed)}"
        ) from None


def _open_in_turn(url: URL, times: Times) -> RDBStorage:
    """Open, waiting for others who open at the same time, but for nothing else."""
    over = time.monotonic() + TURN_SECONDS
    while True:
        try:
            return _open(url, times)
        except (LockLost, OperationalError) as error:
            others = (
                isinstance(error, LockLost) or getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE
            )
            if not others or time.monotonic() > over:
                raise


def _open(url: URL, times: Times) -> RDBStorage:
    bare = without_password(url)
    settings: dict[str, Any] = {"connect_args": _connect_args(url, times)}
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
    # Small: many workers share one server. A claim needs two connections, a sign of life may come beside it.
    settings |= {"pool_size": 1, "max_overflow": 4, "pool_pre_ping": True, "pool_timeout": 30}
    engine = create_engine(bare, poolclass=NullPool, connect_args=settings["connect_args"])
    with advisory_lock(engine, "schema", max(times.grace, 60.0)):
        storage = _with_schema(bare, settings)
    sqlalchemy.event.listen(storage.engine, "connect", _settings_of(times))
    storage.engine.dispose()
    return storage


def _with_schema(url: URL, settings: dict[str, Any]) -> RDBStorage:
    storage = RDBStorage(url.render_as_string(hide_password=False), engine_kwargs=settings)
    storage.engine_kwargs = {}  # Optuna would pickle it, the driver's password included.
    return storage


def _connect_args(url: URL, times: Times) -> dict[str, Any]:
    if is_sqlite(url):
        return {"timeout": BUSY_SECONDS}
    return {
        "connect_timeout": max(2, round(times.connect)),
        # A host that is gone without a word is noticed in half a minute.
        "keepalives": 1,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        **passwords_of(url),
    }


def _reason(error: BaseException, url: URL) -> str:
    said = reason(error)
    for password in passwords_of(url).values():
        said = said.replace(password, "***") if password else said
    return said


def _expected(url: URL) -> str:
    if is_sqlite(url):
        return "expected the path of a writable SQLite database, such as sqlite:///studies/search.db"
    return "is the server up, does the database exist (createdb), and is PGPASSFILE set or ~/.pgpass there?"


def _settings_of(times: Times) -> Callable[[Any, object], None]:
    """What each session is told: nobody who is stopped or lost in the middle of a write may hold up the others."""
    # Half of what a lock's holder has: its writes are cut off before the lock goes to another.
    idle = int(500 * max(times.grace, LEAST_HOLD_SECONDS))
    settings = (
        # Hosts may set PGTZ, which beats the URL's options: with the session's zone in UTC all mean the same time.
        "SET TIME ZONE 'UTC'",
        f"SET lock_timeout = {int(1000 * LONGEST_WAIT_SECONDS)}",
        f"SET idle_in_transaction_session_timeout = {idle}",
        # The server's own: with its defaults it believes in a lost host for two hours.
        "SET tcp_keepalives_idle = 10",
        "SET tcp_keepalives_interval = 5",
        "SET tcp_keepalives_count = 3",
    )

    def settle(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("; ".join(settings))
        connection.commit()

    return settle


def _relax_sync(connection: Any, _record: object) -> None:
    # With WAL, NORMAL loses nothing at a process's death, only (consistently) at a power cut.
    connection.execute("PRAGMA synchronous=NORMAL")

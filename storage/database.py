"""The one database: opened with settings that survive a busy file, its schema made once under a lock."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from filelock import FileLock, Timeout
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

BUSY_SECONDS = 60


def default_url(root: Path) -> str:
    """The SQLite database of the studies under ``root``."""
    return f"sqlite:///{root / 'search.db'}"


def open_storage(url: str) -> optuna.storages.RDBStorage:
    """Open (and on first use create) the database at ``url``.

    Raises:
        ValueError: In one line and without a password: the URL is no URL, or the database cannot be opened.
    """
    check_url(url)
    parsed = _parse(url)
    path = Path(str(parsed.database))
    try:
        with claim_lock(url):
            with sqlite3.connect(path, timeout=BUSY_SECONDS) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
            connection.close()
            storage = optuna.storages.RDBStorage(
                url, engine_kwargs={"connect_args": {"timeout": BUSY_SECONDS}}, skip_compatibility_check=False
            )
    except (SQLAlchemyError, sqlite3.Error, OSError, Timeout, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"--storage {_shown(parsed)}: cannot be opened ({reason}); expected the path of a writable SQLite "
            "database, such as sqlite:///studies/search.db"
        ) from None
    # Attached after the schema exists: during its creation the listener would meet Optuna's own transaction.
    sqlalchemy.event.listen(storage.engine, "connect", _relax_sync)
    storage.engine.dispose()
    return storage


def check_url(url: str) -> None:
    """Refuse a URL at which there could be no database.

    Raises:
        ValueError: It is no URL of ours, or names a folder that does not exist; in one line, without a password.
    """
    parsed = _parse(url)
    folder = Path(str(parsed.database)).parent
    if not folder.is_dir():
        raise ValueError(
            f"--storage {_shown(parsed)}: the folder {folder} does not exist; make it, or name another"
        )


def database_exists(url: str) -> bool:
    """Whether there is a database at ``url`` yet; creates nothing.

    Raises:
        ValueError: The URL is no URL of ours.
    """
    return Path(str(_parse(url).database)).exists()


@contextmanager
def claim_lock(url: str, timeout: float = BUSY_SECONDS) -> Iterator[None]:
    """Hold the one lock under which trials are counted, created and given away.

    A file beside the SQLite database: SQLite's own locking let two workers claim one waiting trial (Optuna, measured).
    """
    path = Path(str(_parse(url).database))
    with FileLock(path.with_name(path.name + ".claim.lock"), timeout=timeout):
        yield


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (
        SQLAlchemyError,
        ValueError,
    ):  # The latter for a port that is no number; it quotes what may be a password.
        raise ValueError(
            "--storage: not a database URL; expected one such as sqlite:///studies/search.db"
        ) from None
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise ValueError(
            f"--storage {_shown(parsed)}: only SQLite is supported so far; expected sqlite:///PATH"
        )
    if parsed.database in (None, "", ":memory:"):
        raise ValueError(f"--storage {_shown(parsed)}: names no file; expected sqlite:///PATH")
    return parsed


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)


def _relax_sync(connection: Any, _record: object) -> None:
    # With WAL, NORMAL loses nothing at a process's death, only (consistently) at a power cut.
    connection.execute("PRAGMA synchronous=NORMAL")

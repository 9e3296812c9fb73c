"""The one database: Optuna's storage with every call retried, writes that a guard can refuse, locks and one clock.

A call is tried again while the database is away (``storage.retry``). Some calls must not be tried again alone:

* What was read under a lock is no longer true once the lock is lost. ``exclusively`` tries all of its work again.
* A write whose answer got lost may have been carried out. Optuna then refuses the second try with
  ``UpdateFinishedTrialError``, and what is stored tells whether the first one succeeded.

A guard is called at the start of every transaction in which its thread writes to a trial, and refuses the write by
raising. Since it runs inside that transaction and locks the trial's row, what it saw is still so at the commit. Claims
(``storage.claims``) are made of such guards.
"""

import abc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL

from storage.errors import DatabaseRemoved
from storage.liveness import HEARTBEAT
from storage.locks import Guard, advisory_lock, file_lock
from storage.rdb import UNGROUPED
from storage.retry import Retrying
from storage.timeouts import Timeouts
from storage.url import is_sqlite, sqlite_file

Result = TypeVar("Result")
# The calls of Optuna's storages that write to a trial, by the beginnings of their names.
GUARDED = ("set_trial_", "create_new_trial")


class Database(BaseStorage):
    """The database that all processes of a study share. It is thread-safe, and never forked.

    It is one of Optuna's storages (``BaseStorage``) whose calls are each tried again while the database is away.

    Attributes:
        unretried: The same storage without the retries, whose calls fail at once.
        url: Where the database is, without its password.
        timeouts: How long to wait for what.
        retrying: How calls are tried again; the process may set it a deadline.
    """

    def __init__(self, inner: RDBStorage, url: URL, timeouts: Timeouts) -> None:
        self.unretried: BaseStorage = optuna.storages.get_storage(inner)
        self.url, self.timeouts = url, timeouts
        self.retrying = Retrying(timeouts)
        self._engine: Engine = inner.engine
        self._local = threading.local()
        self._file = file = _File(url)
        sqlalchemy.event.listen(self._engine, "begin", _guarding(file, self._local))
        # SQLite would make an empty database in the place of one that is gone. What listens must not hold this object:
        # it is closed with the last of its users.
        sqlalchemy.event.listen(self._engine, "do_connect", lambda *_: file.check())

    def use_timeouts(self, timeouts: Timeouts) -> None:
        """Use other timeouts from now on: those that a study was made with are known once it has been read."""
        self.timeouts = self.retrying.timeouts = timeouts

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file, which serves one host only."""
        return is_sqlite(self.url)

    def now(self) -> float:
        """Seconds since the epoch by the one clock that all workers share: the database's own."""
        if self.is_sqlite:
            return time.time()
        with self._engine.connect().execution_options(**UNGROUPED) as connection:
            return database_time(connection)

    def connect(self) -> Connection:
        """A connection for reading, to be used in a ``with`` statement; it is tried once."""
        return self._engine.connect()

    def check_writable(self) -> None:
        """Raise if the database takes no writes, as an SQLite file on a full or failing disk; nothing is written."""
        if self.is_sqlite:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE")

    @contextmanager
    def guarded(self, guard: Guard) -> Iterator[None]:
        """Call ``guard`` at the start of every transaction in which this thread writes to a trial.

        Within the ``with`` block, it takes the place of the guard that was set before. It refuses the write by raising.

        Args:
            guard: It is given the transaction's connection, before the transaction's first statement: what it reads
                and locks there is still so when the transaction commits.
        """
        outer, self._local.guard = self.guard, guard
        try:
            yield
        finally:
            self._local.guard = outer

    @property
    def guard(self) -> Guard | None:
        """This thread's guard; None if there is none."""
        found: Guard | None = getattr(self._local, "guard", None)
        return found

    def lock(self, name: str) -> AbstractContextManager[Guard]:
        """Hold the lock ``name`` in a ``with`` block.

        In Postgres it is an advisory lock; a process that is stopped while it holds one loses it after the grace. With
        SQLite it is a lock file beside the database, one for all names, since SQLite's own locks let two workers claim
        one waiting trial (Optuna, measured).

        Returns:
            A context manager that gives a guard, which refuses to write once the lock is lost.

        Raises:
            OperationalError, LockLost: Another process held it too long, or the database went away; try again.
        """
        self._file.check()
        return (
            file_lock(self.url) if self.is_sqlite else advisory_lock(self._engine, name, self.timeouts.grace)
        )

    def exclusively(self, name: str, do: Callable[[], Result]) -> Result:
        """Call ``do`` while holding the lock ``name``, and again, as a whole, if the database goes away meanwhile.

        Args:
            name: The lock's name.
            do: It may be called several times.

        Returns:
            What ``do`` returns.

        Raises:
            DatabaseGone: The database was away for longer than an outage may last.
        """

        def attempt() -> Result:
            with self.lock(name) as held, self.guarded(held):
                return do()  # A call that is tried again alone could outlive the lock.

        return self.retry_whole(attempt)

    def retry_whole(self, do: Callable[[], Result]) -> Result:
        """Call ``do``, and again, as a whole, if one of its calls fails because the database is away.

        Within it, this thread's calls are tried once each.
        """

        def attempt(_: int) -> Result:
            before = getattr(self._local, "try_once", False)
            self._local.try_once = True
            try:
                return do()
            finally:
                self._local.try_once = before

        return self.retrying.call(attempt)

    def lock_row(self, connection: Connection, trial_id: int) -> tuple[str, str]:
        """Keep every other process from changing a trial until the transaction ends; to be called by a guard.

        Returns:
            The name of the trial's state, and its owner's last sign of life as JSON (``{}`` without one).
        """
        suffix = ""
        if self.is_sqlite:
            if not connection.connection.dbapi_connection.in_transaction:  # type: ignore[union-attr]
                connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            suffix = " FOR UPDATE"
        state = connection.execute(
            text(f"SELECT state FROM trials WHERE trial_id = :id{suffix}"), {"id": trial_id}
        ).scalar()
        # A second statement: in Postgres the first one may have waited, and a join would show the state before that.
        life = connection.execute(
            text("SELECT value_json FROM trial_system_attributes WHERE trial_id = :id AND key = :key"),
            {"id": trial_id, "key": HEARTBEAT},
        ).scalar()
        return str(state), str(life or "{}")

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _call(self, name: str, arguments: tuple[Any, ...], named: dict[str, Any], tries: int) -> Any:
        self._local.active = self.guard if name.startswith(GUARDED) else None
        try:
            return getattr(self.unretried, name)(*arguments, **named)
        except optuna.exceptions.UpdateFinishedTrialError:
            # An earlier try may have succeeded and its answer been lost on the way: what is stored tells.
            if tries and name == "set_trial_state_values" and self._is_stored(*arguments, **named):
                return True
            raise
        finally:
            self._local.active = None

    def _is_stored(self, trial_id: int, state: TrialState, values: list[float] | None = None) -> bool:
        trial = self.unretried.get_trial(trial_id)
        return trial.state == state and (values is None or trial.values == list(values))


class _File:
    """The file of an SQLite database, as it was when it was opened; none of another database."""

    def __init__(self, url: URL) -> None:
        self._path = sqlite_file(url) if is_sqlite(url) else None
        self._identity = self._identify()

    def check(self) -> None:
        """Raise if the file is gone: what is open of it would take every write, and nobody would find them."""
        if self._path is not None and self._identify() != self._identity:
            raise DatabaseRemoved(
                f"{self._path} was removed, or another file put in its place, while this search ran: what was written "
                "since is lost; put the database back, or begin the study anew"
            )

    def _identify(self) -> tuple[int, int] | None:
        """Which file lies there; None where there is none."""
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino


def _guarding(file: _File, local: threading.local) -> Guard:
    def on_begin(connection: Connection) -> None:
        file.check()
        guard = getattr(local, "active", None)
        if guard is not None:
            guard(connection)

    return on_begin


def _retried(name: str) -> Callable[..., Any]:
    def call(self: Database, *arguments: Any, **named: Any) -> Any:
        if getattr(self._local, "try_once", False):
            return self._call(name, arguments, named, 0)
        return self.retrying.call(lambda tries: self._call(name, arguments, named, tries))

    call.__name__ = name
    return call


# Every public method of Optuna's storages, so that none is left out when Optuna adds one.
for _name in [
    name for name in vars(BaseStorage) if not name.startswith("_") and name != "check_trial_is_updatable"
]:
    setattr(Database, _name, _retried(_name))
abc.update_abstractmethods(Database)  # type: ignore[type-abstract]


def database_time(connection: Connection) -> float:
    """Seconds since the epoch by the clock of the database: the host's own with SQLite, the server's with Postgres."""
    if connection.dialect.name == "sqlite":
        return time.time()
    return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())

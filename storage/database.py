"""The one database: Optuna's storage with every call retried, writes that can be fenced, one lock and one clock."""

import abc
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, TypeVar

import optuna
import sqlalchemy
from filelock import FileLock, Timeout
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from storage.errors import LockLost
from storage.retrying import Retrying
from storage.times import Times
from storage.url import is_sqlite, sqlite_file

Guard = Callable[[Connection], None]
Result = TypeVar("Result")
# A lock may be held for so long without being taken for a stopped process's, however short the grace.
LEAST_HOLD_SECONDS = 5.0
# One who waits for a lock looks so often whether it shall rather end.
LONGEST_WAIT_SECONDS = 10.0
GUARDED = ("set_trial_", "create_new_trial")
HELD = text(
    "SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND granted "
    "AND pid = :pid AND objid = :low AND classid = :high AND backend_start = CAST(:started AS timestamptz)"
)
LIMITED = text(
    "SELECT set_config('lock_timeout', :wait, true), set_config('idle_in_transaction_session_timeout', :hold, true)"
)
LOCKED = text(
    "SELECT pg_advisory_xact_lock(:key), pid, CAST(backend_start AS text) FROM pg_stat_activity "
    "WHERE pid = pg_backend_pid()"
)


class Database(BaseStorage):
    """What all of a study's processes share. Thread-safe; never forked.

    It is Optuna's storage (``BaseStorage``), each call tried again while the database is away.

    Attributes:
        once: The same without the retries, for looking: a call fails at once.
        url: Where, without its password.
        times: How long to wait for what.
    """

    def __init__(self, inner: RDBStorage, url: URL, times: Times) -> None:
        self.once: BaseStorage = optuna.storages.get_storage(inner)
        self.url, self.times = url, times
        self.retrying = Retrying(times)
        self._engine: Engine = inner.engine
        self._local = threading.local()
        sqlalchemy.event.listen(self._engine, "begin", self._on_begin)

    def wait_for(self, times: Times) -> None:
        """Wait as ``times`` says from now on: what a study was made with is known only once it has been read."""
        self.times = self.retrying.times = times

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file, which serves one host only."""
        return is_sqlite(self.url)

    def now(self) -> float:
        """Seconds since the epoch by the one clock that all workers share: the database's own."""
        if self.is_sqlite:
            return time.time()
        with self._engine.connect() as connection:
            return float(
                connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
            )

    def connect(self) -> Connection:
        """A connection for looking, in a ``with``; one try."""
        return self._engine.connect()

    def touch(self) -> None:
        """Make sure that the database takes writes, where one that can be read may not; writes nothing."""
        if self.is_sqlite:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE")

    @contextmanager
    def guarded(self, guard: Guard) -> Iterator[None]:
        """Begin every transaction of this thread that writes to a trial with ``guard``, which may refuse it.

        The guard runs inside that transaction, on its connection, before its first statement: what it has looked at
        and locked is still so when the transaction commits.
        """
        outer, self._local.guard = self.guard, guard
        try:
            yield
        finally:
            self._local.guard = outer

    @property
    def guard(self) -> Guard | None:
        """This thread's guard."""
        found: Guard | None = getattr(self._local, "guard", None)
        return found

    def lock(self, name: str) -> AbstractContextManager[Guard]:
        """Hold the lock ``name``; gives a guard that refuses to write once it is lost.

        An advisory lock in Postgres; in SQLite a lock file beside the database, since its own locking let two workers
        claim one waiting trial (Optuna, measured). One who was stopped while holding it loses it in Postgres after
        the grace.

        Raises:
            OperationalError, LockLost: Another held it too long, or the database went away: try the whole again.
        """
        return file_lock(self.url) if self.is_sqlite else advisory_lock(self._engine, name, self.times.grace)

    def exclusively(self, name: str, do: Callable[[], Result]) -> Result:
        """``do()`` under the lock, all of it again where the database went away meanwhile; it must bear repetition."""

        def attempt() -> Result:
            with self.lock(name) as held, self.guarded(held):
                return do()  # A single call tried again could outlive the lock.

        return self.again_as_a_whole(attempt)

    def again_as_a_whole(self, do: Callable[[], Result]) -> Result:
        """``do()``, all of it again where one of its calls failed for want of the database."""

        def attempt(_: int) -> Result:
            before = getattr(self._local, "single", False)
            self._local.single = True
            try:
                return do()
            finally:
                self._local.single = before

        return self.retrying.call(attempt)

    def lock_row(self, connection: Connection, trial_id: int) -> tuple[str, str]:
        """For guards: keep everyone else from changing this trial; its state's name, and its sign of life (JSON)."""
        suffix = ""
        if self.is_sqlite:
            if not connection.connection.dbapi_connection.in_transaction:  # type: ignore[union-attr]
                connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            suffix = " FOR UPDATE"
        state = connection.execute(
            text(f"SELECT state FROM trials WHERE trial_id = :id{suffix}"), {"id": trial_id}
        ).scalar()
        # A second statement: in Postgres the first one may have waited, and a join would show what was before.
        life = connection.execute(
            text("SELECT value_json FROM trial_system_attributes WHERE trial_id = :id AND key = 'life'"),
            {"id": trial_id},
        ).scalar()
        return str(state), str(life or "{}")

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def _on_begin(self, connection: Connection) -> None:
        guard = getattr(self._local, "active", None)
        if guard is not None:
            guard(connection)

    def _call(self, name: str, arguments: tuple[Any, ...], named: dict[str, Any], tries: int) -> Any:
        self._local.active = self.guard if name.startswith(GUARDED) else None
        try:
            return getattr(self.once, name)(*arguments, **named)
        except optuna.exceptions.UpdateFinishedTrialError:
            # The answer to an earlier try may have been lost on the way: what is stored tells.
            if tries and name == "set_trial_state_values" and self._stored(*arguments, **named):
                return True
            raise
        finally:
            self._local.active = None

    def _stored(self, trial_id: int, state: TrialState, values: list[float] | None = None) -> bool:
        trial = self.once.get_trial(trial_id)
        return trial.state == state and (values is None or trial.values == list(values))


def _retried(name: str) -> Callable[..., Any]:
    def call(self: Database, *arguments: Any, **named: Any) -> Any:
        if getattr(self._local, "single", False):
            return self._call(name, arguments, named, 0)
        return self.retrying.call(lambda tries: self._call(name, arguments, named, tries))

    call.__name__ = name
    return call


# Every public call of Optuna's storages, so that none is forgotten when it gains one.
for _name in [
    name for name in vars(BaseStorage) if not name.startswith("_") and name != "check_trial_is_updatable"
]:
    setattr(Database, _name, _retried(_name))
abc.update_abstractmethods(Database)  # type: ignore[type-abstract]


@contextmanager
def file_lock(url: URL, timeout: float = LONGEST_WAIT_SECONDS) -> Iterator[Guard]:
    """The lock file beside an SQLite database; the kernel frees it when its holder dies."""
    path = sqlite_file(url)
    try:
        with FileLock(path.with_name(path.name + ".claim.lock")).acquire(timeout, poll_interval=0.01):
            yield lambda connection: None
    except Timeout:
        raise LockLost(f"another process holds the lock of {path.name}") from None


@contextmanager
def advisory_lock(engine: Engine, name: str, grace: float) -> Iterator[Guard]:
    """Postgres's advisory lock ``name``, in a transaction of its own: it ends with it, or with its connection."""
    key = int.from_bytes(
        hashlib.sha256(f"keras-image-search {name}".encode()).digest()[:8], "big", signed=True
    )
    connection = engine.connect()
    try:
        limits = {"wait": LONGEST_WAIT_SECONDS, "hold": max(grace, LEAST_HOLD_SECONDS)}
        connection.execute(LIMITED, {name: str(int(1000 * seconds)) for name, seconds in limits.items()})
        _, pid, started = connection.execute(LOCKED, {"key": key}).one()
        identity = {"pid": pid, "started": started, "low": key & 0xFFFFFFFF, "high": (key >> 32) & 0xFFFFFFFF}

        def guard(other: Connection) -> None:
            if other.execute(HELD, identity).scalar() is None:
                raise LockLost("the database gave the lock to another")

        yield guard
    finally:
        with suppress(SQLAlchemyError):  # Where the connection is gone the lock is too.
            connection.rollback()
        with suppress(SQLAlchemyError):
            connection.close()

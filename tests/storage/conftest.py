"""A database that goes away and comes back, and waiting for what will be so."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.postgres import PostgresServer
from storage.database import Database
from storage.opening import open_storage
from storage.times import Times

BUSY_SECONDS = 0.05
PASSWORD = "geheim"


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Wait for a condition; its not coming true is a failure."""

    def wait(condition: Callable[[], object], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.01)

    return wait


@pytest.fixture(scope="module")
def frail(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """A Postgres that may be stopped: nobody else's. (``postgres`` says why there can be none.)"""
    with PostgresServer() as server:
        yield server


class Outage:
    """A database that can be taken away: a Postgres that is stopped, an SQLite file that a stranger locks whole."""

    def __init__(self, url: str, server: PostgresServer | None) -> None:
        self.url, self._server = url, server
        self._opened: list[Database] = []
        self._stranger: sqlite3.Connection | None = None
        self._away = False

    def open(self, **times: float) -> Database:
        """Open it, with a password in the URL where that has room for one."""
        url = self.url.replace("postgres@/", f"postgres:{PASSWORD}@/")
        self._opened.append(open_storage(url, Times(**{"pause": 0.2, **times})))
        return self._opened[-1]

    def begin(self) -> None:
        self._away = True
        if self._server is not None:
            self._server.stop()
            return
        for database in self._opened:
            database.close()  # A file that others have open cannot be locked against readers, too.
        self._stranger = sqlite3.connect(
            self.url.removeprefix("sqlite:///"), timeout=10, isolation_level=None, check_same_thread=False
        )
        self._stranger.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._stranger.execute("BEGIN EXCLUSIVE")

    def end(self) -> None:
        if self._away and self._server is not None:
            self._server.start()
        elif self._stranger is not None:
            self._stranger.close()
            self._stranger = None
        self._away = False

    def restart(self) -> None:
        self.begin()
        self.end()

    def close(self) -> None:
        self.end()
        for database in self._opened:
            database.close()


@pytest.fixture(params=["sqlite", "postgres"])
def outage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Outage]:
    """An empty database of every kind in turn, that can be taken away."""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("frail")
        made = Outage(server.database(), server)
    else:
        monkeypatch.setattr("storage.opening.BUSY_SECONDS", BUSY_SECONDS)
        made = Outage(f"sqlite:///{tmp_path / 'search.db'}", None)
    yield made
    made.close()

"""A database that goes away and comes back, other processes, and waiting for what will be so."""

import multiprocessing
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from benchmarks.postgres import PostgresServer
from storage.connect import open_storage
from storage.database import Database
from storage.timeouts import Timeouts

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


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database of every kind in turn for a whole module, each of whose tests has a study of its own in it."""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.database(like=request.getfixturevalue("postgres_schema"))
    file: Path = request.getfixturevalue("sqlite_schema")
    return f"sqlite:///{shutil.copy(file, tmp_path_factory.mktemp('shared') / 'search.db')}"


@pytest.fixture
def study_name(request: pytest.FixtureRequest) -> str:
    """Of this test alone."""
    return str(request.node.name)


@pytest.fixture
def start() -> Iterator[Callable[..., tuple[BaseProcess, Connection]]]:
    """Begin a function of ``processes`` in a process of its own; gives it, and the connection to it.

    They are forked from one that has imported what they need and nothing else, holds no connection and no thread: each
    would else import for half a second.
    """
    light = multiprocessing.get_context("forkserver")
    light.set_forkserver_preload(["tests.storage.processes"])
    started: list[BaseProcess] = []

    def begin(do: Callable[..., None], *arguments: Any) -> tuple[BaseProcess, Connection]:
        ours, theirs = light.Pipe()
        process = light.Process(target=do, args=(theirs, *arguments), daemon=True)
        process.start()
        theirs.close()
        started.append(process)
        return process, ours

    yield begin
    for process in started:
        process.kill()
        process.join()


@pytest.fixture(scope="session")
def frail(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """A Postgres that may be stopped: nobody else's. (``postgres`` says why there can be none.)"""
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def frail_schema(frail: PostgresServer) -> str:
    """A database there that has our tables and nothing in them, to be copied."""
    url = frail.database()
    open_storage(url).close()
    return url


@pytest.fixture
def frail_url(frail: PostgresServer, frail_schema: str) -> str:
    """A database without a study on a server that may be stopped."""
    return frail.database(like=frail_schema)


@pytest.fixture
def ended(wait_until: Callable[..., None]) -> Callable[[str], None]:
    """Wait until no thread of a name is left."""
    return lambda name: wait_until(lambda: name not in [thread.name for thread in threading.enumerate()])


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
        self._opened.append(open_storage(url, Timeouts(**{"pause": 0.2, **times})))
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
    """A database without a study, of every kind in turn, that can be taken away."""
    if request.param == "postgres":
        made = Outage(request.getfixturevalue("frail_url"), request.getfixturevalue("frail"))
    else:
        monkeypatch.setattr("storage.connect.BUSY_SECONDS", BUSY_SECONDS)
        file: Path = request.getfixturevalue("sqlite_schema")
        made = Outage(f"sqlite:///{shutil.copy(file, tmp_path / 'search.db')}", None)
    yield made
    made.close()

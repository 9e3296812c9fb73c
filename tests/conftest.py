"""Fixtures for all tests."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.postgres import PostgresServer, missing


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the repository; in CI it must be there."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{folder} is missing: CI has to supply it")
        pytest.skip(f"{folder} is missing")
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real Postgres, started for the tests; in CI it must be installed."""
    if why := missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{why}: CI has to install it")
        pytest.skip(why)
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Makes empty databases and gives their URLs: one suite, every kind of database."""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.database
    numbers = iter(range(1000))
    return lambda: f"sqlite:///{tmp_path / f'search{next(numbers)}.db'}"


@pytest.fixture
def url(new_database: Callable[[], str]) -> str:
    """An empty database, of every kind in turn."""
    return new_database()

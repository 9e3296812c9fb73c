"""Fixtures for all tests."""

import compileall
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.postgres import PostgresServer, missing
from benchmarks.ray_cluster import RayCluster
from benchmarks.ray_cluster import missing as ray_missing
from benchmarks.slurm import SlurmCluster
from benchmarks.slurm import missing as slurm_missing
from search.process.fork_server import ForkServer

# As in an activated environment, where the commands that are printed say "python".
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
# Where no bytecode is kept (PYTHONDONTWRITEBYTECODE), each of the many processes that tests start would compile all of
# our modules first.
if "PYTEST_XDIST_WORKER" not in os.environ:
    for package in ("search", "spaces", "storage"):
        compileall.compile_dir(Path(__file__).parents[1] / package, quiet=1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--soak",
        choices=("short", "whole"),
        default="short",
        help="How long the tests marked soak take: short as in CI, or whole as in make soak.",
    )


@pytest.fixture(scope="session")
def whole_soak(request: pytest.FixtureRequest) -> bool:
    """Whether the tests marked ``soak`` run whole, or shortened as in CI."""
    return bool(request.config.getoption("--soak") == "whole")


class Answer(NamedTuple):
    """What one of our commands came to, in a process of its own; ``modules`` are those loaded at its end."""

    code: int
    out: str
    err: str
    modules: frozenset[str]


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sequence[Sequence[str]]], list[Answer]]:
    """Run commands by ``tests/run_commands.py``, each given as its name and its arguments; none may need long."""

    def run(argvs: Sequence[Sequence[str]]) -> list[Answer]:
        place, root = tmp_path_factory.mktemp("answers"), Path(__file__).parents[1]
        process = subprocess.run(
            [sys.executable, str(Path(__file__).parent / "run_commands.py"), str(place), json.dumps(argvs)],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root), "COLUMNS": "100", "FORCE_COLOR": "", "TERM": "xterm"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert process.returncode == 0, process.stderr
        return [Answer(**{**one, "modules": frozenset(one["modules"])}) for one in json.loads(process.stdout)]

    return run


@pytest.fixture(scope="session")
def helps(answers: Callable[[Sequence[Sequence[str]]], list[Answer]]) -> dict[str, Answer]:
    """What every command of ours, and every subcommand, answers to ``--help``, by its name."""
    from search.cli.program import COMMANDS, commands

    names = sorted({*COMMANDS, *commands()})
    return dict(zip(names, answers([[*name.split(), "--help"] for name in names]), strict=True))


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
def fork_server() -> Iterator[ForkServer]:
    """One server for all tests that train: it imports TensorFlow once."""
    with ForkServer("tensorflow") as server:
        yield server


def skip_where(why: str) -> None:
    """Skip for this reason, if there is one; in CI what is missing has to be installed."""
    if why:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{why}: CI has to install it")
        pytest.skip(why)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real Postgres, started for the tests; in CI it must be installed."""
    skip_where(missing())
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def slurm() -> Iterator[SlurmCluster]:
    """A real Slurm of one node, started for the tests; in CI it must be installed."""
    skip_where(slurm_missing())
    with SlurmCluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[RayCluster]:
    """A real Ray cluster of two nodes on this host, started for the tests; in CI Ray must be installed."""
    skip_where(ray_missing())
    with RayCluster() as cluster:
        yield cluster


def make_schema(url: str) -> str:
    """Create our tables in the database at ``url`` and leave it, so that it can be copied."""
    from storage.connect import open_storage

    open_storage(url).close()
    return url


@pytest.fixture(scope="session")
def sqlite_schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with our tables and nothing in them, made once: a copy costs a fraction of a new one."""
    file = tmp_path_factory.mktemp("schema") / "search.db"
    make_schema(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def postgres_schema(postgres: PostgresServer) -> str:
    """The URL of a Postgres database with our tables and nothing in them, made once."""
    return make_schema(postgres.database())


@pytest.fixture(params=["sqlite", "postgres"])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Makes databases without a study and gives their URLs: one suite, every kind of database.

    They have our tables already. A test of how those are made begins with ``empty_url``.
    """
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        schema: str = request.getfixturevalue("postgres_schema")
        return lambda: server.database(like=schema)
    file: Path = request.getfixturevalue("sqlite_schema")
    numbers = iter(range(1000))
    return lambda: f"sqlite:///{shutil.copy(file, tmp_path / f'search{next(numbers)}.db')}"


@pytest.fixture
def url(new_database: Callable[[], str]) -> str:
    """A database without a study, of every kind in turn."""
    return new_database()


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with nothing in it, of every kind in turn: no file, or no table."""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.database()
    return f"sqlite:///{tmp_path / 'search.db'}"

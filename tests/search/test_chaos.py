"""``benchmarks/chaos.py``, shortened: workers and children are killed and paused, the database is taken away."""

import sys
from pathlib import Path

import pytest

from benchmarks.postgres import PostgresServer
from search.child import ForkServer

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import chaos

SETTINGS = chaos.Settings(
    trials=6, workers=3, epochs=100, images=400, space="small_space", grace=2.5, between=2.5,
    disturbances=(4.0, 9.0), most=200.0, harms=8,
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_chaos_loses_nothing(
    database: str, fork_server: ForkServer, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if database == "postgres":
        request.getfixturevalue("postgres")  # It says so where there is none to be had.
        with PostgresServer() as server:  # This one is stopped now and then.
            row = chaos.run(fork_server, server, SETTINGS, 1, tmp_path)
    else:
        row = chaos.run(fork_server, None, SETTINGS, 1, tmp_path)
    assert chaos.failures(row, SETTINGS) == []
    assert sum(row["harm"].values()) == 8

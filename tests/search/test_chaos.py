"""``benchmarks/chaos.py``: workers and children are killed and paused, the database is taken away."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.postgres import PostgresServer
from search.process.fork_server import ForkServer

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import chaos

# Whole, it is a run of the benchmark: real nets, as in the measured table. Short, epochs are of NumPy and cost little.
WHOLE = chaos.Settings(harms=10)
SHORT = chaos.Settings(
    trials=5, workers=3, epochs=60, images=200, space="small_space", grace=1.5, between=1.5,
    disturbances=(2.5, 6.0), most=200.0, harms=6,
)  # fmt: skip
EPOCH_SECONDS = 0.05


@pytest.fixture(scope="module")
def slow_server() -> Iterator[ForkServer]:
    """As ``fast_server``, but an epoch takes so long that there is something to lose."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEARCH_TEST_TRAINING", "numpy")
        patch.setenv("SEARCH_TEST_EPOCH_SECONDS", str(EPOCH_SECONDS))
        server = ForkServer("tensorflow")
    with server:
        yield server


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_chaos_loses_nothing(
    database: str, whole_soak: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    settings = WHOLE if whole_soak else SHORT
    server: ForkServer = request.getfixturevalue("fork_server" if whole_soak else "slow_server")
    if database == "postgres":
        request.getfixturevalue("postgres")  # It says so where there is none to be had.
        with PostgresServer() as frail:  # This one is stopped now and then.
            row = chaos.run(server, frail, settings, 1, tmp_path)
    else:
        row = chaos.run(server, None, settings, 1, tmp_path)
    assert chaos.failures(row, settings) == []
    assert sum(row["harm"].values()) == settings.harms

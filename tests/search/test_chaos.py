"""``benchmarks/chaos.py``: a study is killed, stopped, told to end, its disk is full, its database is taken away."""

import copy
import dataclasses
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.postgres import PostgresServer
from search.execution.worker import Worker
from search.execution.worker_loop import work

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import chaos
import chaos_account

# Whole, it is a run of the benchmark: real nets, as in the measured table. Short, epochs are of NumPy and cost little.
WHOLE = dataclasses.replace(chaos.TRAININGS["keras"], faults=20)
SHORT = dataclasses.replace(
    chaos.TRAININGS["numpy"],
    epochs=25,
    trials=8,
    workers=2,
    between=0.4,
    most=200.0,
    faults=6,
    kinds=Counter(
        ["kill fork server", "kill worker", "stop worker", "term all", "database restart", "torn checkpoint"]
    ),
)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_chaos_loses_nothing(
    database: str, whole_soak: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    settings = WHOLE if whole_soak else SHORT
    if database == "postgres":
        request.getfixturevalue("postgres")  # It says so where there is none to be had.
        with PostgresServer() as frail:  # This one is stopped now and then.
            row = chaos.run(frail, settings, 1, tmp_path)
    else:
        row = chaos.run(None, settings, 1, tmp_path)
    assert row["failures"] == []
    assert sum(row["faults"].values()) == settings.faults


def test_curve_that_comes_out_otherwise_is_found(make_worker: Callable[..., Worker]) -> None:
    worker = make_worker()
    work(worker, lambda: 2)
    trials = worker.study.optuna.get_trials()
    assert chaos_account.other_curves(worker.study, trials) == []
    doctored = copy.deepcopy(trials)
    doctored[1].intermediate_values[2] += 0.001
    assert chaos_account.other_curves(worker.study, doctored) == [1]

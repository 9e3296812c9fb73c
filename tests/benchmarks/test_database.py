import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import database
import database_worker
import optuna
import pytest

from storage.connect import open_storage

COUNT, WORKERS, SECONDS, SLEEP = 20, 2, 1.0, 0.02


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict:
    out = tmp_path_factory.mktemp("database")
    database.main(
        [
            "--databases", "sqlite", "--finished", str(COUNT), "--workers", str(WORKERS), "--scale", "1",
            "--seconds", str(SECONDS), "--epoch-seconds", str(SLEEP), "--out", str(out),
        ]
    )  # fmt: skip
    assert (out / "database.md").read_text().count("| sqlite |") == 2
    return json.loads((out / "database.json").read_text())


def test_calls_take_no_less_than_a_transaction_can(found: dict) -> None:
    (row,) = found["latency_ms"]
    assert (row["database"], row["finished"], row["workers"]) == ("sqlite", COUNT, WORKERS)
    assert all(0.01 < row[name]["median"] <= row[name]["p95"] for name in database.CALLS)
    # A trial is twelve calls, one after the other, most of them transactions: these take a twentieth of a millisecond.
    assert 1 <= row["trials"] < WORKERS * 1000 * SECONDS / (12 * 0.05)


def test_share_of_an_epoch_is_that_of_its_calls(found: dict) -> None:
    (row,) = found["latency_ms"]
    milliseconds = row["report"]["median"] + row["prune"]["median"] + row["beat"]["median"] * 10 / 15
    assert row["share_of_epoch"] == pytest.approx(milliseconds / 10_000, abs=1e-5)


def test_workers_are_no_faster_than_their_sleep_allows(found: dict) -> None:
    (row,) = found["scaling"]
    linear = 3600 / (database.EPOCHS * SLEEP)
    assert 0 < row["trials_an_hour"] < linear
    assert row["of_linear"] == pytest.approx(row["trials_an_hour"] / linear, rel=0.01)


def test_no_second_of_a_trial_is_counted_twice(found: dict) -> None:
    (row,) = found["scaling"]
    assert list(row["shares"]) == list(database.SPENT)
    assert all(0 <= share < 1 for share in row["shares"].values())
    assert 0 < sum(row["shares"].values()) < 1.05
    assert found["met"] == {}  # Nobody asked for 64 workers on Postgres.


def test_wait_for_a_lock_is_no_wait_for_the_database() -> None:
    meter = database_worker.Meter()

    @contextlib.contextmanager
    def held(database: object, name: str) -> Iterator[None]:
        time.sleep(0.05)
        yield

    with meter.timed("claim"), meter.locking(held)(None, "study 1"):
        pass
    with meter.timed("tell"):
        time.sleep(0.02)
    with meter.timed(database_worker.SLEEP):
        time.sleep(0.01)
    assert meter.spent["lock"] + meter.spent["core"] >= 0.05
    assert meter.spent["database"] + meter.spent["core"] >= 0.02
    counted = meter.spent["lock"] + meter.spent["database"]
    assert counted <= meter.calls["claim"][0] + meter.calls["tell"][0]
    assert meter.spent["sleep"] + meter.spent["core"] >= 0.01


def test_trials_of_the_workers_are_in_the_database_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'search.db'}"
    database.fill(url, COUNT)
    reports = database.work(url, WORKERS, 0.3, 1, 0.0)
    study = optuna.load_study(study_name="s", storage=open_storage(url))
    trials = study.get_trials(deepcopy=False)
    assert {trial.state.name for trial in trials} == {"COMPLETE"}
    assert len(trials) == COUNT + sum(report["done"] for report in reports)
    # They did nothing else, but one thing at a time.
    assert all(sum(sum(times) for times in report["calls"].values()) < report["took"] for report in reports)


def test_worker_that_fails_before_it_begins_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RuntimeError, match="before it began"):
        database.work(f"sqlite:///{tmp_path / 'search.db'}", 1, 1.0, 1, 0.0)
    assert "Record does not exist" in capfd.readouterr().err

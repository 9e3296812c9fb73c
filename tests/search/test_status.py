"""How a study stands, from any terminal: who works on it, and which trials their workers have lost."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from search.engines.worker import worker_name
from search.status import app, look_once
from search.study.snapshot import take_snapshot
from search.study.study import LoadedStudy
from storage.claims import Claim, Claims
from storage.liveness import HEARTBEAT
from storage.occupancy import ExportAtWork

ROOT = Path(__file__).parents[2]
Status = Callable[..., tuple[int, str, str]]


@pytest.fixture
def status(run_app, monkeypatch: pytest.MonkeyPatch) -> Status:
    """Run the command: its exit code, and what it printed and complained of."""
    monkeypatch.setenv("COLUMNS", "160")
    # Optuna's handler holds the standard error of whichever test came first, closed by now.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return partial(run_app, app)


def where(study: LoadedStudy) -> tuple[str, ...]:
    return "--study", "s", "--storage", study.url, "--studies", str(study.paths.root)


def claim_for(study: LoadedStudy, worker: str) -> Claim:
    claim = Claims(study.storage, study.study_id, worker).claim(study.wanted)
    assert claim is not None
    return claim


def rewrite(study: LoadedStudy, claim: Claim, **facts: object) -> None:
    """Make a sign of life another's."""
    life = study.storage.get_trial(claim.trial_id).system_attrs[HEARTBEAT]
    study.storage.set_trial_system_attr(claim.trial_id, HEARTBEAT, {**life, **facts})


def dead_process() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def test_table_shows_each_worker_with_its_device_trial_and_epoch(open_digits, status: Status) -> None:
    study = open_digits(trials=5, epochs=12)
    claim_for(study, worker_name()).heartbeat(
        epoch=3, epochs=12, device="GPU:0", value=0.625, images_per_second=1234.0
    )
    claim_for(study, "elsewhere-77").heartbeat(epoch=1, epochs=12, device="CPU")
    code, printed, _ = status(*where(study))
    rows = [line.split() for line in printed.splitlines()]
    assert code == 0
    assert printed.startswith("s: 0 of 5 (0 finished, 0 pruned), 0 failed\n")
    assert rows[2][:5] == ["worker", "device", "trial", "epoch", "accuracy"]
    assert worker_name().endswith(f"-{os.getpid()}")
    assert rows[3][:6] == [worker_name(), "GPU:0", "0", "3/12", "0.6250", "1,234"]
    assert rows[4][:4] == ["elsewhere-77", "CPU", "1", "1/12"]
    assert rows[3][-1] == rows[4][-1] == "ago"


def test_trial_of_a_dead_local_process_is_shown_as_lost(open_digits, status: Status) -> None:
    study = open_digits(trials=5)
    claim = claim_for(study, "here-1")
    rewrite(study, claim, pid=dead_process())
    code, printed, _ = status(*where(study))
    assert (code, printed.splitlines()[0]) == (
        0, "s: 0 of 5 (0 finished, 0 pruned), 0 failed, 1 lost by its worker"
    )  # fmt: skip
    assert "lost, " in printed.splitlines()[3]
    assert json.loads(status(*where(study), "--json")[1])["running"][0]["lost"] is True


def test_trial_of_another_host_is_left_to_its_worker(open_digits, status: Status) -> None:
    study = open_digits(trials=5)
    claim = claim_for(study, "there-1")
    rewrite(study, claim, pid=dead_process(), place="another machine", host="there")
    assert " lost" not in status(*where(study))[1]
    assert study.storage.get_trial(claim.trial_id).state == TrialState.RUNNING


def test_status_takes_no_trial_and_starts_none(open_digits) -> None:
    study = open_digits(trials=5)
    before = study.optuna.trials
    look_once("s", storage=study.url, root=study.paths.root)
    assert study.optuna.trials == before


def test_function_gives_what_the_command_shows(open_digits) -> None:
    study = open_digits(trials=5)
    rewrite(study, claim_for(study, "here-1"), pid=dead_process())
    claim_for(study, worker_name())  # Takes the trial that the dead one left.
    snapshot = look_once("s", storage=study.url, root=study.paths.root)
    assert (snapshot.study, snapshot.wanted, snapshot.waiting) == ("s", 5, 0)
    assert [trial.worker for trial in snapshot.running] == [worker_name()]
    assert snapshot.running[0].silent is not None
    assert 0 <= snapshot.running[0].silent < 60


def test_look_sees_a_larger_number_of_trials(open_digits) -> None:
    study = open_digits(trials=5)
    study.want(9)
    assert take_snapshot(study).wanted == 9


def test_unknown_study_is_refused_in_one_line(open_digits, status: Status) -> None:
    study = open_digits()
    code, printed, error = status("--study", "t", *where(study)[2:])
    assert (code, printed, error.count("\n")) == (2, "", 1)
    assert error.startswith("error: --study t: no such study in the database given")


@pytest.mark.parametrize(
    "url", ["postgresql://me:sesame@/studies?host=/no/such/place", "sqlite:////no/such/place/search.db"]
)
def test_database_that_is_away_is_told_in_one_line(status: Status, url: str, tmp_path: Path) -> None:
    code, printed, error = status("--study", "s", "--storage", url, "--studies", tmp_path)
    assert (code, printed, error.count("\n")) == (2, "", 1)
    assert error.startswith("error: --storage ")
    assert "sesame" not in error


def test_looking_creates_nothing(status: Status, tmp_path: Path) -> None:
    assert status("--study", "s", "--studies", tmp_path / "studies")[0] == 2
    assert list(tmp_path.iterdir()) == []


def test_help_says_what_is_shown_with_an_example(status: Status) -> None:
    code, printed, _ = status("--help")
    words = " ".join(printed.split())
    assert code == 0
    assert "last sign of life, speed" in words
    assert "python -m search.status --study cifar_cnn --storage postgresql://" in words


def finish(study: LoadedStudy, *values: float, **more: object) -> None:
    distribution = optuna.distributions.CategoricalDistribution(["relu", "gelu"])
    for value in values:
        trial = optuna.trial.create_trial(
            value=value,
            params={"activation": "gelu"},
            distributions={"activation": distribution},
            intermediate_values={1: 0.25, 2: value},
            user_attrs={"epochs": 2, "seconds": 3.0, "history": {"loss": [1.0, 0.5]}, **more},
        )
        study.optuna.add_trial(trial)


def test_json_is_one_object_with_all_that_the_screen_shows(open_digits, status: Status) -> None:
    study = open_digits(trials=5, epochs=12)
    claim_for(study, worker_name()).heartbeat(epoch=3, epochs=12, device="GPU:0", value=0.625)
    finish(study, 0.5, 0.75)
    code, printed, error = status(*where(study), "--json")
    said = json.loads(printed)
    assert (code, error, said["study"], said["metric"], said["wanted"]) == (0, "", "s", "accuracy", 5)
    counts = {"finished": 2, "pruned": 0, "failed": 0, "refused": 0, "running": 1, "waiting": 0}
    assert said["counts"] == counts
    assert (said["best"]["number"], said["best"]["value"]) == (2, 0.75)
    assert said["best"]["params"] == {"activation": "gelu"}
    (running,) = said["running"]
    assert (running["epoch"], running["epochs"], running["value"]) == (3, 12, 0.625)
    assert (running["device"], running["host"]) == ("GPU:0", os.uname().nodename)
    assert 0 <= running["silent"] < 60
    assert [trial["seconds"] for trial in said["ended"]] == [3.0, 3.0]
    assert said["seconds_left"] == pytest.approx((3 - 3 / 12) * 3.0)


def test_export_at_work_is_shown_and_what_is_queued_beyond_the_trials_is_not_waiting(
    open_digits, status: Status
) -> None:
    study = open_digits(trials=1)
    finish(study, 0.5, 0.75)
    study.optuna.enqueue_trial({"width": 4})
    with ExportAtWork(study.storage, study.study_id, "ada-7", lambda: True):
        _, printed, _ = status(*where(study))
        said = json.loads(status(*where(study), "--json")[1])
    assert "at work: ada-7 (an export that began " in printed
    assert "waiting" not in printed
    assert said["counts"]["waiting"] == 0
    (export,) = said["exports"]
    assert export.startswith("ada-7")
    assert json.loads(status(*where(study), "--json")[1])["exports"] == []


def test_json_has_null_for_what_is_no_number(open_digits, status: Status) -> None:
    study = open_digits(trials=5)
    pruned = optuna.trial.create_trial(state=TrialState.PRUNED, intermediate_values={1: float("nan")})
    study.optuna.add_trial(pruned)
    printed = status(*where(study), "--json")[1]
    assert json.loads(printed, parse_constant=pytest.fail)["ended"][0]["value"] is None


def test_json_that_is_watched_is_refused_in_one_line(status: Status) -> None:
    code, printed, error = status("--study", "s", "--json", "--watch")
    assert (code, printed, error.count("\n")) == (2, "", 1)


def test_one_look_sees_what_one_who_watches_sees(open_digits) -> None:
    study = open_digits(trials=5)
    claim_for(study, worker_name()).heartbeat(epoch=1, epochs=2, value=0.5)
    finish(study, 0.5, 0.75, reason="none", params={"wide": True})
    pruned = optuna.trial.create_trial(state=TrialState.PRUNED, intermediate_values={1: 0.5, 2: float("inf")})
    study.optuna.add_trial(pruned)
    once = look_once("s", storage=study.url, root=study.paths.root)
    seen = take_snapshot(study)
    assert (list(once.ended), once.best, once.waiting) == (list(seen.ended), seen.best, seen.waiting)
    assert [(one.number, one.epoch, one.value) for one in once.running] == [(0, 1, 0.5)]


def test_time_left_ends_with_the_command_and_with_what_its_budget_pays_for(open_digits) -> None:
    study = open_digits(trials=12)
    finish(study, 0.5, 0.75, compute=2e9)
    assert take_snapshot(study).seconds_left == pytest.approx(10 * 3.0)
    assert take_snapshot(study, ends_in=8.0).seconds_left == 8.0
    assert take_snapshot(study, budget=10e9).seconds_left == pytest.approx(3 * 3.0)
    assert take_snapshot(study, budget=1e9).seconds_left == 0.0


@pytest.mark.slow
def test_status_of_a_thousand_trials_costs_little_more_than_of_one(open_digits) -> None:
    study = open_digits(trials=5)
    if not study.storage.is_sqlite:
        pytest.skip("the trials are copied by SQLite's own means")
    finish(study, 0.5, history={"loss": [0.123456] * 12})
    one = seconds_of_status(study)
    copy_trials(Path(str(study.storage.url.database)), 1000)
    # Of processor time, so that others at work here do not count; with Optuna's objects it was a second.
    assert seconds_of_status(study) - one < 0.6


def seconds_of_status(study: LoadedStudy) -> float:
    """What the command takes as a whole process."""
    before = os.times()
    subprocess.run([sys.executable, "-m", "search.status", *where(study)], cwd=ROOT, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def copy_trials(database: Path, count: int) -> None:
    """Make the first trial so many: through Optuna it would take minutes."""
    with closing(sqlite3.connect(database)) as connection, connection:
        first, study = connection.execute("SELECT trial_id, study_id FROM trials").fetchone()
        for number in range(1, count):
            key = connection.execute(
                "INSERT INTO trials (number, study_id, state) VALUES (?, ?, 'COMPLETE')", (number, study)
            ).lastrowid
            for table in ("user_attributes", "params", "values", "intermediate_values"):
                names = [row[1] for row in connection.execute(f"PRAGMA table_info(trial_{table})")]
                rest = ", ".join(name for name in names[1:] if name != "trial_id")
                connection.execute(
                    f"INSERT INTO trial_{table} (trial_id, {rest}) SELECT ?, {rest} FROM trial_{table} "
                    "WHERE trial_id = ?",
                    (key, first),
                )

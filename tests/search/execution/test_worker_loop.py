"""A worker's loop: exactly N finished trials, in what order, and every way to stop and go on."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from search.data import Dataset
from search.errors import InputError, StudyStopped
from search.execution.stop_requests import Stop
from search.execution.worker import Worker
from search.execution.worker_loop import check_default, check_failures, check_refusals, work
from search.process.fork_server import ForkServer
from search.study.compute import compute_spent
from search.study.finding import load_study
from search.study.study import LoadedStudy
from search.study.sweep_cells import REPEAT
from storage.checkpoints import read_checkpoint
from storage.claims import INTERRUPTIONS, WITHOUT_PROGRESS, Claims, is_refused
from storage.memory import HOST, WAITING_WITH_MOST


def states(worker: Worker) -> list[TrialState]:
    return [trial.state for trial in worker.study.optuna.trials]


def ended(*reasons: str) -> list[FrozenTrial]:
    """Ended trials: failed ones by their reasons, a complete one for each empty reason."""
    trials = []
    for number, reason in enumerate(reasons):
        state = TrialState.FAIL if reason else TrialState.COMPLETE
        made = optuna.trial.create_trial(
            state=state, value=None if reason else 0.5, user_attrs={"reason": reason}
        )
        made.number = number
        trials.append(made)
    return trials


def test_work_ends_at_exactly_n_and_a_larger_n_adds(make_worker) -> None:
    worker = make_worker(epochs=1)
    for wanted in (2, 2, 3):
        work(worker, lambda wanted=wanted: wanted)
        assert states(worker) == [TrialState.COMPLETE] * wanted


def test_worker_that_gets_no_trial_shows_that_it_waits(make_worker, monkeypatch) -> None:
    worker = make_worker()
    claims = worker.claims
    other = Claims(claims.database, claims.study_id, "other").claim(1)
    assert other is not None
    claims.memory = {HOST: 8}
    monkeypatch.setattr(worker.stop, "wait", lambda seconds: setattr(worker.stop, "reason", "seen enough"))
    work(worker, lambda: 1)
    shown = claims.database.get_study_system_attrs(claims.study_id)[WAITING_WITH_MOST[HOST]]
    assert (shown["worker"], shown["memory"]) == (claims.worker, {HOST: 8})
    other.finish(TrialState.COMPLETE, 0.5)


def test_refused_configurations_do_not_count(make_worker) -> None:
    worker = make_worker(epochs=1, max_parameters=2000)
    for width in (32, 16, 16):
        worker.study.optuna.enqueue_trial({"width": width})
    work(worker, lambda: 2)
    assert states(worker) == [TrialState.PRUNED, TrialState.COMPLETE, TrialState.COMPLETE]
    assert list(map(is_refused, worker.study.optuna.trials)) == [True, False, False]


def test_a_hundred_refusals_in_a_row_stop_the_study_in_one_line() -> None:
    refused = ended(*[""] * 101)
    for trial in refused[1:]:
        trial.state, trial.value = TrialState.PRUNED, None
        trial.set_constraint("cost", 0.5)
        trial.user_attrs["reason"] = "over --max-cost"
    check_failures(refused)
    check_refusals(refused[:-1])
    with pytest.raises(
        StudyStopped, match=r"^100 configurations in a row .* trial 100: over --max-cost; .*$"
    ):
        check_refusals(refused)


def test_queued_trials_are_run_first(make_worker) -> None:
    worker = make_worker(epochs=1)
    queued = [{"width": 7, "rate": 0.01, "dropout": 0.0}, {"width": 9, "rate": 0.02, "dropout": 0.25}]
    for params in queued:
        worker.study.optuna.enqueue_trial(params)
    work(worker, lambda: 2)
    assert [trial.params for trial in worker.study.optuna.trials] == queued


@pytest.mark.slow
def test_timeout_gives_the_running_trial_back_and_loses_nothing(make_worker) -> None:
    worker = make_worker(epochs=100, epoch_seconds=0.05)

    def set_deadline() -> None:
        while not worker.study.paths.checkpoints(0):
            time.sleep(0.01)
        worker.stop.deadline = time.monotonic() + 0.3

    threading.Thread(target=set_deadline, daemon=True).start()
    work(worker, lambda: 1)
    assert worker.stop.reason == "the time is up (--timeout)"
    assert not worker.stop.by_user
    (trial,) = worker.study.optuna.trials
    stored = read_checkpoint(*worker.study.paths.checkpoints(0))
    assert trial.state == TrialState.WAITING
    assert stored is not None
    assert stored[1]["epoch"] == trial.last_step
    assert stored[1]["history"]["val_accuracy"] == list(trial.intermediate_values.values())


@pytest.mark.slow
def test_budget_stops_within_an_epoch_of_it_and_a_larger_one_goes_on(make_worker) -> None:
    worker = make_worker(epochs=4, epoch_seconds=0.2)
    worker.stop.spent = lambda: compute_spent(worker.study)
    work(worker, lambda: 1)
    one_trial = compute_spent(worker.study)

    worker.stop.budget = 1.5 * one_trial
    worker.study.optuna.enqueue_trial(worker.study.optuna.trials[0].params)
    work(worker, lambda: 3)
    assert worker.stop.reason == "the compute is spent (--budget)"
    assert states(worker) == [TrialState.COMPLETE, TrialState.WAITING]
    assert worker.study.optuna.trials[1].last_step in (2, 3)

    worker.stop = Stop(budget=10 * one_trial, spent=worker.stop.spent)
    work(worker, lambda: 2)
    assert states(worker) == [TrialState.COMPLETE] * 2


def test_budget_that_is_spent_starts_no_trial(make_worker) -> None:
    worker = make_worker(stop=Stop(budget=1.0, spent=lambda: 1.0))
    work(worker, lambda: 1)
    assert states(worker) == []


def why_stopped(*reasons: str) -> str:
    """What a study with these ended trials is stopped for; empty where it goes on."""
    try:
        check_failures(ended(*reasons))
    except StudyStopped as stopped:
        return str(stopped)
    return ""


def test_ten_failures_in_a_row_stop_the_study_if_they_are_of_one_reason() -> None:
    assert why_stopped(*["broke"] * 10).startswith("10 trials in a row failed for one reason")
    assert why_stopped(*["broke"] * 9, "broke otherwise") == ""


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ValueError: layer conv2d_17 at 0x7f3a", "ValueError: layer conv2d_4 at 0x7f99ab", True),
        ("ValueError: 3.5e-7 of 12,345", "ValueError: 4 of 12", False),
        ("ValueError: x=1.25 (a.py, line 12, in build)", "ValueError: x=3 (a.py, line 12, in build)", True),
        ("ValueError: x=1 (a.py, line 12, in build)", "ValueError: x=1 (a.py, line 123, in build)", False),
        ("ValueError: x=1", "TypeError: x=1", False),
    ],
)
def test_reasons_that_differ_in_numbers_alone_are_one(one: str, other: str, same: bool) -> None:
    assert (why_stopped(*[one, other] * 5) != "") is same


def default_failed(**more: object) -> list[FrozenTrial]:
    about = {"reason": "ValueError: no such layer (a.py, line 3, in build)", "raised": True, **more}
    fixed = {"fixed_params": {"width": 16}}
    return [optuna.trial.create_trial(state=TrialState.FAIL, user_attrs=about, system_attrs=fixed)]


@pytest.mark.parametrize(
    ("name", "worked", "error"),
    [("mine", False, InputError), ("mine", True, StudyStopped), ("cnn", False, StudyStopped)],
)
def test_default_that_fails_stops_the_study(name: str, worked: bool, error: type[Exception]) -> None:
    with pytest.raises(
        error, match=rf"space {name}: its own default configuration, trial -?[0-9]+, fails: ValueError"
    ):
        check_default(default_failed(), name, {"width": 16}, worked=worked, trained=worked)


@pytest.mark.parametrize(
    ("more", "default"),
    [({}, {"width": 8}), ({"raised": False}, {"width": 16}), ({"repeat": 0}, {"width": 16})],
    ids=["another configuration", "no exception, as out of memory", "a sweep's cell"],
)
def test_other_failure_than_of_the_default_does_not_stop_the_study(more: dict, default: dict) -> None:
    check_default(default_failed(**more), "mine", default, worked=False, trained=False)


UNFIT = {"reason": "ContractBroken: build returned None; expected a Keras model"}


def test_first_net_that_cannot_be_searched_stops_a_study_without_a_default() -> None:
    with pytest.raises(InputError, match=r"^space mine: the first net that it builds, trial -?[0-9]+, fails"):
        check_default(default_failed(**UNFIT), "mine", None, worked=False, trained=False)


@pytest.mark.parametrize(
    ("more", "trained"),
    [({}, True), ({"repeat": 0}, False), ({"reason": "ModelUnfit: memory ran out"}, False)],
    ids=["others are trained", "a sweep's cell", "a user's model"],
)
def test_net_that_cannot_be_searched_among_others_does_not_stop_the_study(more: dict, trained: bool) -> None:
    check_default(default_failed(**(UNFIT | more)), "mine", None, worked=False, trained=trained)


def test_success_breaks_a_row_of_failures() -> None:
    assert why_stopped(*[""] * 20, *["broke"] * 10) != ""
    assert why_stopped(*[""] * 20, *["broke"] * 9, "", "broke") == ""


def test_failures_of_a_third_of_the_trials_stop_the_study() -> None:
    with pytest.raises(StudyStopped, match=r"5 of 13 trials failed; the last one, trial 12: broke 4"):
        check_failures(ended(*[""] * 8, *(f"broke {number}" for number in range(5))))


def test_failures_of_a_third_of_a_sweeps_trials_do_not_stop_it() -> None:
    """Eight cells, of which four fail twice, ended without a report."""
    trials = ended(*[""] * 4, *(f"broke {word}" for word in "abcdabcd"))
    for trial in trials:
        trial.user_attrs[REPEAT] = 0
    check_failures(trials)


def test_early_failures_do_not_stop_a_short_study() -> None:
    assert why_stopped("one", "two", "three", "", "") == ""


class Search:
    """The command, on digits and small_space.py, in a process of its own; it trains in NumPy."""

    def __init__(self, commands: Any, place: Path, cache: Path) -> None:
        self.place = place
        self.output = ""
        self._commands, self._cache = commands, cache

    def start(self, *more: str, fault: str = "", epoch_seconds: float = 0.0) -> "Search":
        words = "--study s --data digits --space small_space --images 200 --no-export --pruner none"
        self.process = self._commands.start(
            "search.run", *words.split(), "--cache", self._cache, *more,
            SEARCH_TEST_TRAINING="numpy", SEARCH_TEST_EPOCH_SECONDS=str(epoch_seconds), SMALL_SPACE_FAULT=fault,
        )  # fmt: skip
        return self

    def alive(self) -> list[int]:
        return self._commands.alive()

    @property
    def study(self) -> LoadedStudy:
        return load_study("s", None, self.place / "studies")

    def wait_until(self, ready: Callable[[FrozenTrial], bool]) -> None:
        """Wait until the study's first trial is as ``ready`` says."""
        deadline = time.monotonic() + 90
        study: LoadedStudy | None = None
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(InputError):  # There is no such study yet.
                study = study or self.study
            if study is not None and any(ready(trial) for trial in study.optuna.trials[:1]):
                return
            time.sleep(0.05)
        self.process.kill()
        pytest.fail(f"the search did not come so far: {self.process.communicate()[0]}")

    def end(self) -> int:
        self.output = self.process.communicate(timeout=90)[0]
        return self.process.returncode


@pytest.fixture
def search(commands: Any, digits: Dataset, tmp_path: Path) -> Search:
    return Search(commands, tmp_path, digits.folder.parent)


@pytest.mark.slow
def test_ctrl_c_gives_the_trial_back_and_the_same_command_goes_on_to_n(search: Search) -> None:
    command = ("--trials", "2", "--epochs", "25")
    search.start(*command, epoch_seconds=0.2).wait_until(lambda trial: (trial.last_step or 0) >= 3)
    search.process.send_signal(signal.SIGINT)
    assert search.end() == 130
    assert "go on with: python -m search.run --study s" in search.output
    (trial,) = search.study.optuna.trials[:1]
    stored = read_checkpoint(*search.study.paths.checkpoints(0))
    assert trial.state == TrialState.WAITING
    assert stored is not None
    assert 3 <= stored[1]["epoch"] == trial.last_step < 25

    assert search.start(*command).end() == 0
    first, second = search.study.optuna.trials
    assert (first.state, second.state) == (TrialState.COMPLETE, TrialState.COMPLETE)
    assert first.system_attrs[INTERRUPTIONS] == 1
    assert first.user_attrs["history"]["val_accuracy"] == list(first.intermediate_values.values())
    assert len(first.intermediate_values) == 25


@pytest.mark.slow
def test_second_ctrl_c_stops_at_once(search: Search) -> None:
    search.start("--trials", "1", fault="slow").wait_until(lambda trial: trial.state == TrialState.RUNNING)
    search.process.send_signal(signal.SIGINT)
    time.sleep(1.5)
    assert search.process.poll() is None, "the child is busy and cannot have reached a batch boundary"
    search.process.send_signal(signal.SIGINT)
    before = time.monotonic()
    assert search.end() == 130
    assert time.monotonic() - before < 10
    assert search.study.optuna.trials[0].state == TrialState.WAITING


@pytest.mark.slow
def test_one_sigterm_ends_a_search_within_twenty_seconds_though_its_child_is_busy(search: Search) -> None:
    search.start("--trials", "1", fault="slow").wait_until(lambda trial: trial.state == TrialState.RUNNING)
    before = time.monotonic()
    search.process.send_signal(signal.SIGTERM)
    assert search.end() == 130
    assert time.monotonic() - before < 20
    assert search.study.optuna.trials[0].state == TrialState.WAITING


@pytest.mark.slow
def test_trial_of_a_killed_worker_goes_on_in_the_next(search: Search, fast_server: ForkServer) -> None:
    search.start("--trials", "1", "--epochs", "25", epoch_seconds=0.2)
    search.wait_until(lambda trial: (trial.last_step or 0) >= 3)
    search.process.kill()
    search.end()
    study = search.study
    assert study.optuna.trials[0].state == TrialState.RUNNING

    claims = Claims(study.storage, study.study_id, "another")
    work(Worker(study, fast_server, claims, Stop(), threads=1), lambda: 1)
    (trial,) = study.optuna.trials
    assert trial.state == TrialState.COMPLETE
    assert trial.system_attrs[INTERRUPTIONS] == 1
    assert trial.user_attrs["worker"] == "another"


@pytest.mark.slow
def test_database_removed_under_a_search_ends_it_with_one_line(search: Search) -> None:
    """It said "all finished", with exit code 0, and no database."""
    search.start("--trials", "1", "--epochs", "1000", epoch_seconds=0.1)
    search.wait_until(lambda trial: (trial.last_step or 0) >= 2)
    for file in (search.place / "studies").glob("search.db*"):
        file.unlink()
    assert search.end() == 1
    last = search.output.strip().splitlines()[-1]
    removed = search.place / "studies/search.db"
    assert last.startswith(
        f"error: {removed} was removed, or another file put in its place, while this search ran"
    )
    assert list((search.place / "studies").glob("search.db*")) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signal_to_every_process_of_a_search_loses_no_epoch(search: Search, number: int) -> None:
    """As Slurm sends it: its child died without a checkpoint."""
    search.start("--trials", "1", "--epochs", "1000", epoch_seconds=0.1)
    search.wait_until(lambda trial: (trial.last_step or 0) >= 3)
    for pid in search.alive():
        os.kill(pid, number)
    assert search.end() == 130
    assert (
        f"stopped by {signal.Signals(number).name}: 0 of 1 trials finished, nothing is lost" in search.output
    )
    (trial,) = search.study.optuna.trials
    stored = read_checkpoint(*search.study.paths.checkpoints(0))
    assert stored is not None
    assert (trial.state, trial.last_step) == (TrialState.WAITING, stored[1]["epoch"])
    assert trial.system_attrs[WITHOUT_PROGRESS]["times"] == 0

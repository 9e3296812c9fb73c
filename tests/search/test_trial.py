"""How a trial can end: every row of the table, with real children and real kills."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState

from search.child import Child, ForkServer
from search.errors import StudyStopped
from search.trial import KEPT_MODELS, Worker, run_trial
from search.worker import work
from storage.checkpoints import read_checkpoint

GOOD = {"width": 16, "rate": 0.05, "dropout": 0.1}
HOPELESS = {"width": 4, "rate": 1e-7, "dropout": 0.5}


class StrikingServer:
    """A fork server whose first children are each sent a signal once they have written a checkpoint."""

    def __init__(self, server: ForkServer, signals: list[int]) -> None:
        self.started: list[dict[str, Any]] = []
        self._server, self._signals = server, signals

    def start(self, job: str, payload: dict[str, Any], log: Path, threads: int = 0) -> Child:
        child = self._server.start(job, payload, log, threads)
        if len(self.started) < len(self._signals):
            strike = (child.pid, self._signals[len(self.started)], Path(payload["checkpoint"]))
            threading.Thread(target=self._strike, args=strike, daemon=True).start()
        self.started.append(payload)
        return child

    def _strike(self, pid: int, number: int, checkpoint: Path) -> None:
        while not checkpoint.exists():
            time.sleep(0.002)
        os.kill(pid, number)


def run_next(worker: Worker, wanted: int = 1) -> FrozenTrial:
    """Claim a trial, run it once, and say how it stands."""
    trial_id = worker.claims.claim(wanted)
    assert trial_id is not None
    run_trial(worker, trial_id)
    return worker.study.storage.get_trial(trial_id)


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Give the nets of small_space.py a fault: every one of them, or the first only."""

    def give(name: str, once: bool = False) -> None:
        monkeypatch.setenv("SMALL_SPACE_FAULT", name)
        monkeypatch.setenv("SMALL_SPACE_ONCE", str(tmp_path / "once") if once else "")

    return give


def test_trial_that_runs_its_epochs_is_complete(make_worker) -> None:
    worker = make_worker(epochs=3)
    trial = run_next(worker)
    history = trial.user_attrs["history"]
    assert trial.state == TrialState.COMPLETE
    assert trial.value == history["val_accuracy"][-1]
    assert trial.intermediate_values == dict(enumerate(history["val_accuracy"], start=1))
    assert {name: len(values) for name, values in history.items()} == dict.fromkeys(history, 3)
    assert worker.study.paths.model(0).exists()
    assert not worker.study.paths.checkpoint(0).exists()


def test_complete_trial_records_what_it_was(make_worker) -> None:
    attributes = run_next(make_worker(epochs=2)).user_attrs
    recorded = {
        "params",
        "parameters",
        "flops",
        "epochs",
        "seconds",
        "images_per_second",
        "backend",
        "device",
    }
    assert recorded | {"threads", "versions", "seed", "batch_size", "worker", "compute"} <= attributes.keys()
    assert attributes["compute"] == 3 * attributes["flops"] * 200 * 2
    assert (attributes["backend"], attributes["threads"], attributes["epochs"]) == ("tensorflow", 1, 2)


def test_metric_loss_scores_the_validation_loss(make_worker) -> None:
    trial = run_next(make_worker(metric="loss"))
    assert trial.value == trial.user_attrs["history"]["val_loss"][-1]


def test_hopeless_trial_is_pruned_with_its_history(make_worker) -> None:
    worker = make_worker(pruner="halving", epochs=8)
    for params in (GOOD, HOPELESS):
        worker.study.optuna.enqueue_trial(params)
    work(worker, 2)
    trial = worker.study.optuna.trials[1]
    assert trial.state == TrialState.PRUNED
    assert trial.user_attrs["reason"] == f"pruned after epoch {trial.user_attrs['epochs']}"
    assert trial.user_attrs["epochs"] < 8
    assert len(trial.user_attrs["history"]["val_accuracy"]) == trial.user_attrs["epochs"]
    assert not worker.study.paths.checkpoint(1).exists()


def test_diverged_trial_is_pruned_and_counts(make_worker, fault) -> None:
    fault("diverge")
    worker = make_worker(epochs=5)
    work(worker, 1)
    (trial,) = worker.study.optuna.trials
    assert trial.state == TrialState.PRUNED
    assert trial.user_attrs["reason"].startswith("diverged: the loss became NaN or infinite in epoch ")
    assert len(worker.study.finished()) == 1


def test_child_killed_from_outside_goes_on_under_its_number(make_worker, fork_server) -> None:
    server = StrikingServer(fork_server, [signal.SIGKILL])
    worker = make_worker(server=server, epochs=12)
    trial = run_next(worker)
    assert (trial.number, trial.state) == (0, TrialState.WAITING)
    stored = read_checkpoint(worker.study.paths.checkpoint(0))
    assert stored is not None
    went_on_from = stored[1]["epoch"]

    trial = run_next(worker)
    assert (trial.number, trial.state) == (0, TrialState.COMPLETE)
    assert len(trial.user_attrs["history"]["val_accuracy"]) == 12
    assert went_on_from >= 1
    assert stored[1]["history"]["seconds"] == trial.user_attrs["history"]["seconds"][:went_on_from]


@pytest.mark.slow
def test_interrupted_trial_learns_as_if_nothing_had_happened(make_worker, fork_server) -> None:
    server = StrikingServer(fork_server, [signal.SIGKILL, signal.SIGTERM])
    interrupted, whole = make_worker("one", server, epochs=12), make_worker("two", epochs=12)
    for worker in (interrupted, whole):
        work(worker, 1)
    one, two = (worker.study.optuna.trials[0].user_attrs["history"] for worker in (interrupted, whole))
    assert len(server.started) == 3
    del one["seconds"], two["seconds"]
    assert one == two


def test_crash_is_tried_once_more(make_worker, fork_server) -> None:
    worker = make_worker(server=StrikingServer(fork_server, [signal.SIGSEGV]), epochs=12)
    trial = run_next(worker)
    assert trial.state == TrialState.WAITING
    assert trial.user_attrs["first_failure"] == "the training process ended by itself: signal SIGSEGV"
    assert run_next(worker).state == TrialState.COMPLETE
    assert len(worker.study.optuna.trials) == 1


def test_second_crash_fails_the_trial_with_reason_and_last_lines(make_worker, fault) -> None:
    fault("leave")
    worker = make_worker()
    assert run_next(worker).state == TrialState.WAITING
    trial = run_next(worker)
    assert (trial.number, trial.state) == (0, TrialState.FAIL)
    assert trial.user_attrs["reason"] == "the training process ended by itself: exit status 7"
    assert "leaving in the middle" in trial.user_attrs["last_lines"]
    assert worker.study.finished() == []


def test_error_in_build_fails_the_trial_with_its_first_line(make_worker, fault) -> None:
    fault("raise")
    worker = make_worker()
    run_next(worker)
    trial = run_next(worker)
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["reason"] == "ValueError: no such layer"
    assert "in build" in trial.user_attrs["last_lines"]


def test_out_of_memory_is_tried_again_with_half_the_batch(make_worker, fork_server, fault) -> None:
    fault("memory", once=True)
    server = StrikingServer(fork_server, [])
    worker = make_worker(server=server)
    assert run_next(worker).state == TrialState.WAITING
    assert run_next(worker).state == TrialState.COMPLETE
    assert [payload["accumulate"] for payload in server.started] == [1, 2]


def test_out_of_memory_twice_fails_the_trial(make_worker, fault) -> None:
    fault("memory")
    worker = make_worker()
    assert run_next(worker).state == TrialState.WAITING
    trial = run_next(worker)
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["reason"] == "MemoryError: too wide"


def test_out_of_memory_in_training_does_not_go_on_from_its_checkpoint(
    make_worker, fork_server, tmp_path, monkeypatch
) -> None:
    counter = tmp_path / "memory.events"
    counter.write_text("oom_kill 0\n")
    monkeypatch.setattr("search.child.OOM_COUNTERS", (counter,))

    class KernelOutOfMemory(StrikingServer):
        def _strike(self, pid: int, number: int, checkpoint: Path) -> None:
            while not checkpoint.exists():
                time.sleep(0.002)
            counter.write_text("oom_kill 1\n")
            os.kill(pid, number)

    worker = make_worker(server=KernelOutOfMemory(fork_server, [signal.SIGKILL]), epochs=12)
    trial = run_next(worker)
    assert trial.user_attrs["first_failure"] == "out of memory: killed by the system"
    assert not worker.study.paths.checkpoint(0).exists()
    assert run_next(worker).state == TrialState.COMPLETE


def test_too_large_is_never_trained(make_worker, fork_server, fault) -> None:
    fault("large")
    server = StrikingServer(fork_server, [])
    worker = make_worker(server=server)
    trial = run_next(worker)
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["reason"].startswith("too large")
    assert server.started == []


def test_ten_failures_for_one_reason_stop_the_study(make_worker, fault) -> None:
    fault("large")
    worker = make_worker()
    with pytest.raises(StudyStopped, match=r"10 trials in a row failed for one reason; .*too large"):
        work(worker, 3)
    assert [trial.state for trial in worker.study.optuna.trials] == [TrialState.FAIL] * 10


def test_weights_are_kept_of_the_best_trials_only(make_worker) -> None:
    worker = make_worker(epochs=1)
    work(worker, KEPT_MODELS + 1)
    kept = [
        trial.number
        for trial in worker.study.optuna.trials
        if worker.study.paths.model(trial.number).exists()
    ]
    best = [trial.number for trial in worker.study.ranked()[:KEPT_MODELS]]
    assert sorted(kept) == sorted(best)

"""How a trial can end: every row of the table, with real children and real kills.

Four of them train on TensorFlow; the others in NumPy, by ``in_child/numpy_training.py``.
"""

import contextlib
import dataclasses
import os
import re
import signal
import threading
import time
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import create_engine, text

from benchmarks.postgres import PostgresServer, missing
from search.data import split
from search.errors import DiskFull, ServerGone, StudyStopped
from search.execution.stop_requests import Stop
from search.execution.trial import run_trial
from search.execution.trial_child import TrialChild
from search.execution.trial_files import TrialFiles
from search.execution.worker import Worker
from search.execution.worker_loop import work
from search.process.child import Child
from search.process.fork_server import ForkServer
from search.study.compute import compute_spent
from search.study.finding import load_study
from search.study.fold_results import TIE_BREAK
from search.study.study import KEPT_MODELS
from search.study.sweep_cells import REPEAT
from storage.artifacts import artifact_ids
from storage.checkpoints import read_checkpoint
from storage.claims import WITHOUT_PROGRESS, Claims
from storage.heartbeat import Heartbeat
from storage.memory import HOST
from storage.timeouts import Timeouts

GOOD = {"width": 16, "rate": 0.05, "dropout": 0.1}
HOPELESS = {"width": 4, "rate": 1e-7, "dropout": 0.5}


class StrikingServer:
    """A fork server whose first children are each sent a signal once they have written a checkpoint."""

    def __init__(self, server: ForkServer, signals: list[int]) -> None:
        self.started: list[dict[str, Any]] = []
        self._server, self._signals, self.backend = server, signals, server.backend

    def revive(self) -> bool:
        return self._server.revive()

    def start(
        self,
        job: str,
        payload: dict[str, Any],
        log: Path,
        threads: int = 0,
        environment: Any = None,
        **more: Any,
    ) -> Child:
        child = self._server.start(job, payload, log, threads, environment, **more)
        if job != "search.training.job:train":
            return child
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
    claim = worker.claims.claim(wanted)
    assert claim is not None
    run_trial(worker, claim)
    return worker.study.storage.get_trial(claim.trial_id)


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
    assert len(worker.study.paths.models(0)) == 1
    assert not worker.study.paths.checkpoints(0)
    # For who reads no learning curves.
    assert trial.user_attrs[TIE_BREAK] == history["val_loss"][trial.user_attrs["kept_epoch"] - 1]


def test_trial_on_tensorflow_is_complete_and_records_what_it_was(make_worker, fork_server) -> None:
    worker = make_worker(server=fork_server, epochs=2)
    trial = run_next(worker)
    attributes = trial.user_attrs
    assert trial.state == TrialState.COMPLETE
    assert trial.value == attributes["history"]["val_accuracy"][-1]
    (kept,) = worker.study.paths.models(0)
    assert zipfile.is_zipfile(kept)
    assert artifact_ids(trial.system_attrs).keys() == {"curves.png", "validation_confusion_matrix.png"}
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
    whole_batches = 3 * 64  # Of 200 images.
    assert attributes["compute"] == 3 * attributes["flops"] * whole_batches * 2
    assert (attributes["backend"], attributes["threads"], attributes["epochs"]) == ("tensorflow", 1, 2)
    assert {"python", "keras", "tensorflow", "numpy"} == attributes["versions"].keys()


def test_metric_loss_scores_the_validation_loss(make_worker) -> None:
    trial = run_next(make_worker(metric="loss"))
    assert trial.value == trial.user_attrs["history"]["val_loss"][-1]


@pytest.mark.parametrize("metric", ["recall:3", "balanced_accuracy", "auc"])
def test_metric_that_is_not_always_reported_is_where_it_is_asked_for(make_worker, metric: str) -> None:
    trial = run_next(make_worker(metric=metric))
    assert trial.value == trial.user_attrs["history"][f"val_{metric}"][-1]
    assert 0 <= trial.value <= 1


def test_hopeless_trial_is_pruned_with_its_history(make_worker) -> None:
    worker = make_worker(pruner="halving", epochs=8)
    for params in (GOOD, HOPELESS):
        worker.study.optuna.enqueue_trial(params)
    work(worker, lambda: 1)
    worker.environment = {"SEARCH_TEST_EPOCH_SECONDS": "0.25"}
    work(worker, lambda: 2)
    trial = worker.study.optuna.trials[1]
    words, _, epoch = trial.user_attrs["reason"].rpartition(" ")
    assert (trial.state, words) == (TrialState.PRUNED, "pruned after epoch")
    # A verdict that was not known in good time is passed on with the next epoch.
    assert int(epoch) <= trial.user_attrs["epochs"] < 8
    assert len(trial.user_attrs["history"]["val_accuracy"]) == trial.user_attrs["epochs"]
    assert not worker.study.paths.checkpoints(1)


def test_default_is_never_pruned_but_judges_others(make_worker, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class PruneAll(optuna.pruners.BasePruner):
        def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
            asked.append(trial.number)
            return True

    monkeypatch.setattr("search.execution.trial.make_pruner", lambda config: PruneAll())
    worker = make_worker(epochs=3)
    for params in (GOOD, {**GOOD, "width": 15}):
        worker.study.optuna.enqueue_trial(params)
    work(worker, lambda: 2)
    assert [trial.state for trial in worker.study.optuna.trials] == [TrialState.COMPLETE, TrialState.PRUNED]
    assert set(asked) == {0, 1}


def test_diverged_trial_is_pruned_and_counts(make_worker, fork_server, fault) -> None:
    fault("diverge")
    worker = make_worker(server=fork_server, epochs=5)
    work(worker, lambda: 1)
    (trial,) = worker.study.optuna.trials
    assert trial.state == TrialState.PRUNED
    assert trial.user_attrs["reason"].startswith("diverged: the loss became NaN or infinite in epoch ")
    assert len(worker.study.finished()) == 1


def test_child_killed_from_outside_goes_on_under_its_number(make_worker, fast_server) -> None:
    server = StrikingServer(fast_server, [signal.SIGKILL])
    worker = make_worker(server=server, epochs=12, epoch_seconds=0.05)
    trial = run_next(worker)
    assert (trial.number, trial.state) == (0, TrialState.WAITING)
    stored = read_checkpoint(*worker.study.paths.checkpoints(0))
    assert stored is not None
    went_on_from = stored[1]["epoch"]

    trial = run_next(worker)
    assert (trial.number, trial.state) == (0, TrialState.COMPLETE)
    assert len(trial.user_attrs["history"]["val_accuracy"]) == 12
    assert went_on_from >= 1
    assert stored[1]["history"]["seconds"] == trial.user_attrs["history"]["seconds"][:went_on_from]


def test_trial_whose_checkpoint_is_damaged_inside_begins_again(make_worker, fast_server) -> None:
    """It passed for whole, and the trial failed twice, by ``BadZipFile``."""
    server = StrikingServer(fast_server, [signal.SIGKILL])
    worker = make_worker(server=server, epochs=6, epoch_seconds=0.05)
    run_next(worker)
    (checkpoint,) = worker.study.paths.checkpoints(0)
    with zipfile.ZipFile(checkpoint) as archive:
        place = archive.getinfo("array00000.npy").header_offset + 300
    with checkpoint.open("r+b") as file:
        file.seek(place)
        file.write(bytes(range(100)))
    trial = run_next(worker)
    assert (trial.number, trial.state) == (0, TrialState.COMPLETE)
    assert len(trial.user_attrs["history"]["val_accuracy"]) == 6
    log = worker.study.paths.log(0).read_text()
    assert f"checkpoint {checkpoint.name} is damaged: begun again" in log
    assert log.count("epoch 1:") == 2


@pytest.mark.slow
def test_interrupted_trial_on_tensorflow_learns_as_if_nothing_had_happened(make_worker, fork_server) -> None:
    server = StrikingServer(fork_server, [signal.SIGKILL, signal.SIGKILL])
    interrupted, whole = make_worker("one", server, epochs=12), make_worker("two", fork_server, epochs=12)
    for worker in (interrupted, whole):
        work(worker, lambda: 1)
    one, two = (worker.study.optuna.trials[0].user_attrs["history"] for worker in (interrupted, whole))
    assert len(server.started) == 3
    del one["seconds"], two["seconds"]
    assert one == two


def test_interrupted_trial_of_a_users_model_learns_as_if_nothing_had_happened(
    make_worker, fork_server
) -> None:
    model = {"space": "user_models:build_model", "epochs": 4, "seed": 3}
    server = StrikingServer(fork_server, [signal.SIGKILL])
    interrupted, whole = make_worker("one", server, **model), make_worker("two", fork_server, **model)
    for worker in (interrupted, whole):
        work(worker, lambda: 1)
    one, two = (worker.study.optuna.trials[0] for worker in (interrupted, whole))
    assert [payload["space"] for payload in server.started] == [model["space"]] * 2
    # Its values were asked for once, and are what both of its trainings were given.
    assert [payload["params"] for payload in server.started] == [one.params] * 2
    assert set(one.params) >= {"num_layers", "units_0", "activation", "dropout", "lr"}
    for trial in (one, two):
        del trial.user_attrs["history"]["seconds"]
    assert one.params == two.params
    assert one.user_attrs["history"] == two.user_attrs["history"]
    assert one.user_attrs["flops"] == 2 * (one.user_attrs["parameters"] - _biases(one.params))


def _biases(params: dict[str, Any]) -> int:
    return sum(params[f"units_{layer}"] for layer in range(params["num_layers"])) + 10


def test_crash_is_tried_once_more(make_worker, fast_server) -> None:
    server = StrikingServer(fast_server, [signal.SIGSEGV])
    worker = make_worker(server=server, epochs=12, epoch_seconds=0.05)
    trial = run_next(worker)
    assert trial.state == TrialState.WAITING
    assert trial.user_attrs["first_failure"] == "the training process ended by itself: signal SIGSEGV"
    assert run_next(worker).state == TrialState.COMPLETE
    assert len(worker.study.optuna.trials) == 1


class GoneServer(StrikingServer):
    """A fork server that is gone when a trial first asks it for a child; the next look at it finds another."""

    def __init__(self, server: ForkServer) -> None:
        super().__init__(server, [])
        self.asked: list[str] = []

    def revive(self) -> bool:
        self.asked.append("revive")
        return len(self.asked) != 3  # The second is gone as well.

    def start(self, job: str, *arguments: Any, **more: Any) -> Child:
        if job == "search.training.job:train":
            self.asked.append("start")
            if self.asked.count("start") == 1:
                raise ServerGone("the process that starts trials has ended")
        return super().start(job, *arguments, **more)


def test_trial_whose_server_is_gone_waits_unclaimed_and_unblamed_for_the_next(
    make_worker, fast_server
) -> None:
    worker = make_worker(server=GoneServer(fast_server))
    worker.study.storage.use_timeouts(dataclasses.replace(Timeouts(), poll=0.05))
    states: list[list[TrialState]] = []
    revive = worker.server.revive

    def look_and_revive() -> bool:
        states.append([trial.state for trial in worker.study.optuna.trials])
        return revive()

    worker.server.revive = look_and_revive
    work(worker, lambda: 1)
    (trial,) = worker.study.optuna.trials
    assert (trial.number, trial.state) == (0, TrialState.COMPLETE)
    assert worker.server.asked == ["revive", "start", "revive", "revive", "start", "revive"]
    assert states[1:3] == [[TrialState.WAITING]] * 2, "nobody claims to work on it meanwhile"
    assert trial.system_attrs.get(WITHOUT_PROGRESS, {"times": 0})["times"] == 0


def test_sign_of_life_names_the_child_only_while_there_is_one(make_worker, fast_server) -> None:
    """Its id may be another's soon after."""
    worker = make_worker(server=fast_server)
    claim = worker.claims.claim(1)
    assert claim is not None
    heartbeat, files = Heartbeat(claim), TrialFiles(worker.study, claim)
    worker.server = SimpleNamespace(start=lambda *_, **__: nullcontext(SimpleNamespace(pid=17)))
    trial, plan = SimpleNamespace(user_attrs={"threads": 1}), SimpleNamespace(folds=0, to_payload=dict)
    with TrialChild(worker, claim, trial, files, heartbeat) as child:  # type: ignore[arg-type]
        child._begin(plan)  # type: ignore[arg-type]
        assert heartbeat.facts["child"] == 17
    assert "child" not in heartbeat.facts


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
    words, _, place = trial.user_attrs["reason"].partition(" (")
    assert words == "ValueError: no such layer"
    assert re.fullmatch(r"small_space\.py, line \d+, in break_as_asked\)", place)
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
    assert trial.user_attrs["reason"].startswith("MemoryError: too wide (small_space.py, line ")


def test_out_of_memory_twice_leaves_the_trial_to_a_worker_with_more_once(make_worker, fault) -> None:
    fault("memory")
    worker = make_worker()
    worker.claims.memory = {HOST: 4}
    large = Claims(worker.claims.database, worker.study.study_id, "large", memory={HOST: 8})
    held = large.claim(1)
    assert held is not None
    number = run_next(worker, 2).number
    trial = run_next(worker, 2)
    assert (trial.number, trial.state) == (number, TrialState.WAITING)
    held.finish(TrialState.COMPLETE, 0.5)
    worker.claims = large
    trial = run_next(worker, 2)
    assert (trial.number, trial.state) == (number, TrialState.FAIL)
    assert trial.user_attrs["worker"] == "large"


def test_out_of_memory_in_training_does_not_go_on_from_its_checkpoint(
    make_worker, fast_server, tmp_path, monkeypatch
) -> None:
    counter = tmp_path / "memory.events"
    counter.write_text("oom_kill 0\n")
    monkeypatch.setattr("search.process.child.OOM_COUNTERS", (counter,))

    class KernelOutOfMemory(StrikingServer):
        def _strike(self, pid: int, number: int, checkpoint: Path) -> None:
            while not checkpoint.exists():
                time.sleep(0.002)
            counter.write_text("oom_kill 1\n")
            os.kill(pid, number)

    server = KernelOutOfMemory(fast_server, [signal.SIGKILL])
    worker = make_worker(server=server, epochs=12, epoch_seconds=0.05)
    trial = run_next(worker)
    assert trial.user_attrs["first_failure"] == "out of memory: killed by the system"
    assert not worker.study.paths.checkpoints(0)
    assert run_next(worker).state == TrialState.COMPLETE


def test_too_large_is_never_trained(make_worker, fast_server, fault) -> None:
    fault("large")
    server = StrikingServer(fast_server, [])
    worker = make_worker(server=server)
    trial = run_next(worker)
    assert (trial.state, trial.value) == (TrialState.PRUNED, None)
    assert trial.user_attrs["reason"] == "over the study's max-cost, over the study's max-parameters"
    assert set(trial.constraints) == {"cost", "parameters"}
    assert all(violation > 0 for violation in trial.constraints.values())
    assert server.started == []
    assert (worker.study.finished(), worker.claims.finished()) == ([], 0)


def test_too_large_cell_of_a_sweep_fails(make_worker, fault) -> None:
    fault("large")
    worker = make_worker()
    worker.study.optuna.enqueue_trial({"width": 8}, user_attrs={REPEAT: 0})
    trial = run_next(worker)
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["reason"].startswith("too large: over the study's max-cost")


def test_trial_of_equal_compute_trains_for_it_in_eighths(make_worker) -> None:
    length = 3 * 2 * (64 * 16 + 16 * 10) * 64 * 40  # About 40 steps of 64 images of the default.
    worker = make_worker(epochs=8, length=length, final=length, final_epochs=1.0, training_images=200)
    worker.study.optuna.enqueue_trial({"width": 16, "rate": 0.05, "dropout": 0.1})
    trial = run_next(worker)
    assert trial.state == TrialState.COMPLETE
    assert list(trial.intermediate_values) == list(range(1, 9))
    assert 0.9 * length < trial.user_attrs["compute"] <= length
    validated = trial.user_attrs["flops"] * 8 * len(trial_validation(worker))
    assert trial.user_attrs["validation_compute"] == validated
    assert compute_spent(worker.study) == trial.user_attrs["compute"] + validated


def trial_validation(worker: Worker) -> Any:
    """The validation images of a trial, fewer than would be taken a sample of."""
    config = worker.study.config
    return split(worker.study.dataset().train()[1], config.validation, config.images, config.seed).validation


def test_ten_failures_for_one_reason_stop_the_study(make_worker, fault) -> None:
    fault("memory")
    worker = make_worker()
    with pytest.raises(StudyStopped, match=r"10 trials in a row failed for one reason; .*too wide"):
        work(worker, lambda: 3)
    assert [trial.state for trial in worker.study.optuna.trials] == [TrialState.FAIL] * 10


def test_hung_child_is_killed_and_its_trial_tried_once_more(make_worker, fault) -> None:
    fault("slow", once=True)
    worker = make_worker()
    worker.hang_seconds = 0.3  # Before its first batch a child may take ten times as long.
    began = time.monotonic()
    trial = run_next(worker)
    worker.hang_seconds = 60.0
    assert trial.state == TrialState.WAITING
    assert trial.user_attrs["first_failure"] == "the training process hung and was killed"
    assert time.monotonic() - began < 60
    assert run_next(worker).state == TrialState.COMPLETE


def test_batch_that_fitted_is_recorded(make_worker, fault) -> None:
    fault("memory", once=True)
    worker = make_worker()
    run_next(worker)
    assert run_next(worker).user_attrs["batch_that_fitted"] == 32
    assert run_next(worker, 2).user_attrs["batch_that_fitted"] == 64


def test_trial_that_goes_on_keeps_its_thread_count(make_worker, fast_server) -> None:
    server = StrikingServer(fast_server, [signal.SIGKILL])
    worker = make_worker(server=server, epochs=12, epoch_seconds=0.05)
    run_next(worker)
    worker.threads = 2
    assert run_next(worker).user_attrs["threads"] == 1
    assert run_next(worker, 2).user_attrs["threads"] == 2


class GivenAway(StrikingServer):
    """While its first child trains, its trial is given to another worker, who runs it to its end."""

    def __init__(self, server: ForkServer, taken: Callable[[], None]) -> None:
        super().__init__(server, [0])
        self._taken = taken
        self.over = threading.Event()

    def _strike(self, pid: int, number: int, checkpoint: Path) -> None:
        while not checkpoint.exists():
            time.sleep(0.002)
        os.kill(pid, signal.SIGSTOP)  # Both were paused; the worker is, as far as the database can tell.
        self._taken()
        with contextlib.suppress(ProcessLookupError):  # Its worker may have noticed, and ended it.
            os.kill(pid, signal.SIGCONT)
        self.over.set()


@pytest.mark.slow
def test_paused_worker_that_comes_back_drops_its_work_and_goes_on(make_worker, fast_server) -> None:
    worker = make_worker(epochs=12, epoch_seconds=0.05)
    study = load_study("small", None, worker.study.paths.root)
    another = Worker(study, fast_server, Claims(study.storage, study.study_id, "another"), Stop(), threads=1)
    seen: list[FrozenTrial] = []

    def take() -> None:
        life = study.storage.get_trial(1).system_attrs["life"]
        study.storage.set_trial_system_attr(1, "life", {**life, "pid": 2**22 + 1})
        seen.append(run_next(another))

    worker.server = GivenAway(fast_server, take)
    run_next(worker)
    assert worker.server.over.wait(60)
    trial = study.storage.get_trial(1)
    assert trial.state == TrialState.COMPLETE
    assert trial.user_attrs["worker"] == "another"
    assert study.storage.get_trial(1) == seen[0], "nothing was written over the new owner's"
    kept = study.paths.model(0, trial.user_attrs["token"])
    assert [path for path, _, _ in study.paths.trial_files()] == [kept]
    assert run_next(worker, 2).state == TrialState.COMPLETE


@pytest.mark.slow
def test_epoch_of_which_only_the_checkpoint_tells_is_reported_by_the_next_owner(
    make_worker, fast_server
) -> None:
    """The worker was killed between its child's checkpoint and the report."""
    server = StrikingServer(fast_server, [signal.SIGKILL])
    worker = make_worker(server=server, epochs=12, epoch_seconds=0.05)
    run_next(worker)
    stored = read_checkpoint(*worker.study.paths.checkpoints(0))
    assert stored is not None
    with create_engine(worker.study.url).begin() as connection:
        connection.execute(text("DELETE FROM trial_intermediate_values"))
    trial = run_next(worker)
    assert stored[1]["epoch"] >= 1
    assert trial.intermediate_values == dict(enumerate(trial.user_attrs["history"]["val_accuracy"], 1))
    assert len(trial.intermediate_values) == 12


@pytest.mark.slow
def test_disk_that_is_full_costs_the_checkpoint_and_not_the_trial(make_worker, small_disk) -> None:
    worker = make_worker(epochs=3)
    with small_disk(worker.study.paths.folder / "checkpoints") as folder:
        trial = run_next(worker)
        left = list(folder.iterdir())
    assert trial.state == TrialState.COMPLETE
    assert "No space left on device" in trial.user_attrs["checkpoint_trouble"]
    assert left == []


@pytest.mark.slow
def test_disk_that_is_full_ends_the_search_and_costs_no_trial(make_worker, small_disk) -> None:
    worker = make_worker(epochs=3)
    with small_disk(worker.study.paths.folder / "models") as folder:
        with pytest.raises(DiskFull, match="No space left"):
            work(worker, lambda: 1)
        left = list(folder.iterdir())
    assert left == []  # What fits of the weights would keep the disk full.
    trial = worker.study.optuna.trials[0]
    assert trial.state == TrialState.WAITING
    assert "first_failure" not in trial.user_attrs
    work(worker, lambda: 1)
    assert [(one.number, one.state) for one in worker.study.optuna.trials] == [(0, TrialState.COMPLETE)]


@pytest.mark.slow
def test_log_on_a_full_disk_ends_the_search_and_costs_no_trial(make_worker, small_disk) -> None:
    """The child cannot even say what is wrong where it prints."""
    worker = make_worker(epochs=3)
    with small_disk(worker.study.paths.log(0).parent) as folder:
        (folder / "fill").write_bytes(bytes(8192))
        with pytest.raises(DiskFull):
            work(worker, lambda: 1)
    assert worker.study.optuna.trials[0].state == TrialState.WAITING


class Outage(StrikingServer):
    """Takes the database away while a child trains, for longer than the grace, and counts the epochs meanwhile."""

    def __init__(self, server: ForkServer, postgres: PostgresServer, seconds: float, log: Path) -> None:
        super().__init__(server, [0])
        self._postgres, self._seconds, self._log = postgres, seconds, log
        self.epochs = 0

    def _strike(self, pid: int, number: int, checkpoint: Path) -> None:
        while not checkpoint.exists():
            time.sleep(0.002)
        self._postgres.stop()
        before = self._log.read_text().count("epoch ")
        time.sleep(self._seconds)
        self.epochs = self._log.read_text().count("epoch ") - before
        self._postgres.start()


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.skipif(bool(missing()), reason=missing())
def test_outage_longer_than_the_grace_pauses_the_reports_and_not_the_training(
    make_worker, fast_server
) -> None:
    with PostgresServer() as postgres:
        times = Timeouts(grace=2.0, outage=60.0, pause=0.3, poll=0.1, connect=2.0)
        worker = make_worker(storage=postgres.database(), times=times, epochs=40, epoch_seconds=0.2)
        worker.server = Outage(fast_server, postgres, 2 * times.grace, worker.study.paths.log(0))
        watching = Claims(worker.study.storage, worker.study.study_id, "another")
        swept: list[int] = []
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.2):
                swept.extend(watching.sweep())

        threading.Thread(target=watch, daemon=True).start()
        trial = run_next(worker)
        over.set()
    assert trial.state == TrialState.COMPLETE
    assert worker.server.epochs > 5, "it trained on"
    assert swept == [], "no live trial was declared dead"
    assert len(trial.intermediate_values) == 40


def test_weights_are_kept_of_the_best_trials_only(make_worker) -> None:
    worker = make_worker(epochs=1)
    work(worker, lambda: KEPT_MODELS + 1)
    kept = [trial.number for trial in worker.study.optuna.trials if worker.study.paths.models(trial.number)]
    best = [trial.number for trial in worker.study.ranked()[:KEPT_MODELS]]
    assert sorted(kept) == sorted(best)


def test_sampler_sees_the_trials_that_a_worker_finished_itself(make_worker) -> None:
    """A study object keeps the list of its first sampling: with one for all trials TPE would never begin."""
    worker = make_worker(sampler="tpe", epochs=1)
    run_next(worker, 100)  # Its first sampling.
    for _ in range(10):
        finished = create_trial(
            value=0.5,
            params={"width": 8, "rate": 0.1, "dropout": 0.2},
            distributions={
                "width": IntDistribution(4, 32),
                "rate": FloatDistribution(1e-7, 1.0, log=True),
                "dropout": FloatDistribution(0.0, 0.5),
            },
        )
        worker.study.optuna.add_trial(finished)
    assert "tpe:relative_params:0" in run_next(worker, 100).system_attrs

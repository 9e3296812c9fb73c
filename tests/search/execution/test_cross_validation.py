"""A trial in folds: what is trained, reported and judged, alone and with real children that train in NumPy."""

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState
from sklearn.datasets import load_digits

from search.data import Dataset
from search.data.preparation import prepare
from search.errors import TrialInterrupted, TrialOutOfMemory, TrialPruned
from search.execution.cross_validation import train_folds
from search.execution.stop_requests import Stop
from search.execution.trial import run_trial
from search.execution.worker import Worker
from search.execution.worker_loop import work
from search.metrics.calibration import least_loss
from search.process.child import Child
from search.process.fork_server import ForkServer
from search.study.compute import compute_spent
from search.study.fold_results import (
    FOLDS,
    PREDICTIONS,
    TIE_BREAK,
    TrainingOutcome,
    at_kept_epoch,
    matrix_of,
    mean_history,
    mean_value,
)
from search.study.out_of_fold import read_out_of_fold
from search.training.plan import TrainingPlan
from spaces.contract import InputSpec
from spaces.recipe import Recipe
from storage.checkpoints import read_facts

IMAGES = 200
PLAN = TrainingPlan(
    "small_space", {}, Recipe(), InputSpec(8, 8, 1, 2), "d", 0.1, None, 0, 7, epochs=2, model="m", folds=3
)


def run_with(*values: float, kept: int = 0) -> TrainingOutcome:
    """What a child says of a training whose validation accuracies are these."""
    history = {"val_accuracy": list(values), "seconds": [1.0] * len(values)}
    said = {"history": history, "epochs": len(values), "kept_epoch": kept or len(values)}
    said |= {"images_seen": 20 * len(values), "images_validated": 10 * len(values)}
    return {**said, "training_images": 20, "validation_images": 10, "matrix": [[4, 1], [2, 3]]}


class Trained:
    """A trial of a study in memory whose children are made up; ``plans`` are those that were begun."""

    def __init__(self, pruner: optuna.pruners.BasePruner | None = None) -> None:
        study = optuna.create_study(direction="maximize", pruner=pruner or optuna.pruners.NopPruner())
        self.trial, self.stop = study.ask(), Stop()
        self.plans: list[TrainingPlan] = []
        self.forgotten = 0

    def go_on(self, *runs: TrainingOutcome | Exception) -> float:
        left = list(runs)

        def train(plan: TrainingPlan, before: Sequence[TrainingOutcome]) -> TrainingOutcome:
            assert len(before) == plan.fold
            self.plans.append(plan)
            run = left.pop(0)
            if isinstance(run, Exception):
                raise run
            return run

        def forget() -> None:
            self.forgotten += 1

        return mean_value(train_folds(self.trial, PLAN, self.stop, train, forget))

    @property
    def reports(self) -> dict[int, float]:
        return self.trial.storage.get_trial(self.trial._trial_id).intermediate_values


@pytest.fixture
def trained() -> Trained:
    return Trained()


THREE = (run_with(0.1, 0.3), run_with(0.2, 0.6), run_with(0.5, 0.9))


def test_value_is_the_mean_of_the_folds(trained: Trained) -> None:
    assert trained.go_on(*THREE) == pytest.approx(0.6)


def test_mean_so_far_is_reported_after_each_fold_and_no_epoch_is(trained: Trained) -> None:
    trained.go_on(*THREE)
    assert trained.reports == pytest.approx({1: 0.3, 2: 0.45, 3: 0.6})


def test_fold_counts_at_the_epoch_whose_weights_were_kept(trained: Trained) -> None:
    assert trained.go_on(*THREE[:2], run_with(0.9, 0.5, kept=1)) == pytest.approx(0.6)


def test_folds_have_seeds_of_their_own_and_keep_no_model(trained: Trained) -> None:
    trained.go_on(*THREE)
    assert [(plan.fold, plan.seed, plan.model) for plan in trained.plans] == [
        (0, 7, None),
        (1, 8, None),
        (2, 9, None),
    ]
    assert len({plan.identity for plan in trained.plans}) == 3


def test_finished_fold_is_never_trained_again(trained: Trained) -> None:
    with pytest.raises(TrialInterrupted):
        trained.go_on(THREE[0], TrialInterrupted("killed"))
    assert trained.go_on(*THREE[1:]) == pytest.approx(0.6)
    assert [plan.fold for plan in trained.plans] == [0, 1, 1, 2]
    assert sorted(trained.reports) == [1, 2, 3]
    assert trained.forgotten == 3


def test_trial_whose_folds_are_all_finished_trains_nothing_more(trained: Trained) -> None:
    trained.go_on(*THREE)
    assert trained.go_on() == pytest.approx(0.6)


def test_fold_stored_but_not_reported_is_reported_by_the_next_owner(trained: Trained) -> None:
    finished = [{**THREE[0], "value": 0.3}]
    trained.trial.set_user_attr(FOLDS, finished)
    trained.go_on(*THREE[1:])
    assert trained.reports == pytest.approx({1: 0.3, 2: 0.45, 3: 0.6})


def test_folds_that_are_finished_survive_running_out_of_memory(trained: Trained) -> None:
    with pytest.raises(TrialOutOfMemory):
        trained.go_on(THREE[0], TrialOutOfMemory("no room"))
    assert [run["value"] for run in trained.trial.user_attrs[FOLDS]] == [0.3]


def test_stop_is_heard_between_folds(trained: Trained) -> None:
    trained.stop.deadline = time.monotonic() - 1
    with pytest.raises(TrialInterrupted):
        trained.go_on(*THREE)
    assert trained.plans == []


def test_hopeless_fold_prunes_before_the_next_is_begun() -> None:
    trained = Trained(optuna.pruners.ThresholdPruner(lower=0.5))
    with pytest.raises(TrialPruned, match=r"^pruned after fold 1 of 3$"):
        trained.go_on(*THREE)
    assert (len(trained.plans), trained.reports) == (1, {1: 0.3})


def test_last_fold_is_not_judged() -> None:
    trained = Trained(optuna.pruners.ThresholdPruner(lower=0.5, n_warmup_steps=3))
    assert trained.go_on(*THREE[:2], run_with(0.0)) == pytest.approx(0.3)


def test_mean_history_is_of_the_folds_that_ran_so_long() -> None:
    assert mean_history([run_with(0.1, 0.3), run_with(0.3, 0.5, 0.6)])["val_accuracy"] == pytest.approx(
        [0.2, 0.4, 0.6]
    )


def test_figure_of_a_trial_without_folds_is_its_own() -> None:
    alone = optuna.trial.create_trial(value=0.0, user_attrs=dict(run_with(0.2, 0.6, kept=1)))
    in_folds = optuna.trial.create_trial(value=0.0, user_attrs={FOLDS: [*map(dict, THREE)]})
    assert at_kept_epoch(alone, "val_accuracy") == 0.2
    assert at_kept_epoch(in_folds, "val_accuracy") == pytest.approx(0.6)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Few images, as folds are for; what ``make_worker`` takes."""
    images, labels = load_digits(return_X_y=True)
    pixels, test = (images.reshape(-1, 8, 8) * 255 / 16).astype(np.uint8), slice(-50, None)
    arrays = (pixels[:IMAGES], labels[:IMAGES], pixels[test], labels[test])
    return prepare(arrays, cache=tmp_path_factory.mktemp("digits"), say=lambda line: None)


def test_matrix_is_of_all_folds_together() -> None:
    assert matrix_of([run_with(0.5), run_with(0.7)]) == [[8, 2], [4, 6]]


def test_matrix_is_of_none_where_a_fold_has_none() -> None:
    assert matrix_of([run_with(0.5), {**run_with(0.7), "matrix": []}]) == []


class InSecondFold:
    """A fork server that kills its first child in the second fold, once this has written a checkpoint."""

    def __init__(self, server: ForkServer, then: Callable[[], object] = lambda: None) -> None:
        self._server, self._then = server, then
        self.started: list[tuple[int, int]] = []
        self.epoch = 0

    def revive(self) -> bool:
        return self._server.revive()

    def start(
        self,
        job: str,
        payload: dict[str, Any],
        log: Path,
        threads: int = 0,
        environment: Mapping[str, str] = {},
        **more: Any,
    ) -> Child:
        child = self._server.start(job, payload, log, threads, environment, **more)
        if job != "search.training.job:train_folds":
            return child
        if not self.started:
            strike = (child.pid, Path(payload["checkpoint"]), payload["epochs"])
            threading.Thread(target=self._strike, args=strike, daemon=True).start()
        self.started.append((payload["fold"], payload["accumulate"]))
        return child

    def _strike(self, pid: int, checkpoint: Path, epochs: int) -> None:
        while not (facts := read_facts(checkpoint)) or facts["epoch"] <= epochs:
            time.sleep(0.002)
        self.epoch = facts["epoch"]
        self._then()
        os.kill(pid, signal.SIGKILL)


def run_next(worker: Worker) -> FrozenTrial:
    claim = worker.claims.claim(1)
    assert claim is not None
    run_trial(worker, claim)
    return worker.study.storage.get_trial(claim.trial_id)


@pytest.mark.slow
def test_killed_in_a_fold_it_goes_on_there_and_comes_out_as_if_nothing_had_happened(
    make_worker, fast_server
) -> None:
    server = InSecondFold(fast_server)
    settings: dict[str, Any] = {"epochs": 6, "folds": 2, "images": None, "epoch_seconds": 0.1}
    interrupted, whole = make_worker("one", server, **settings), make_worker("two", **settings)
    trial = run_next(interrupted)
    first = trial.user_attrs[FOLDS]
    assert (trial.state, len(first), sorted(trial.intermediate_values)) == (TrialState.WAITING, 1, [1])
    assert 6 < server.epoch < 12, "of the second fold, counted through both"
    trial = run_next(interrupted)
    assert [fold for fold, _ in server.started] == [0, 1]
    assert trial.user_attrs[FOLDS][0] == first[0]

    same = run_next(whole)
    assert trial.value == same.value
    assert trial.value == pytest.approx(fmean(run["value"] for run in same.user_attrs[FOLDS]))
    assert trial.intermediate_values == same.intermediate_values
    assert sorted(trial.intermediate_values) == [1, 2]
    assert trial.user_attrs["epochs"] == 12
    whole_batches = 64  # Of half the images.
    assert trial.user_attrs["compute"] == 3 * trial.user_attrs["flops"] * whole_batches * 12
    validation = trial.user_attrs["flops"] * IMAGES * 6  # Each image is in one of the two folds.
    assert trial.user_attrs["validation_compute"] == validation
    assert compute_spent(interrupted.study) == trial.user_attrs["compute"] + validation
    assert list(interrupted.study.paths.trial_files()) == [], "neither checkpoint nor weights"


@pytest.mark.slow
def test_out_of_memory_in_a_fold_leaves_those_that_are_finished(
    make_worker, fast_server, tmp_path, monkeypatch
) -> None:
    counter = tmp_path / "memory.events"
    counter.write_text("oom_kill 0\n")
    monkeypatch.setattr("search.process.child.OOM_COUNTERS", (counter,))
    server = InSecondFold(fast_server, lambda: counter.write_text("oom_kill 1\n"))
    worker = make_worker(server=server, epochs=4, folds=2, images=None, epoch_seconds=0.1)
    trial = run_next(worker)
    assert trial.user_attrs["first_failure"] == "out of memory: killed by the system"
    assert not worker.study.paths.checkpoints(0)
    assert run_next(worker).state == TrialState.COMPLETE
    assert server.started == [(0, 1), (1, 2)]


DEALT = "01" * (IMAGES // 2)


def test_folds_leave_what_they_predict_of_every_image(make_worker) -> None:
    worker = make_worker(epochs=2, folds=2, images=None, fold_of=DEALT)
    trial = run_next(worker)
    found = read_out_of_fold(worker.study, trial.number, trial.user_attrs[FOLDS])
    assert found is not None
    assert found.confusion_matrix.tolist() == matrix_of(trial.user_attrs[FOLDS])
    assert found.accuracy == pytest.approx(trial.value, abs=1e-6)
    assert found.loss == pytest.approx(at_kept_epoch(trial, "val_loss"), rel=1e-4)
    assert trial.user_attrs[TIE_BREAK] == least_loss(found)
    assert least_loss(found) <= found.loss


@pytest.mark.slow
def test_predictions_of_an_owner_that_was_killed_are_those_of_the_trial(make_worker, fast_server) -> None:
    settings: dict[str, Any] = {"epochs": 4, "folds": 2, "images": None, "fold_of": DEALT}
    worker = make_worker("one", InSecondFold(fast_server), epoch_seconds=0.1, **settings)
    run_next(worker)
    trial, same = run_next(worker), run_next(make_worker("two", **settings))
    assert len({run[PREDICTIONS] for run in trial.user_attrs[FOLDS]}) == 2
    assert trial.user_attrs[TIE_BREAK] == same.user_attrs[TIE_BREAK]


def test_predictions_reach_a_host_that_shares_no_disk(make_worker, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    worker = make_worker(epochs=1, folds=2, images=None, fold_of=DEALT, artifacts=str(store))
    trial = run_next(worker)
    files = worker.study.paths.prediction_files()
    for file in files:
        file.unlink()
    found = read_out_of_fold(worker.study, trial.number, trial.user_attrs[FOLDS])
    assert found is not None
    assert worker.study.paths.prediction_files() == files
    assert len(files) == 2


def test_predictions_that_are_nowhere_are_none(make_worker) -> None:
    worker = make_worker(epochs=1, folds=2, images=None, fold_of=DEALT)
    trial = run_next(worker)
    worker.study.paths.prediction_files()[0].unlink()
    assert read_out_of_fold(worker.study, trial.number, trial.user_attrs[FOLDS]) is None


def test_diverged_fold_prunes_the_trial(make_worker, monkeypatch) -> None:
    monkeypatch.setenv("SMALL_SPACE_FAULT", "diverge")
    worker = make_worker(epochs=1, folds=2, images=None)
    work(worker, lambda: 1)
    (trial,) = worker.study.optuna.trials
    assert trial.state == TrialState.PRUNED
    assert trial.user_attrs["reason"] == "diverged: the loss became NaN or infinite in epoch 1 of fold 1"

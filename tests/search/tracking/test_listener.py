"""What trackers are told of trials, and that no trial waits for one or fails with it."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from optuna.trial import TrialState

from search.execution.stop_requests import Stop
from search.execution.trial import run_trial
from search.execution.worker import Worker
from search.execution.worker_loop import work
from search.tracking import listener as listening_module
from search.tracking.base import Ending, Point, TrackedTrial
from search.tracking.listener import Listener, make_trackers, points_of, prepare_trackers
from search.tracking.mlflow import MLflow
from search.tracking.tensorboard import TensorBoard


class Recorder:
    """A tracker that remembers what it is told; ``there`` are the steps that a run has already."""

    word, look = "recorder", "nowhere"

    def __init__(self, there: dict[str, int] | None = None) -> None:
        self.opened: list[TrackedTrial] = []
        self.points: list[Point] = []
        self.closed: list[Ending | None] = []
        self.there = there or {}

    def prepare(self) -> None:
        pass

    def open(self, trial: TrackedTrial) -> dict[str, int]:
        self.opened.append(trial)
        return self.there

    def write(self, points: Sequence[Point]) -> None:
        self.points += points

    def close(self, ending: Ending | None) -> None:
        self.closed.append(ending)

    def curve(self, name: str) -> list[int]:
        return [point.step for point in self.points if point.curve == name]


class Failing(Recorder):
    """A tracker that fails for as long as it is told to."""

    word = "failing"
    away = True

    def open(self, trial: TrackedTrial) -> dict[str, int]:
        if self.away:
            raise ConnectionError("no\nanswer")
        return super().open(trial)


@pytest.fixture(autouse=True)
def nothing_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening_module, "_warned", set())


def worked(worker: Worker, *trackers: Any, trials: int = 1) -> None:
    worker.listener = Listener(trackers)
    work(worker, lambda: trials)
    worker.listener.close(60)


def test_finished_trial_is_told_with_every_epoch_and_its_value(make_worker: Callable[..., Worker]) -> None:
    worker, recorder = make_worker(), Recorder()
    worked(worker, recorder)
    (trial,) = worker.study.optuna.get_trials()
    assert [(one.number, one.params) for one in recorder.opened] == [(0, trial.user_attrs["params"])]
    assert recorder.opened[0].began == trial.datetime_start.timestamp()
    assert recorder.curve("val_accuracy") == recorder.curve("loss") == [1, 2]
    assert Point("value", 2, trial.value) in recorder.points
    assert Point("flops", 2, trial.user_attrs["flops"]) in recorder.points
    assert recorder.closed == [Ending("finished")]


def test_pruned_trial_is_told_with_its_reason(
    make_worker: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.execution.reporter.pruned_after_epoch", lambda *of: "hopeless")
    recorder = Recorder()
    worked(make_worker(), recorder)
    assert recorder.curve("val_accuracy")[0] == 1
    assert recorder.closed == [Ending("pruned", "hopeless")]


def test_trial_that_fails_before_it_trains_is_told(
    make_worker: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALL_SPACE_FAULT", "raise")
    worker, recorder = make_worker(), Recorder()
    worker.listener = Listener([recorder])
    for _ in range(2):  # Once more after the first failure.
        claim = worker.claims.claim(1)
        assert claim is not None
        run_trial(worker, claim)
    worker.listener.close(60)
    assert len(recorder.opened) == 1
    assert [(one.state, one.why[:11]) for one in recorder.closed if one] == [("failed", "ValueError:")]


def test_folds_are_told_by_their_means_and_the_mean_curve(make_worker: Callable[..., Worker]) -> None:
    worker, recorder = make_worker(folds=3, images=None), Recorder()
    worked(worker, recorder)
    assert recorder.curve("folds/value") == [1, 2, 3]
    assert recorder.curve("val_accuracy") == [1, 2]
    assert len(recorder.opened) == len(recorder.closed) == 1


def test_interrupted_trial_is_left_open_and_goes_on_without_double_points(
    make_worker: Callable[..., Worker],
) -> None:
    worker = make_worker(epochs=1000)  # Too many to be done before it is stopped.

    class Stopping(Recorder):
        def write(self, points: Sequence[Point]) -> None:
            super().write(points)
            worker.stop.on_signal(signal.SIGTERM)

    first, second = Stopping(), Stopping({"val_accuracy": 1})
    for recorder in (first, second):
        worker.stop = Stop()
        worked(worker, recorder)
        assert recorder.closed == [None]
    assert worker.study.optuna.get_trials()[0].state == TrialState.WAITING
    assert first.curve("val_accuracy")[0] == second.curve("val_loss")[0] == 1
    # What its run has already, it is not told again.
    for recorder, begin in ((first, 1), (second, 2)):
        curve = recorder.curve("val_accuracy")
        assert curve == list(range(begin, begin + len(curve)))


def test_tracker_that_fails_harms_no_trial_and_is_warned_of_once(
    make_worker: Callable[..., Worker], caplog: pytest.LogCaptureFixture
) -> None:
    worker, recorder = make_worker(), Recorder()
    with caplog.at_level(logging.WARNING):
        worked(worker, Failing(), recorder, trials=2)
    assert len(worker.study.finished()) == len(recorder.closed) == 2
    assert [line for line in caplog.messages if "--log-to" in line] == [
        "--log-to failing fails (ConnectionError: no answer); the search goes on, and some of it may be missing there"
    ]


def test_tracker_that_was_away_gets_all_of_a_trial_at_its_end() -> None:
    line, failing = listening_module._Line, Failing()
    told = line(failing)
    trial, points = TrackedTrial(3, {}, 0.0), [Point("loss", 1, 0.5), Point("loss", 2, 0.25)]
    told.pass_on(listening_module._Event(trial))
    told.pass_on(listening_module._Event(points=points[:1]))
    failing.away = False
    told.pass_on(listening_module._Event(points=points[1:]))
    assert failing.points == []
    told.pass_on(listening_module._Event(trial, points, ending=Ending("finished")))
    assert (failing.points, failing.closed) == (points, [Ending("finished")])


def test_tracker_that_hangs_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    going_on = threading.Event()

    class Hanging(Recorder):
        def open(self, trial: TrackedTrial) -> dict[str, int]:
            going_on.wait(60)
            return {}

    told = Listener([Hanging()])
    told._queue.put(listening_module._Event(TrackedTrial(0, {}, 0.0)))
    told.close(0.01)
    going_on.set()
    assert "what happened last is not passed on in time" in caplog.text


def test_points_are_numbers_under_names_that_all_take() -> None:
    history = {"val_recall:C++": [0.5, float("nan")], "loss": [None, 2]}
    assert points_of(history) == [("val_recall:C__", 1, 0.5), ("loss", 2, 2.0)]


def test_trackers_are_made_once_each_in_their_places(
    make_worker: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.config.tracker_word.find_spec", lambda name: object())
    study = make_worker().study
    words = ["tensorboard", "tensorboard:t", "mlflow:sqlite:///m.db", "tensorboard"]
    own, elsewhere, mlflow = make_trackers(words, study)
    assert [type(one) for one in (own, elsewhere, mlflow)] == [TensorBoard, TensorBoard, MLflow]
    assert own.look == f"python -m tensorboard.main --logdir {study.paths.folder}{os.sep}tensorboard"
    assert elsewhere.look == f"python -m tensorboard.main --logdir t{os.sep}small"
    assert mlflow.look == "experiment small at sqlite:///m.db"


def test_beginning_says_how_to_look_and_which_tracker_does_not_answer(
    make_worker: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Away(Recorder):
        word = "away"

        def prepare(self) -> None:
            raise ConnectionError("refused")

    monkeypatch.setattr(listening_module, "make_trackers", lambda words, study: [Recorder(), Away()])
    with caplog.at_level(logging.INFO):
        prepare_trackers([], make_worker().study)
    assert caplog.messages[-2] == "--log-to recorder: nowhere"
    assert caplog.messages[-1].startswith(
        "--log-to away fails (ConnectionError: refused); the search goes on"
    )

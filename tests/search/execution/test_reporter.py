"""What a child tells is stored in order, and a database that is away holds up nobody but the reports."""

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import optuna
import pytest

from search.execution import reporter
from search.execution.planning import plan_training
from search.execution.reporter import VERDICT_SECONDS, Reporter
from search.execution.worker import Worker
from search.study import built_cost
from search.study.built_cost import BUILT_COST
from search.study.compute import compute_spent
from search.study.fold_results import FOLDS
from search.study.proposal import recipe_of
from spaces import load
from storage.claims import Claim, ClaimLost
from storage.heartbeat import Heartbeat
from storage.liveness import HEARTBEAT


def epoch(number: int, value: float = 0.5, loss: float = 1.0) -> dict[str, Any]:
    scores = {"loss": loss, "val_loss": loss, "val_accuracy": value}
    return {"kind": "epoch", "epoch": number, "images_per_second": 100.0, **scores}


def wait_for(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


BUILT = {
    "kind": "built",
    "device": "cpu",
    "training_images": 21,
    "epoch_images": 21,
    "epoch": 3,
    "values": [0.1, 0.2, 0.3],
    "history": {"val_accuracy": [0.1, 0.2, 0.3]},
}


class Told:
    """A claimed trial with its reporter, which nobody trains."""

    def __init__(self, worker: Worker, fold: int = 0) -> None:
        self.worker = worker
        claim = worker.claims.claim(100)
        assert claim is not None
        self.claim: Claim = claim
        config, space = worker.study.config, load("small_space")
        self.trial = optuna.trial.Trial(worker.study.optuna, claim.trial_id)
        params = space.sample(self.trial, config.input_spec)
        self.trial.set_user_attr("flops", 1)
        recipe = recipe_of(space, params, config.input_spec)
        plan = plan_training(worker.study, claim.number, params, recipe, 1)
        plan = dataclasses.replace(plan, folds=config.folds, fold=fold)
        self.heart = Heartbeat(claim)
        self.reporter = Reporter(claim, self.heart, worker.stop, self.trial, plan)

    @property
    def reports(self) -> dict[int, float]:
        return self.worker.study.storage.get_trial(self.claim.trial_id).intermediate_values


@pytest.fixture
def told(make_worker: Callable[..., Worker]) -> Iterator[Told]:
    found = Told(make_worker(epochs=10))
    with found.reporter:
        yield found


def test_epochs_are_stored_before_the_answer(told: Told) -> None:
    assert told.reporter.judge(epoch(1, 0.25))
    assert told.reporter.judge(epoch(2, 0.5))
    assert told.reports == {1: 0.25, 2: 0.5}


def test_sign_of_life_shows_the_epoch(told: Told) -> None:
    told.reporter.judge(epoch(1, 0.25))
    life = told.worker.study.storage.get_trial(told.claim.trial_id).system_attrs[HEARTBEAT]
    assert (life["epoch"], life["value"], life["images_per_second"]) == (1, 0.25, 100.0)


def life_of(told: Told) -> dict[str, Any]:
    life: dict[str, Any] = told.worker.study.storage.get_trial(told.claim.trial_id).system_attrs[HEARTBEAT]
    return life


def test_pace_within_the_first_epoch_is_in_a_sign_of_life_at_once(told: Told) -> None:
    told.reporter.show_pace(70.0, 0.25)
    wait_for(lambda: "part" in life_of(told))
    assert [life_of(told)[name] for name in ("images_per_second", "part", "paced")] == [70.0, 0.25, True]
    told.reporter.judge(epoch(1))
    assert told.heart.facts["part"] == 0.0


def test_start_of_a_training_is_not_taken_for_its_pace(told: Told) -> None:
    told.reporter.judge({**epoch(1), "paced": False})
    assert life_of(told)["paced"] is False
    told.reporter.judge({**epoch(2), "paced": True})
    assert life_of(told)["paced"] is True
    # The next fold's start does not spoil what is known of the pace.
    told.reporter.judge({**epoch(3), "paced": False, "images_per_second": 1.0})
    assert (told.heart.facts["images_per_second"], told.heart.facts["paced"]) == (100.0, True)


def test_each_further_epoch_is_timed_all_told_and_the_first_is_not(told: Told) -> None:
    seconds = iter([10.0, 12.0, 15.0])  # The first traces the net.
    told.reporter._spent = lambda: next(seconds)
    told.reporter.judge(epoch(1))
    assert "epoch_seconds" not in told.heart.facts
    told.reporter.judge(epoch(2))
    assert [life_of(told)[name] for name in ("epoch", "spent", "epoch_seconds")] == [2, 12.0, 2.0]
    told.reporter.judge(epoch(3))
    assert told.heart.facts["epoch_seconds"] == 2.5


def test_later_folds_are_taken_to_be_like_those_before(make_worker: Callable[..., Worker]) -> None:
    told = Told(make_worker(epochs=10, folds=3, images=None), fold=1)
    told.reporter._spent = lambda: 44.0
    with told.reporter:
        told.reporter.judge(epoch(1))
    assert told.heart.facts["epoch_seconds"] == 4.0


def test_fit_at_once_is_no_pace_of_others(told: Told) -> None:
    for number in (1, 2):
        told.reporter.judge({**epoch(number), "paced": False})
    assert "epoch_seconds" not in told.heart.facts


def test_time_left_of_the_features_follows_their_share(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0, 20.0])
    monkeypatch.setattr(reporter.time, "monotonic", lambda: next(times))
    told.reporter.show_features(0.2)
    assert told.heart.facts["features_left"] is None
    told.reporter.show_features(0.4)
    assert told.heart.facts["features_left"] == pytest.approx(30.0)


def test_loss_that_is_no_number_is_a_verdict_and_no_report(told: Told) -> None:
    assert not told.reporter.judge(epoch(1, loss=float("nan")))
    assert told.reporter.verdict == "diverged: the loss became NaN or infinite in epoch 1"
    assert told.reports == {}


def test_cost_of_the_built_net_is_recorded_and_warned_of(
    told: Told, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(built_cost, "_warned", set())
    told.trial.set_user_attr("parameters", 5)
    cost = {"built_parameters": 5, "built_flops": 3, "uncounted": []}
    told.reporter.put({**BUILT, **cost})
    assert told.reporter.done(20)
    assert told.trial.user_attrs[BUILT_COST] == cost
    assert "cost says 1 FLOP an image, and the built net takes 3 FLOP" in caplog.text


def test_hopeless_epoch_is_a_verdict(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told.trial, "should_prune", lambda: True)
    assert not told.reporter.judge(epoch(3))
    assert told.reporter.verdict == "pruned after epoch 3"


def test_last_epoch_is_not_judged(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told.trial, "should_prune", lambda: True)
    assert told.reporter.judge(epoch(10))


def test_database_that_is_away_holds_up_one_answer_and_then_none(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = threading.Event()
    report = told.trial.report

    def late(value: float, step: int) -> None:
        back.wait(30)
        report(value, step)

    monkeypatch.setattr(told.trial, "report", late)
    began = time.monotonic()
    answers = [told.reporter.judge(epoch(number)) for number in range(1, 6)]
    assert answers == [True] * 5
    assert VERDICT_SECONDS * 0.9 < time.monotonic() - began < VERDICT_SECONDS * 2
    assert not told.reporter.done(0.05)
    back.set()
    wait_for(lambda: told.reporter.done(0.1))
    assert sorted(told.reports) == [1, 2, 3, 4, 5]


def test_verdict_that_comes_late_is_passed_on_with_the_next_epoch(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = threading.Event()
    monkeypatch.setattr("search.execution.reporter.VERDICT_SECONDS", 0.05)
    monkeypatch.setattr(told.trial, "should_prune", lambda: back.wait(30))
    assert told.reporter.judge(epoch(1))
    back.set()
    wait_for(lambda: told.reporter.done(0.1))
    assert not told.reporter.judge(epoch(2))
    assert told.reporter.verdict == "pruned after epoch 1"


def test_claim_that_is_lost_is_heard_of_by_the_worker(told: Told) -> None:
    life = told.worker.study.storage.get_trial(told.claim.trial_id).system_attrs[HEARTBEAT]
    told.worker.study.storage.set_trial_system_attr(
        told.claim.trial_id, HEARTBEAT, {**life, "token": "another"}
    )
    with pytest.raises(ClaimLost):
        told.reporter.judge(epoch(1))
    assert told.reports == {}


class Stepped:
    """Runs a reporter's thread line by line up to one of the lines that it runs, once it has stored a first message."""

    def __init__(self, line: int) -> None:
        self.at_line, self.go_on = threading.Event(), threading.Event()
        self.lines_left = line
        self.stored = False

    def trace(self, frame: Any, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != reporter.__file__:
            return None
        if event == "line" and self.stored and frame.f_code.co_name == "_work":
            self.lines_left -= 1
            if self.lines_left == 0:
                self.at_line.set()
                self.go_on.wait(20)
        return self.trace


@pytest.mark.parametrize("line", range(1, 6))
def test_message_put_at_any_moment_counts_as_stored_only_once_it_is(
    make_worker: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch, line: int
) -> None:
    """The thread had seen an empty queue; a message came; the thread said that all was stored (13 in 200,000)."""
    told, steps = Told(make_worker(epochs=10)), Stepped(line)
    second, let_it = threading.Event(), threading.Event()

    def store(message: Any) -> None:
        if message == "first":
            steps.stored = True
        else:
            second.set()
            let_it.wait(20)

    monkeypatch.setattr(told.reporter, "_store", store)
    threading.settrace(steps.trace)
    try:
        with told.reporter:
            told.reporter.put("first")  # type: ignore[arg-type]
            steps.at_line.wait(0.5)  # It waits for messages where there are not so many lines.
            putting = threading.Thread(target=told.reporter.put, args=("second",))
            putting.start()
            putting.join(0.2)  # The stopped thread may hold a lock.
            steps.go_on.set()
            putting.join(20)
            assert second.wait(20)
            assert not told.reporter.done(0), "the second message is still to be stored"
            let_it.set()
            assert told.reporter.done(20)
    finally:
        threading.settrace(None)  # type: ignore[arg-type]
        let_it.set()


def test_budget_is_looked_at_after_each_epoch(told: Told) -> None:
    told.worker.stop.budget, told.worker.stop.spent = 10.0, lambda: 11.0
    told.reporter.judge(epoch(1))
    assert told.worker.stop.reason == "the compute is spent (--budget)"


def test_compute_of_a_running_trial_is_of_the_images_that_its_epochs_train_on(told: Told) -> None:
    told.reporter.put({**BUILT, "epoch_images": 16})
    told.reporter.put(epoch(4))
    wait_for(lambda: told.reporter.done(0.1))
    assert compute_spent(told.worker.study) == 3 * 16 * 4


@pytest.fixture
def in_second_fold(make_worker: Callable[..., Worker]) -> Iterator[Told]:
    worker = make_worker(epochs=10, folds=3, images=None)
    claim = worker.claims.claim(100)
    assert claim is not None
    finished = {"epochs": 10, "training_images": 20, "value": 0.5}
    worker.study.storage.set_trial_user_attr(claim.trial_id, FOLDS, [finished])
    claim.requeue()
    found = Told(worker, fold=1)
    with found.reporter:
        found.reporter.put(BUILT)
        wait_for(lambda: found.reporter.done(0.1))
        yield found


def test_epoch_of_a_fold_is_neither_reported_nor_judged(
    in_second_fold: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_second_fold.trial, "should_prune", lambda: True)
    assert in_second_fold.reporter.judge(epoch(4))
    assert in_second_fold.reports == {}


def test_epoch_of_a_fold_is_shown_after_those_of_the_folds_before(in_second_fold: Told) -> None:
    in_second_fold.reporter.judge(epoch(4))
    shown = in_second_fold.heart.facts
    assert (shown["epoch"], shown["epochs"], shown["fold"]) == (14, 30, 2)


def test_compute_of_a_fold_is_noted_once_a_second(
    in_second_fold: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small head has many epochs a second, and waits for no database."""
    now = 100.0
    monkeypatch.setattr(reporter, "time", SimpleNamespace(monotonic=lambda: now))
    noted = []
    for number, moment in enumerate((100.0, 100.9, 101.1), start=4):
        now = moment
        assert in_second_fold.reporter.judge(epoch(number))
        noted.append(compute_spent(in_second_fold.worker.study) // 3 - 20 * 10)
    assert noted == [21 * 4, 21 * 4, 21 * 6]
    assert in_second_fold.heart.facts["epoch"] == 10 + 6


def test_fold_that_diverges_is_named(in_second_fold: Told) -> None:
    in_second_fold.reporter.judge(epoch(3))  # Which is stored, so that the next is not.
    assert not in_second_fold.reporter.judge(epoch(4, loss=float("nan")))
    verdict = "diverged: the loss became NaN or infinite in epoch 4 of fold 2"
    assert in_second_fold.reporter.verdict == verdict

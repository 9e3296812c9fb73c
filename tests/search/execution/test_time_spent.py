"""A worker's time: all of it, each second in one part, and added to what earlier owners noted."""

from collections.abc import Callable
from typing import Any

import optuna
import pytest

from search.execution.time_spent import PARTS, Clock, recording_time
from search.study.fold_results import SPENT
from storage.claims import ClaimLost


class Hand:
    """A clock's hand that a test moves."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def trial() -> optuna.Trial:
    return optuna.create_study().ask()


def pass_through(clock: Clock, hand: Hand, **seconds: float) -> None:
    for part, while_in_it in seconds.items():
        clock.switch(part)
        hand.time += while_in_it


def test_time_is_divided_among_what_was_done(hand: Hand) -> None:
    clock = Clock(hand)
    hand.time += 1
    pass_through(clock, hand, sampling=2, starting=3, features=4, training=5, storing=6)
    assert clock.take() == dict(zip(PARTS, (1, 2, 3, 4, 5, 6), strict=True))


def test_time_of_a_trial_so_far_has_neither_waiting_nor_what_all_trials_share(hand: Hand) -> None:
    clock = Clock(hand)
    hand.time += 1
    pass_through(clock, hand, sampling=2, features=40, training=5)
    assert clock.so_far() == 7
    clock.take()
    hand.time += 2
    assert clock.so_far() == 2


def test_time_taken_is_not_taken_again(hand: Hand) -> None:
    clock = Clock(hand)
    pass_through(clock, hand, training=4)
    clock.take()
    hand.time += 7
    assert clock.take() == {"training": 7}


def test_time_is_added_to_what_earlier_owners_noted(hand: Hand, trial: optuna.Trial) -> None:
    trial.set_user_attr(SPENT, {"training": 10.0, "starting": 1.0})
    clock = Clock(hand)
    with recording_time(trial, clock):
        pass_through(clock, hand, training=4)
    assert trial.user_attrs[SPENT] == {"training": 14.0, "starting": 1.0, "waiting": 0.0}


def test_time_of_a_training_that_failed_is_noted(hand: Hand, trial: optuna.Trial) -> None:
    clock = Clock(hand)
    pass_through(clock, hand, training=4)
    with pytest.raises(ValueError, match="crashed"), recording_time(trial, clock):
        raise ValueError("crashed")
    assert trial.user_attrs[SPENT]["training"] == 4


def test_time_on_a_trial_that_was_lost_is_dropped(hand: Hand, trial: optuna.Trial) -> None:
    clock = Clock(hand)
    pass_through(clock, hand, training=4)
    with pytest.raises(ClaimLost), recording_time(trial, clock):
        raise ClaimLost("it is another's")
    assert SPENT not in trial.user_attrs
    assert clock.take() == {"training": 0}


def test_trial_notes_where_its_workers_time_went(make_worker: Callable[..., Any]) -> None:
    from search.execution.worker_loop import work

    worker = make_worker(epochs=1, images=100, epoch_seconds=0.3)
    work(worker, lambda: 1)
    said = worker.study.optuna.trials[0].user_attrs
    assert set(said[SPENT]) == set(PARTS) - {"features"}  # It has no backbone.
    assert said[SPENT]["training"] >= 0.9 * said["seconds"]
    assert said[SPENT]["starting"] > 0

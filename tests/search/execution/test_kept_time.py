"""How much time a run keeps free for what follows its search."""

import time
from collections.abc import Callable
from functools import partial

import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.execution.kept_time import EXPORT_SECONDS, MARGIN, Pace, Rates, keeping_time
from search.execution.stop_requests import Stop
from search.study.fold_results import SPENT

# Of which nothing is known but that it is complete.
UNKNOWN = create_trial(value=0.5, user_attrs={"compute": 100.0})


def trial(
    compute: float,
    training: float,
    *,
    beside: float = 0.0,
    number: int = 0,
    state: TrialState = TrialState.COMPLETE,
) -> FrozenTrial:
    """A finished trial: its FLOPs, the seconds of its training, and those of all that it took beside."""
    spent = {"waiting": 1e6, "starting": beside, "training": training}
    made = create_trial(state=state, value=0.5, user_attrs={"compute": compute, SPENT: spent})
    made.number = number
    return made


def paced(*trials: FrozenTrial, timeout: float = 3600.0) -> Pace:
    return Pace(lambda: trials, timeout, time.monotonic() + timeout)


def taking(flops: float) -> Callable[[Rates | None], float]:
    """A final training that takes so much at any pace."""
    return lambda rates: flops


def test_nothing_is_kept_before_anything_is_measured() -> None:
    assert paced(UNKNOWN).kept(taking(10.0), 10.0) == 0
    assert paced(UNKNOWN).rates() is None


def test_kept_time_follows_what_trials_have_taken() -> None:
    """Short trials took most of their time to start: a final training of seconds was given up for want of minutes."""
    pace = paced(trial(50.0, 100.0, beside=50.0))
    assert pace.rates() == (2.0, 3.0)
    assert pace.kept(taking(100.0), race=200.0) == pytest.approx(MARGIN * (200 + 600) + EXPORT_SECONDS)
    assert pace.left() == pytest.approx(3600 - EXPORT_SECONDS, abs=5)


def test_trials_of_this_run_say_how_fast_it_is_once_there_are_any() -> None:
    there = [trial(100.0, 10.0)]
    pace = Pace(lambda: there, 3600.0, 1e9)
    pace.begin()
    assert pace.rates() == (0.1, 0.1)
    there.append(trial(100.0, 100.0, number=1))
    assert pace.rates() == (1.0, 1.0)


def test_trial_that_is_running_says_nothing_yet() -> None:
    running = create_trial(state=TrialState.RUNNING, user_attrs={SPENT: {"training": 9.0}})
    assert paced(running).rates() is None


def test_final_training_that_leaves_just_the_race_its_time_does_not_cost_it() -> None:
    """It was planned by one look at the pace and its time by the next, when both together no longer fitted."""

    def rest(rates: Rates | None) -> float:
        assert rates is not None
        return (0.6 * 1230 - EXPORT_SECONDS) / (MARGIN * rates.training) - 450

    assert paced(trial(3.0, 3.1), timeout=1230.0).kept(rest, race=450.0 * 3 / 3.1) > 600


def test_too_short_a_time_keeps_the_final_training_and_no_race() -> None:
    pace = paced(trial(100.0, 100.0))
    assert pace.kept(taking(1000.0), race=2000.0) == pytest.approx(MARGIN * 1000 + EXPORT_SECONDS)
    assert pace.kept(taking(3000.0), race=2000.0) == EXPORT_SECONDS
    # One that may be shorter has what the search does not need.
    assert pace.kept(taking(3000.0), race=2000.0, shrinks=True) == pytest.approx(0.6 * 3600)


def test_deadline_of_the_search_comes_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.execution.kept_time.LOOK_SECONDS", 0.02)
    trials = [UNKNOWN]
    end = time.monotonic() + 1000
    stop = Stop(deadline=end)
    pace = Pace(lambda: trials, 1000.0, end)
    with keeping_time(stop, pace, partial(pace.kept, taking(1.0), 0.0)):
        assert stop.deadline == end
        trials.append(trial(1.0, 1.0))
        over = time.monotonic() + 10
        while stop.deadline == end and time.monotonic() < over:
            time.sleep(0.02)
    assert stop.deadline is not None
    assert stop.deadline <= end - EXPORT_SECONDS


def test_deadline_stays_where_nothing_follows() -> None:
    stop = Stop(deadline=1e9)
    with keeping_time(stop, Pace(tuple, 1000.0, 1e9), None):
        assert stop.deadline == 1e9


def test_export_without_a_training_is_left_its_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head over a backbone was searched for to the last second of ``--timeout``, and exported after it."""
    monkeypatch.setattr("search.execution.kept_time.LOOK_SECONDS", 0.02)
    stop = Stop(deadline=1e9)
    pace = Pace(lambda: [UNKNOWN], 1000.0, 1e9)
    with keeping_time(stop, pace, partial(pace.kept, taking(0.0), 0.0)):
        over = time.monotonic() + 10
        while stop.deadline == 1e9 and time.monotonic() < over:
            time.sleep(0.02)
        assert stop.deadline == 1e9 - EXPORT_SECONDS


def test_final_training_that_is_a_little_slower_than_planned_is_not_lost() -> None:
    """It had been planned for three fifths of the time, took a little more by this run's pace, and was not made."""
    pace = paced(trial(100.0, 100.0), timeout=300.0)
    assert MARGIN * 163 + EXPORT_SECONDS > 0.6 * 300
    assert pace.kept(taking(163.0), race=200.0) == pytest.approx(MARGIN * 163 + EXPORT_SECONDS)


def test_nothing_is_kept_until_a_trial_has_finished() -> None:
    """A first trial of ``--timeout 40s`` was stopped after 16 s for its own export, at each call of the command."""
    trials = [trial(40.0, 40.0, state=TrialState.PRUNED)]
    pace = Pace(lambda: trials, 180.0, 1e9)
    pace.begin()
    assert pace.kept(taking(90.0), race=0.0, shrinks=True) == 0
    trials.append(trial(40.0, 40.0, number=1))
    assert pace.kept(taking(90.0), race=0.0, shrinks=True) == pytest.approx(MARGIN * 90 + EXPORT_SECONDS)

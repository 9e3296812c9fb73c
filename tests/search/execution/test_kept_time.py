"""How much time a run keeps free for what follows its search."""

import time
from collections.abc import Callable

import pytest

from search.execution.kept_time import EXPORT_SECONDS, MARGIN, Pace, keeping_time
from search.execution.stop_requests import Stop


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("search.execution.kept_time.time.monotonic", lambda: now[0])
    return now


def paced(clock: list[float], spent: list[float], timeout: float = 3600.0, workers: int = 1) -> Pace:
    pace = Pace(lambda: spent[0], lambda: workers, timeout, clock[0] + timeout)
    pace.begin()
    return pace


def taking(flops: float) -> Callable[[float | None], float]:
    """A final training that takes so much at any pace."""
    return lambda a_flop: flops


def test_nothing_is_kept_before_anything_is_measured(clock: list[float]) -> None:
    assert paced(clock, [5.0]).kept(taking(10.0), 10.0) == 0


def test_kept_time_follows_what_this_run_has_measured(clock: list[float]) -> None:
    spent = [500.0]  # Of an earlier run.
    pace = paced(clock, spent)
    clock[0] += 100
    spent[0] += 50
    assert pace.kept(final=taking(100.0), race=200.0) == pytest.approx(MARGIN * 300 * 2 + EXPORT_SECONDS)
    assert pace.left() == pytest.approx(3500 - EXPORT_SECONDS)


def test_what_follows_is_not_done_side_by_side(clock: list[float]) -> None:
    spent = [0.0]
    pace = paced(clock, spent, workers=4)
    clock[0] += 100
    spent[0] = 100
    assert pace.seconds(10.0) == pytest.approx(10 * 4)


def test_workers_of_other_commands_compute_too(clock: list[float]) -> None:
    """A worker joined: the search was twice as fast, and the final training was planned as if it were, too."""
    at_work = [1]
    pace = Pace(lambda: clock[0] - 1000.0, lambda: at_work[0], 3600.0, clock[0] + 3600)
    pace.begin()
    clock[0] += 100
    assert pace.seconds(10.0) == pytest.approx(10)
    at_work[0] = 2
    assert pace.seconds(10.0) == pytest.approx(20)
    at_work[0] = 0  # The search is over, and its pace was that of two.
    assert pace.seconds(10.0) == pytest.approx(20)


def test_final_training_that_leaves_just_the_race_its_time_does_not_cost_it(clock: list[float]) -> None:
    """It was planned by one look at the clock and its time by the next, when both together no longer fitted."""
    spent = [0.0]
    pace = paced(clock, spent, timeout=1230.0)
    clock[0] += 300
    spent[0] = 299.7

    def rest(a_flop: float | None) -> float:
        assert a_flop is not None
        clock[0] += 1
        return (0.6 * 1230 - EXPORT_SECONDS) / (MARGIN * a_flop) - 450

    assert pace.kept(rest, race=450.0) == pytest.approx(0.6 * 1230)


def test_too_short_a_time_keeps_the_final_training_and_no_race(clock: list[float]) -> None:
    spent = [0.0]
    pace = paced(clock, spent)
    clock[0] += 100
    spent[0] = 100
    assert pace.kept(final=taking(1000.0), race=2000.0) == pytest.approx(MARGIN * 1000 + EXPORT_SECONDS)
    assert pace.kept(final=taking(3000.0), race=2000.0) == EXPORT_SECONDS
    # One that may be shorter has what the search does not need.
    assert pace.kept(final=taking(3000.0), race=2000.0, shrinks=True) == pytest.approx(0.6 * 3600)


def test_deadline_of_the_search_comes_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.execution.kept_time.LOOK_SECONDS", 0.02)
    spent, end = [0.0], time.monotonic() + 1000
    stop = Stop(deadline=end)
    with keeping_time(stop, Pace(lambda: spent[0], lambda: 1, 1000.0, end), final=taking(1.0), race=0.0):
        assert stop.deadline == end
        spent[0] = 1.0
        over = time.monotonic() + 10
        while stop.deadline == end and time.monotonic() < over:
            time.sleep(0.02)
    assert stop.deadline is not None
    assert stop.deadline <= end - EXPORT_SECONDS


def test_deadline_stays_where_nothing_follows() -> None:
    stop = Stop(deadline=1e9)
    with keeping_time(
        stop, Pace(lambda: 1.0, lambda: 1, 1000.0, 1e9), final=taking(0.0), race=0.0, exports=False
    ):
        assert stop.deadline == 1e9


def test_export_without_a_training_is_left_its_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head over a backbone was searched for to the last second of ``--timeout``, and exported after it."""
    monkeypatch.setattr("search.execution.kept_time.LOOK_SECONDS", 0.02)
    stop = Stop(deadline=1e9)
    with keeping_time(stop, Pace(lambda: 1.0, lambda: 1, 1000.0, 1e9), final=taking(0.0), race=0.0):
        over = time.monotonic() + 10
        while stop.deadline == 1e9 and time.monotonic() < over:
            time.sleep(0.02)
        assert stop.deadline == 1e9 - EXPORT_SECONDS


def test_final_training_that_is_a_little_slower_than_planned_is_not_lost(clock: list[float]) -> None:
    """It had been planned for three fifths of the time, took a little more by this run's pace, and was not made."""
    spent = [0.0]
    pace = paced(clock, spent, timeout=300.0)
    clock[0] += 100
    spent[0] = 100
    assert MARGIN * 163 + EXPORT_SECONDS > 0.6 * 300
    assert pace.kept(final=taking(163.0), race=200.0) == pytest.approx(MARGIN * 163 + EXPORT_SECONDS)


def test_nothing_but_the_export_is_kept_until_a_trial_has_finished(clock: list[float]) -> None:
    """A first trial was slower than expected, was stopped for its own final training, and nothing was exported."""
    finished: list[int] = []
    pace = Pace(lambda: clock[0] - 1000.0, lambda: 1, 180.0, clock[0] + 180, lambda: bool(finished))
    pace.begin()
    clock[0] += 40
    assert pace.kept(final=taking(90.0), race=0.0, shrinks=True) == EXPORT_SECONDS
    finished.append(0)
    assert pace.kept(final=taking(90.0), race=0.0, shrinks=True) == pytest.approx(
        MARGIN * 90 + EXPORT_SECONDS
    )

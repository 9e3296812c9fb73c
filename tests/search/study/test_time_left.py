"""How long a study may still take, from what its trials took."""

import pytest

from search.study.time_left import Cost, TimeLeft, time_left

AT_ONCE = Cost(3.0, 1.0, at_once=True)


def test_pace_of_the_first_trial_tells_how_long_all_take() -> None:
    assert time_left([], [Cost(20.0)], 4, 0.4, 1) == TimeLeft(left=72.0, owed=80.0, trial=20.0)


def test_heads_that_are_fitted_at_once_count_beside_those_that_take_steps() -> None:
    found = time_left([AT_ONCE, AT_ONCE], [Cost(24.0)], 18, 0.0, 1)
    assert found == TimeLeft(left=180.0, owed=180.0, trial=24.0, at_once=3.0)


def test_trials_that_have_ended_tell_better_than_a_pace() -> None:
    found = time_left([AT_ONCE, Cost(50.0)], [Cost(60.0)], 4, 0.5, 1)
    assert (found.trial, found.left) == (None, pytest.approx(3.5 * 26.5))


def test_workers_share_what_is_left() -> None:
    assert time_left([Cost(10.0)], [], 8, 0.0, 4).left == 20.0


def test_budget_bounds_the_trials_by_what_it_pays_for() -> None:
    found = time_left([], [Cost(20.0, 4e9)], 50, 0.5, 1, compute=10e9)
    assert found == TimeLeft(left=50.0, owed=60.0, trial=20.0, paid=3.0)
    assert time_left([], [Cost(20.0, 4e9)], 2, 0.0, 1, compute=10e9).paid is None
    assert time_left([Cost(20.0, 4e9)], [], 50, 0.0, 1, compute=0.0).left == 0.0


def test_budget_tells_how_long_where_nobody_says_how_many_trials() -> None:
    assert time_left([Cost(20.0, 4e9)], [], None, 0.0, 1, compute=10e9).left == 50.0
    assert time_left([Cost(20.0)], [], None, 0.0, 1) == TimeLeft()


def test_nothing_is_told_before_anything_is_known() -> None:
    assert time_left([], [], 50, 0.0, 1) == TimeLeft()

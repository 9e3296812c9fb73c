"""What a snapshot's trials took, from which the time left is estimated."""

import pytest

from search.study.snapshot import Ended, Running, Snapshot, _time_left
from search.study.snapshot_words import ended_line, headline

AT_ONCE = Ended(0, "finished", 0.9, epochs=3, seconds=1.0, folds=3, whole_seconds=2.0)
BY_STEPS = Ended(1, "finished", 0.9, epochs=120, seconds=40.0, folds=3, whole_seconds=50.0)
RUNNING = Running(2, "worker", epoch=0, epochs=120, whole_seconds=60.0)


def test_trial_that_was_fitted_at_once_says_nothing_of_one_that_takes_steps() -> None:
    known = _time_left(Snapshot("s", wanted=11, ended=[AT_ONCE], running=[RUNNING]), [])
    assert (known.trial, known.at_once, known.left) == (60.0, 2.0, 10 * 31.0)
    assert (
        _time_left(Snapshot("s", wanted=11, ended=[AT_ONCE, BY_STEPS], running=[RUNNING]), []).trial is None
    )


def test_time_left_is_of_all_that_trials_took_their_starts_included() -> None:
    assert _time_left(Snapshot("s", wanted=3, ended=[BY_STEPS], running=[RUNNING]), []).left == 100.0
    older = Ended(1, "finished", 0.9, epochs=120, seconds=40.0, folds=3)
    assert _time_left(Snapshot("s", wanted=3, ended=[older], running=[RUNNING]), []).left == 80.0


def test_failed_and_refused_trials_tell_nothing_of_how_long_others_take() -> None:
    failed = Ended(3, "failed", epochs=1, seconds=900.0)
    assert _time_left(Snapshot("s", wanted=3, ended=[failed], running=[RUNNING]), []).left == 180.0


def test_time_left_is_a_bound_where_no_trial_can_have_been_pruned_yet() -> None:
    first = Snapshot("s", wanted=9, running=[RUNNING], seconds_left=90.0, trial_seconds=60.0)
    assert "up to about 1 min 30 s left" in headline(first)
    beside = Snapshot(
        "s", wanted=9, ended=[AT_ONCE], running=[RUNNING], seconds_left=90.0, trial_seconds=60.0
    )
    assert ", about 1 min 30 s left" in headline(beside)


def test_line_of_an_ended_trial_has_all_that_it_took() -> None:
    assert "120 epochs in all, 50 s, " in ended_line(BY_STEPS, "accuracy")


@pytest.mark.parametrize(("eighths", "words"), [(8, "its whole compute"), (2, "2 eighths of its compute")])
def test_length_by_compute_is_said_as_a_part_of_it(eighths: int, words: str) -> None:
    assert f"0.9000, {words}, 5 s" in ended_line(
        Ended(1, "finished", 0.9, eighths, 5.0), "accuracy", "eighth"
    )

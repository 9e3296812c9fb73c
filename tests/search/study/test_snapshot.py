"""How long a study may still take, from what its trials took."""

from search.study.snapshot import Ended, Running, _seconds_left, _trial_seconds

AT_ONCE = Ended(0, "finished", 0.9, epochs=3, seconds=1.0, folds=3, whole_seconds=2.0)
BY_STEPS = Ended(1, "finished", 0.9, epochs=120, seconds=40.0, folds=3, whole_seconds=50.0)
RUNNING = Running(2, "worker", epoch=0, epochs=120, whole_seconds=60.0)


def test_trial_that_was_fitted_at_once_says_nothing_of_one_that_takes_steps() -> None:
    assert _trial_seconds([AT_ONCE], [RUNNING]) == 60.0
    assert _seconds_left([AT_ONCE], [RUNNING], 11, 60.0) == 600.0
    assert _trial_seconds([AT_ONCE, BY_STEPS], [RUNNING]) is None


def test_time_left_is_of_all_that_trials_took_their_starts_included() -> None:
    assert _seconds_left([BY_STEPS], [RUNNING], 3, None) == 100.0
    older = Ended(1, "finished", 0.9, epochs=120, seconds=40.0, folds=3)
    assert _seconds_left([older], [RUNNING], 3, None) == 80.0

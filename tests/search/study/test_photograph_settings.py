"""What fits of a search with photographs and no backbone, by the speed of the machine and the time there is."""

import pytest

from search.study import photograph_settings as module
from search.study.photograph_settings import (
    A_TRIAL,
    EPOCHS,
    LEAST_EPOCHS,
    MINUTE,
    Fit,
    final_flops,
    fit,
)
from search.study.speed import EXPORT_SECONDS, SLOWER_IN_FOLDS

IMAGES, CLASSES = 800, 5
OTHER = EXPORT_SECONDS


@pytest.fixture(autouse=True)
def at_96_pixels_a_final_takes_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "training_speed", lambda: final_flops(IMAGES, CLASSES, 96) / 60)


def found(timeout: float | None, size: int | str | None = 96, folds: int = 5, open_folds: bool = True) -> Fit:
    return fit(IMAGES, CLASSES, folds, size=size, open_folds=open_folds, timeout=timeout)


def in_compute(seconds: float) -> Fit:
    """What fits in a budget that pays for so many seconds of training."""
    budget = seconds * final_flops(IMAGES, CLASSES, 96) / 60
    return fit(IMAGES, CLASSES, 5, size=96, open_folds=True, timeout=None, budget=budget)


def test_side_is_the_largest_whose_trial_takes_a_minute() -> None:
    side = found(None, size=None).side
    seconds = {
        one: 4 * 60 * final_flops(IMAGES, CLASSES, one) / final_flops(IMAGES, CLASSES, 96)
        for one in module.SIDES
    }
    assert seconds[side] <= MINUTE < min(second for one, second in seconds.items() if one > side)


def test_shorter_time_takes_smaller_images_before_it_gives_up_the_folds() -> None:
    ample, short = found(None, size=None, folds=3), found(OTHER + SLOWER_IN_FOLDS * 200, size=None, folds=3)
    assert short.side < ample.side
    assert (short.folds, short.epochs) == (True, EPOCHS)


# Two trials in five folds take eight final trainings, the final one four times its length, and the race three tenths.
ALL = (2 * 4 + 4) * 60 / 0.7


def test_folds_stay_where_two_trials_the_race_and_the_longer_final_training_fit() -> None:
    assert found(OTHER + SLOWER_IN_FOLDS * ALL + 1) == Fit(96, 240.0, True, EPOCHS)
    assert in_compute(ALL + 1).folds


def test_part_is_held_out_where_folds_leave_too_little() -> None:
    assert found(OTHER + SLOWER_IN_FOLDS * ALL - 1) == Fit(96, A_TRIAL * 60, False, EPOCHS)
    assert not in_compute(ALL - 1).folds


def test_folds_need_less_where_the_final_training_has_a_length_that_somebody_said() -> None:
    budget = (2 * 4 + 1) * final_flops(IMAGES, CLASSES, 96) / 0.7
    asked = {"size": 96, "open_folds": True, "timeout": None, "budget": budget * 1.01}
    assert fit(IMAGES, CLASSES, 5, **asked, said=True).folds
    assert not fit(IMAGES, CLASSES, 5, **asked).folds


def test_budget_bounds_the_images_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = 60 / final_flops(IMAGES, CLASSES, 96)
    monkeypatch.setattr(module, "training_speed", lambda: None)
    small = fit(IMAGES, CLASSES, 3, size=None, open_folds=True, timeout=60.0, budget=200 / seconds)
    assert small == Fit(48, None, True, EPOCHS)


def test_final_training_is_the_longest_that_fits_beside_one_trial() -> None:
    assert found(180.0).epochs == EPOCHS
    short = found(100.0)
    assert short == Fit(
        96, A_TRIAL * 60 * short.epochs / EPOCHS, False, int(EPOCHS * (0.6 * 100 - 30) / 1.1 / 60)
    )
    assert found(1.0).epochs == LEAST_EPOCHS


def test_folds_that_are_asked_for_stay_and_the_final_training_is_shorter() -> None:
    short = found(OTHER + 2.5 * 60, open_folds=False)
    assert (short.folds, short.epochs) == (True, EPOCHS // 2)


def test_oblong_images_cost_as_many_pixels_as_they_have() -> None:
    assert final_flops(IMAGES, CLASSES, "96x96") == final_flops(IMAGES, CLASSES, 96)
    assert final_flops(IMAGES, CLASSES, "48x96") < 0.6 * final_flops(IMAGES, CLASSES, 96)


def test_gpu_is_fast_enough_for_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "training_speed", lambda: None)
    assert found(60.0, size=None) == Fit(module.SIDES[-1], None, True, EPOCHS)

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
from search.study.speed import EXPORT_SECONDS

IMAGES, CLASSES = 800, 5
OTHER = EXPORT_SECONDS


@pytest.fixture(autouse=True)
def at_96_pixels_a_final_takes_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "training_speed", lambda: final_flops(IMAGES, CLASSES, 96) / 60)


def found(timeout: float | None, size: int | str | None = 96, folds: int = 5, open_folds: bool = True) -> Fit:
    return fit(IMAGES, CLASSES, folds, size=size, open_folds=open_folds, timeout=timeout)


def test_side_is_the_largest_whose_trial_takes_a_minute() -> None:
    side = found(None, size=None).side
    seconds = {
        one: 4 * 60 * final_flops(IMAGES, CLASSES, one) / final_flops(IMAGES, CLASSES, 96)
        for one in module.SIDES
    }
    assert seconds[side] <= MINUTE < min(second for one, second in seconds.items() if one > side)


def test_shorter_time_takes_smaller_images_before_it_gives_up_the_folds() -> None:
    ample, short = found(None, size=None, folds=3), found(OTHER + 100, size=None, folds=3)
    assert short.side < ample.side
    assert (short.folds, short.epochs) == (True, EPOCHS)


def test_folds_stay_where_two_trials_and_the_final_training_fit() -> None:
    assert found(OTHER + 9 * 60 + 1) == Fit(96, 240.0, True, EPOCHS)


def test_part_is_held_out_where_two_trials_in_folds_do_not_fit() -> None:
    assert found(OTHER + 9 * 60 - 1) == Fit(96, A_TRIAL * 60, False, EPOCHS)


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

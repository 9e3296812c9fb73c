"""What fits of a search with photographs and no backbone, by the speed of the machine and the time there is."""

from pathlib import Path

import pytest

from search.study import photograph_settings as module
from search.study.photograph_settings import (
    EPOCHS,
    HELD_OUT,
    LEAST_EPOCHS,
    MINUTE,
    OTHER,
    Fit,
    final_flops,
    fit,
    training_speed,
)

IMAGES, CLASSES = 800, 5


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
    assert found(OTHER + 9 * 60 - 1) == Fit(96, HELD_OUT * 60, False, EPOCHS)


def test_final_training_is_shorter_where_that_does_not_fit_either() -> None:
    assert found(OTHER + (1 + HELD_OUT) * 60 + 1).epochs == EPOCHS
    assert found(OTHER + (1 + HELD_OUT) * 30) == Fit(96, HELD_OUT * 30, False, EPOCHS // 2)
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


def test_speed_is_that_of_a_computer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "GPU", tmp_path / "none")
    assert 1e8 < (training_speed() or 0) < 1e15
    monkeypatch.setattr(module, "GPU", tmp_path)
    assert training_speed() is None

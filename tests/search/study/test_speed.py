"""The speed of the machine, and the final training that fits in a time."""

from pathlib import Path

import pytest

from search.study import speed as module
from search.study.speed import longest_final, training_speed


def test_longest_final_leaves_time_for_a_trial_and_the_export() -> None:
    # The example at the head of the module, and trials so long that one of them decides.
    assert longest_final(600.0, 0.2, 1e11) == pytest.approx(330 / 1.1 * 1e11)
    assert longest_final(600.0, 4.0, 1e11) == pytest.approx(570 / 5 * 1e11)


def test_time_that_the_export_takes_leaves_nothing() -> None:
    assert longest_final(20.0, 0.2, 1e11) == 0


def test_speed_is_that_of_a_computer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "GPU", tmp_path / "none")
    assert 1e8 < (training_speed() or 0) < 1e15
    monkeypatch.setattr(module, "GPU", tmp_path)
    assert training_speed() is None

"""The speed of the machine, and the final training that fits in a time."""

from pathlib import Path

import pytest

from search.study import speed as module
from search.study.speed import longest_final, share_of_cores, training_speed


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


def test_other_work_leaves_a_training_its_share_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside six other threads a trial took four times as long as expected, and none fitted in ``--timeout``."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(module, "cores", lambda: 2)
    assert share_of_cores([]) == share_of_cores([1, 1, 2]) == 1
    assert share_of_cores([7, 7, 30]) == pytest.approx(2 / 7)
    monkeypatch.setattr("os.cpu_count", lambda: 64)  # A container with two of many cores.
    assert share_of_cores([30]) == 1


def test_busy_machine_is_slower(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "GPU", tmp_path / "none")
    monkeypatch.setattr(module, "RUNNING", tmp_path / "loadavg")
    idle = training_speed()
    (tmp_path / "loadavg").write_text("9.00 9.00 9.00 4002/9000 1\n")
    busy = training_speed()
    assert idle
    assert busy
    assert busy < idle / 5

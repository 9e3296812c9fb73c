"""How chaos keeps its account, and that each of its checks can fail; ``tests/search/test_chaos.py`` has it come."""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import chaos
import chaos_account
import pytest
from chaos_faults import Monkey, damage, kinds_in_turn
from chaos_processes import MARK, Command, Place, marked

from storage.checkpoints import read_checkpoint, write_checkpoint
from storage.paths import StudyPaths

GOOD: dict[str, Any] = {
    "seconds": 9.0, "finished": 4, "distinct": 4, "whole": 4, "states": {"COMPLETE": 4},
    "faults": {"kill worker": 1, "database restart": 2}, "interruptions": 1, "starts": 1, "redone": 4,
    "begun_again": 3, "beyond": 0, "other_curves": [], "unexpected_ends": [], "said": [], "export": "",
    "processes_left": {}, "others_left": [], "checkpoints_left": 0, "weights_left": 3, "best_is_kept": True,
    "temporary_left": [],
}  # fmt: skip


def test_run_that_kept_all_promises_has_no_failures() -> None:
    assert chaos_account.failures(GOOD, 4, 3) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"faults": {}}, "nothing was done"),
        ({"finished": 3}, "3 finished, not 4"),
        ({"finished": 5}, "5 finished, not 4"),
        ({"distinct": 3}, "3 distinct configurations"),
        ({"whole": 3}, "3 trials with all their 3 reports"),
        ({"states": {"COMPLETE": 4, "RUNNING": 1}}, "trials in other states"),
        ({"states": {"COMPLETE": 4, "FAIL": 1}}, "trials in other states"),
        ({"beyond": 1}, "1 epochs redone"),
        ({"other_curves": [2]}, "other curves than undisturbed: trials [2]"),
        ({"unexpected_ends": ["status 1: so"]}, "the command ended by itself"),
        ({"said": ["worker-0: KeyError"]}, "a fault of the program"),
        ({"export": "status 1: so"}, "the export failed"),
        ({"processes_left": {"child": 1}}, "processes left behind"),
        ({"others_left": ["another-0"]}, "studies not deleted"),
        ({"checkpoints_left": 1}, "1 checkpoints left"),
        ({"temporary_left": [".1.npz"]}, "temporary files left"),
        ({"weights_left": 4}, "weights kept of 4"),
        ({"best_is_kept": False}, "the best trial's weights are gone"),
    ],
)
def test_broken_promise_is_named(change: dict[str, Any], words: str) -> None:
    (failure,) = chaos_account.failures(GOOD | change, 4, 3)
    assert failure.startswith(words)


@pytest.mark.parametrize(
    ("printed", "excused", "lost"),
    [
        ([1, 2, 3, 4], 0, (0, 0, 0)),
        ([1, 2, 3, 3, 4, 4], 0, (2, 0, 0)),  # One an interruption.
        ([1, 2, 3, 2, 3, 4], 0, (2, 0, 1)),
        ([1, 2, 3, 1, 2, 3, 4], 0, (3, 0, 2)),
        ([1, 2, 3, 1, 2, 3, 4], 1, (3, 3, 0)),  # Its checkpoint was torn.
        ([1, 2, 3, 1, 2, 3, 2, 3], 1, (5, 3, 1)),  # One of two only.
        ([1, 2, 4, 3, 5], 0, (0, 0, 0)),  # Two children print at once.
    ],
)
def test_epochs_lost_are_counted_by_interruption(
    printed: list[int], excused: int, lost: tuple[int, int, int]
) -> None:
    found = chaos_account.epochs_lost(printed, excused)
    assert (found["redone"], found["begun_again"], found["beyond"]) == lost


@pytest.fixture
def monkey(tmp_path: Path) -> Monkey:
    """One that has done nothing, on a study that is a folder."""
    place = Place(tmp_path, small=False)
    for folder in (place.disk, place.temporary, tmp_path / "studies" / "chaos" / "logs"):
        folder.mkdir(parents=True)
    study: Any = SimpleNamespace(
        paths=StudyPaths(tmp_path / "studies", "chaos"), url="", config=SimpleNamespace(study="chaos")
    )
    command = Command(study, place, {MARK: "a mark of these tests"}, 1)
    return Monkey(study, None, place, command, 1.0, random.Random(0))


def test_process_that_outlives_its_run_is_counted_and_ended(
    monkey: Monkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chaos_account, "ENDING_SECONDS", 0.0)
    environment = {**os.environ, **monkey.command.environment}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=environment) as left:
        while not marked(monkey.mark):
            pass
        assert chaos_account.processes_left(monkey.mark) == {"other": 1}
        assert left.wait(10) < 0
    assert chaos_account.processes_left(monkey.mark) == {}


def test_temporary_files_left_are_found(monkey: Monkey) -> None:
    monkey.study.paths.marker.touch()  # It is to stay.
    assert chaos_account.temporary_left(monkey) == []
    (monkey.study.paths.folder / ".77.00001-a.npz").touch()
    (monkey.place.temporary / "search-abc").mkdir()
    assert chaos_account.temporary_left(monkey) == [".77.00001-a.npz", "search-abc"]
    (monkey.place.temporary / "other").touch()
    monkey.done["kill all"] += 1  # Nobody was left to remove the latter.
    assert chaos_account.temporary_left(monkey) == [".77.00001-a.npz", "other"]


def test_traceback_of_a_worker_is_found(monkey: Monkey) -> None:
    log = monkey.study.paths.folder / "logs" / "worker-0.log"
    log.write_text("stopped by SIGTERM\n")
    assert chaos_account.faults_said(monkey) == []
    log.write_text("Traceback (most recent call last):\n  line\nKeyError: 3\n")
    assert chaos_account.faults_said(monkey) == ["worker-0.log: KeyError: 3"]


@pytest.mark.parametrize(
    ("fault", "status", "line", "explained"),
    [
        ("full disk", 1, "error: no room is left on the disk (so)", True),
        ("full disk", 1, "error: trials keep failing", False),
        ("kill worker", 1, "error: no room is left on the disk (so)", False),
        ("database restart", 2, "error: --storage x: cannot be opened (so)", True),
        ("database restart", 1, "error: --storage x: cannot be opened (so)", False),
    ],
)
def test_end_is_explained_by_what_was_done_since_the_start(
    monkey: Monkey, fault: str, status: int, line: str, explained: bool
) -> None:
    monkey.command.hit_by.add(fault)
    monkey.command.log.write_text(f"a line\n{line}\n")
    assert monkey.command.is_explained(status) is explained


def test_export_that_failed_is_told(monkey: Monkey) -> None:
    assert chaos_account.export_of(monkey) == ""
    monkey.export = SimpleNamespace(returncode=1)  # type: ignore[assignment]
    (monkey.place.folder / "export.log").write_text("KeyError: 3\n")
    assert chaos_account.export_of(monkey) == "status 1: KeyError: 3"
    monkey.export = SimpleNamespace(returncode=0)  # type: ignore[assignment]
    assert chaos_account.export_of(monkey) == ""


@pytest.mark.parametrize("seed", range(8))
def test_damage_changes_a_checkpoint(seed: int, tmp_path: Path) -> None:
    import numpy as np

    path = tmp_path / "00000-a.npz"
    write_checkpoint(path, [np.arange(1000.0)], {"epoch": 3})
    assert read_checkpoint(path) is not None
    before = path.read_bytes()
    damage(path, random.Random(seed))
    assert path.read_bytes() != before


def test_every_kind_of_fault_has_its_turn() -> None:
    kinds = Counter({"a": 2, "b": 1})
    turns = kinds_in_turn(random.Random(0), kinds)
    assert Counter(next(turns) for _ in range(6)) == Counter({"a": 4, "b": 2})


def test_runs_go_on_until_the_file_counts_so_many_faults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done: list[tuple[str, int]] = []

    def run(postgres: Any, settings: chaos.Settings, seed: int, root: Path, keep: Path) -> dict[str, Any]:
        done.append((settings.training, seed))
        failed = ["3 finished, not 4"] if seed == 2 else []
        return {"seed": seed, **GOOD, "failures": failed}

    monkeypatch.setattr(chaos, "run", run)
    command = ["--databases", "sqlite", "--trainings", "numpy", "keras", "--out", str(tmp_path)]
    chaos.main([*command, "--runs", "1"])
    chaos.main([*command, "--faults", "7"])  # Each has three.
    chaos.main([*command, "--faults", "7"])
    assert done == [("numpy", 1), ("keras", 2), ("numpy", 3)]
    stored = json.loads((tmp_path / "chaos.json").read_text())
    assert [row["seed"] for row in stored["rows"]] == [1, 2, 3]
    text = (tmp_path / "chaos.md").read_text()
    assert text.startswith("3 runs, 9 faults; 1 runs did not keep every promise")
    assert "| 3 finished, not 4 |" in text
    assert text.splitlines()[-1] == "| all | 6 | 3 | 9 |"


def test_benchmark_that_fails_is_a_row_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise OSError("so")

    monkeypatch.setattr(chaos, "_run", fail)
    row = chaos.run(None, chaos.Settings(), 5, tmp_path, tmp_path / "kept")
    assert row["failures"] == ["the benchmark failed: OSError('so')"]
    assert (tmp_path / "kept").is_dir()

"""How chaos keeps its account; ``tests/search/test_chaos.py`` has it come."""

import json
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chaos
import pytest

SETTINGS = chaos.Settings(trials=4, epochs=3)
GOOD: dict[str, Any] = {
    "seconds": 9.0, "finished": 4, "distinct": 4, "whole": 4,
    "states": {"COMPLETE": 3, "PRUNED": 1}, "harm": {"kill worker": 1, "restart": 2}, "past_epoch_2": 1,
    "interruptions": 1, "redone": 1, "redone_beyond_one_each": 0, "lost_workers": 0, "statuses": {"0": 2, "-9": 1},
    "checkpoints_left": 0, "weights_left": 3, "most_files": 5,
}  # fmt: skip


def test_run_that_kept_all_promises_has_no_failures() -> None:
    assert chaos.failures(GOOD, SETTINGS) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"finished": 3}, "3 finished, not 4"),
        ({"distinct": 3}, "3 distinct configurations"),
        ({"whole": 3}, "a trial without all its 3 reports"),
        ({"states": {"COMPLETE": 4, "RUNNING": 1}}, "trials in other states"),
        ({"lost_workers": 1}, "1 workers lost"),
        ({"redone_beyond_one_each": 1}, "1 epochs redone"),
        ({"checkpoints_left": 1}, "1 checkpoints left"),
        ({"weights_left": 4}, "weights kept of 4"),
        ({"harm": {"restart": 3}}, "no process was harmed"),
    ],
)
def test_broken_promise_is_named(change: dict[str, Any], words: str) -> None:
    (failure,) = chaos.failures(GOOD | change, SETTINGS)
    assert failure.startswith(words)


@pytest.mark.parametrize(
    ("statuses", "lost"),
    [
        ([0, 0, -signal.SIGKILL, 130], 0),
        ([0, -signal.SIGTERM], 0),  # It was told to end before it listened.
        ([0, 1], 1),
        ([0, -signal.SIGSEGV], 1),
        ([-signal.SIGKILL, -signal.SIGKILL], 1),  # One was sent: the other was for want of memory.
        ([130, -signal.SIGTERM], 1),
    ],
)
def test_worker_is_lost_if_no_signal_that_was_sent_ended_it(statuses: list[int], lost: int) -> None:
    sent = Counter({"kill worker": 1, "term worker": 1, "kill child": 5})
    assert chaos.lost_workers(Counter(statuses), sent) == lost


def test_report_has_a_row_a_run(
    lend_server: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = [GOOD, GOOD | {"finished": 3}]
    monkeypatch.setattr(chaos, "run", lambda server, postgres, settings, seed, root: rows[seed])
    with lend_server(chaos):
        chaos.main(
            ["--databases", "sqlite", "--runs", "2", "--trials", "4", "--epochs", "3", "--out", str(tmp_path)]
        )
    stored = json.loads((tmp_path / "chaos.json").read_text())
    assert stored["settings"]["runs"] == len(stored["rows"]) == 2
    assert stored["settings"]["harms"] is None
    last = (tmp_path / "chaos.md").read_text().splitlines()[-1]
    assert last.endswith("| 3 finished, not 4 |")
    assert "| 0 + 3 |" in last

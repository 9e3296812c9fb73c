import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pays
import pays_seconds
import pytest
from record import read_rows

from search.workflows import run as run_workflow

TINY = pays.Task("digits_cnn", images=300, options={"space": "small_space", "final": "8 epochs"})


def test_both_sides_of_a_repetition_are_scored(
    lend_server: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound: list[Sequence[int]] = []
    # One after the other in this process, which has Keras already; the cores are the tests'.
    monkeypatch.setattr(
        pays_seconds, "ProcessPoolExecutor", lambda *given: nullcontext(SimpleNamespace(map=map))
    )
    monkeypatch.setattr(pays_seconds.os, "sched_getaffinity", lambda process: {4, 5, 6, 7})
    monkeypatch.setattr(pays_seconds.os, "sched_setaffinity", lambda process, cores: bound.append(cores))
    monkeypatch.setattr("search.exporting.builder.verify_in_fresh_process", lambda *given: None)
    monkeypatch.setattr(pays_seconds, "MANY", 1)
    monkeypatch.setitem(pays_seconds.TASKS, "digits", TINY)
    given = ["--sets", "digits", "--minutes", "10", "--repetitions", "1", "--out", str(tmp_path)]
    with lend_server(run_workflow):
        pays_seconds.main([*given, "--work", str(tmp_path / "work")])
    (row,) = read_rows(tmp_path / "pays_seconds.csv")
    for side in pays_seconds.SIDES:
        assert 0.1 < float(row[side]) <= 1
    assert bound == [[4, 5], [6, 7]]
    (found,) = json.loads((tmp_path / "pays_seconds.json").read_text())["sets"]
    assert found["each"] == [pytest.approx(float(row["exported"]) - float(row["random"]))]


def test_differences_are_of_each_set_at_each_length() -> None:
    rows = [
        {"set": "digits", "minutes": minutes, "exported": exported, "random": random}
        for minutes, exported, random in [("1", "0.9", "0.8"), ("5", "0.9", "0.9"), ("1", "0.7", "0.8")]
    ]
    short, long = pays_seconds.summarise(rows)["sets"]
    assert short["each"] == pytest.approx([0.1, -0.1])
    assert (long["minutes"], long["mean"]) == (5, pytest.approx(0))

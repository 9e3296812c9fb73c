"""One training of the race, read from the record of an earlier call."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search.exporting import race_runs


@dataclass(frozen=True)
class Plan:
    identity: str = "plan"
    steps: int = 0
    value_name: str = "val_recall:b"


def test_metric_without_a_value_is_none_as_of_a_training_that_diverged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = {"loss": [0.5], "val_loss": [0.5], "val_recall:b": [float("nan")]}
    recorded = {"history": history, "epochs": 1, "kept_epoch": 1}
    monkeypatch.setattr(race_runs, "race_plan", lambda *_: Plan())
    monkeypatch.setattr(race_runs, "read_record", lambda *_: recorded)
    loaded: Any = SimpleNamespace(paths=SimpleNamespace(race_file=lambda *_: tmp_path / "file"))
    trial: Any = SimpleNamespace(number=3, user_attrs={"compute": 10.0, "epochs": 1})
    server: Any = SimpleNamespace(backend="tensorflow")
    assert race_runs.run_once(loaded, trial, 7, server, print, keep=False).value is None

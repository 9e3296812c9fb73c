import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import few_images
import pytest
from record import read_rows

from search.config.settings import RunOptions
from search.data import Dataset


def test_each_way_is_searched_once_and_given_the_same_images(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del digits
    asked: list[RunOptions] = []

    def search(options: RunOptions) -> Any:
        asked.append(options)
        accuracy = 0.5 + 0.1 * options.folds
        summary = {"trial": 3, "test_accuracy": accuracy, "training_flops": 6e9}
        study = SimpleNamespace(finished=lambda: [0, 1])
        return SimpleNamespace(study=study, export=SimpleNamespace(summary=summary))

    monkeypatch.setattr(few_images, "search_and_export", search)
    command = ["--data", "digits", "--size", "8", "--images", "60", "--budgets", "1GFLOP"]
    command += ["--out", str(tmp_path), "--work", str(tmp_path / "work")]
    few_images.main([*command, "--seeds", "1"])
    few_images.main([*command, "--seeds", "2"])
    assert [(one.seed, one.folds, one.validation) for one in asked] == [
        (0, 3, RunOptions.given("s").validation),
        (0, 0, 0.2),
        (1, 3, RunOptions.given("s").validation),
        (1, 0, 0.2),
    ]
    assert all(one.budget == 1e9 for one in asked)
    in_folds, held_out, other, _ = (one.data for one in asked)
    assert (in_folds[0] == held_out[0]).all()
    assert (in_folds[0] != other[0]).any()
    assert len(in_folds[1]) == 60
    assert {row["trials"] for row in read_rows(tmp_path / "few_images.csv")} == {"2"}
    found = json.loads((tmp_path / "few_images.json").read_text())["means"]
    assert found == [
        {"images": 60, "budget": "1GFLOP", "seeds": 2, "folds": pytest.approx(0.8), "held out": 0.5}
    ]

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import from_scratch
import pytest
from record import read_rows

from search.config.settings import RunOptions


@pytest.fixture
def folder(tmp_path: Path, draw_pictures: Callable[..., Path]) -> Path:
    return draw_pictures(tmp_path / "pictures", training=12, test=4)


@pytest.mark.slow
def test_row_has_both_nets_and_their_minutes_and_is_not_measured_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RunOptions] = []

    def search(options: RunOptions) -> Any:
        asked.append(options)
        summary = {"trial": 3, "test_accuracy": 0.75, "training_flops": 6e9, "seconds": 2.0}
        study = SimpleNamespace(finished=lambda: [0, 1])
        return SimpleNamespace(study=study, export=SimpleNamespace(summary=summary))

    monkeypatch.setattr(from_scratch, "search_and_export", search)
    command = ["--data", str(folder), "--size", "16", "--minutes", "3", "--out", str(tmp_path)]
    command += ["--work", str(tmp_path / "work")]
    from_scratch.main([*command, "--repetitions", "1"])
    from_scratch.main([*command, "--repetitions", "2"])
    assert [(one.seed, one.timeout, one.image_size, one.space) for one in asked] == [
        (0, 180.0, 16, "photo_cnn"),
        (1, 180.0, 16, "photo_cnn"),
    ]
    rows = read_rows(tmp_path / "from_scratch.csv")
    assert [(row["seed"], row["trial"], row["trials"], row["exported"]) for row in rows] == [
        ("0", "3", "2", "0.75"),
        ("1", "3", "2", "0.75"),
    ]
    for row in rows:
        assert 0 <= float(row["plain"]) <= 1
        assert int(row["epochs.plain"]) >= 1
        assert float(row["gflops.final"]) == 3
    found = json.loads((tmp_path / "from_scratch.json").read_text())[f"{folder.name} 16 3"]
    gap = 0.75 - (float(rows[0]["plain"]) + float(rows[1]["plain"])) / 2
    assert found["export_minus_plain"] == pytest.approx(gap)
    assert found["runs"] == 2

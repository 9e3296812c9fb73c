import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import passes
import pytest

from search.data import Dataset


def test_training_makes_its_passes_over_its_images(noise: Dataset) -> None:
    short, long = (passes.plan_of(noise, "cnn", 100, count, 0) for count in (10, 20))
    assert len(short.split(noise).train) == 100
    assert 9 <= short.steps * short.recipe.batch_size / 100 <= 11
    assert long.steps == pytest.approx(2 * short.steps, abs=1)
    other = passes.plan_of(noise, "cnn", 100, 10, 1)
    assert set(other.split(noise).train) != set(short.split(noise).train)


def test_trainings_that_are_there_are_not_made_again(
    lend_server: Callable[..., Any], digits: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del digits
    command = ["--data", "digits", "--size", "8", "--images", "60", "--out", str(tmp_path), "--space", "cnn"]
    with lend_server(passes):
        passes.main([*command, "--passes", "10", "20", "--seeds", "1"])
        capsys.readouterr()
        passes.main([*command, "--passes", "10", "20", "--seeds", "1"])
    assert "seed 0" not in capsys.readouterr().out
    found = json.loads((tmp_path / "passes.json").read_text())["trainings"]
    assert set(found) == {"60 10 0", "60 20 0"}
    assert found["60 20 0"]["steps"] > found["60 10 0"]["steps"]


def test_gain_of_more_passes_is_paired_by_seeds() -> None:
    found = {
        f"200 {count} {seed}": {"accuracy": value}
        for count, values in ((20, (0.4, 0.5)), (80, (0.42, 0.55)))
        for seed, value in enumerate(values)
    }
    assert passes.rows_of(found) == [
        (200, 20, 2, "45.00%", "", ""),
        (200, 80, 2, "48.50%", "+3.50", "1.50"),
    ]

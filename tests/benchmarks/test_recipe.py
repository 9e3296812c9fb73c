import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import recipe

from search.data import Dataset


@pytest.mark.parametrize("name", recipe.VARIANTS)
def test_variant_changes_what_it_says(noise: Dataset, name: str) -> None:
    own, other = (recipe.plan_of(noise, which, 0, images=100, length=1e10) for which in ("recipe", name))
    values = {**dataclasses.asdict(other.recipe), **other.params}
    for field, value in recipe.VARIANTS[name].items():
        if field not in ("batch_size", "most_steps"):  # A plan's batches are those of its images.
            assert values[field] == value
    assert (other == own) == (name == "recipe")


def test_seeds_differ_in_nothing_else(noise: Dataset) -> None:
    one, two = (recipe.plan_of(noise, "recipe", seed, images=100, length=1e10) for seed in (0, 1))
    assert dataclasses.replace(one, seed=1) == two


def test_variant_is_trained_to_its_end_once(
    lend_server: Callable[..., Any], digits: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del digits
    command = ["--data", "digits", "--images", "100", "--length", "3GFLOP", "--out", str(tmp_path)]
    with lend_server(recipe):
        recipe.main([*command, "--seeds", "1", "--only", "recipe", "one view"])
        capsys.readouterr()
        recipe.main([*command, "--seeds", "1", "--only", "recipe"])
    said = capsys.readouterr().out
    assert "seed 0" not in said  # It was there.
    result = json.loads((tmp_path / "recipe.json").read_text())
    assert result["settings"] == {"images": 100, "length": 3e9}
    for name in ("recipe", "one view"):
        for found in result["validation"][name].values():
            assert 0 <= found["accuracy"] <= 1
            # Guessing evenly among ten classes costs log 10 = 2.3, and so few steps teach no net to be sure.
            assert 0.1 < found["loss"] < 30
            assert found["steps"] > 8
            assert len(found["curve"]) == 8
            assert found["curve"][-1] == found["accuracy"]
    lines = [line.split() for line in said.splitlines()]
    assert [line[0] for line in lines if line and line[0] in ("recipe", "one")] == ["recipe", "one"]


def test_difference_is_paired(capsys: pytest.CaptureFixture[str]) -> None:
    def runs(*accuracies: float) -> dict[str, Any]:
        return {
            str(seed): {"accuracy": accuracy, "loss": 1.0, "seconds": 9}
            for seed, accuracy in enumerate(accuracies)
        }

    recipe.show({"recipe": runs(0.5, 0.6), "other": runs(0.52, 0.63)})
    assert capsys.readouterr().out.splitlines()[-1].split() == [
        "other",
        "2",
        "57.50%",
        "+2.50",
        "0.50",
        "1.000",
        "9",
    ]

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import recipe

from search.data import Dataset
from spaces.recipe import Recipe


@pytest.mark.parametrize("name", recipe.VARIANTS)
def test_variant_changes_what_it_says_and_nothing_else(name: str) -> None:
    own = Recipe()
    changed = dataclasses.asdict(recipe.changed(own, name))
    different = {field for field, value in dataclasses.asdict(own).items() if changed[field] != value}
    assert different == set(recipe.VARIANTS[name])


def test_seed_alone_tells_the_two_runs_of_the_recipe_apart(noise: Dataset) -> None:
    one, two = (recipe.plan_of(noise, name, 100, 1) for name in ("recipe", "recipe, seed 1"))
    assert one != two
    assert dataclasses.replace(one, seed=1) == two


def test_variant_is_trained_to_its_end(
    lend_server: Callable[..., Any], digits: Dataset, tmp_path: Path
) -> None:
    with lend_server(recipe):
        recipe.main(
            [
                "--data", "digits", "--images", "100", "--epochs", "2", "--only", "no augmentation",
                "--out", str(tmp_path),
            ]
        )  # fmt: skip
    result = json.loads((tmp_path / "recipe.json").read_text())
    ((name, found),) = result["validation"].items()
    assert name == "no augmentation"
    assert result["settings"] == {"images": 100, "epochs": found["epochs"]}
    assert 0 <= found["accuracy"] <= 1
    # Guessing evenly among ten classes costs log 10 = 2.3, and so few steps teach no net to be sure.
    assert 0.1 < found["loss"] < 30
    assert found["seconds"] >= 1

"""A plan of a short training on images of real digits."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from search.data import Dataset
from search.training.plan import TrainingPlan
from spaces.contract import InputSpec
from spaces.recipe import Recipe


@pytest.fixture(scope="module")
def make_plan(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., TrainingPlan]:
    """Plan five epochs on 200 digits, with dropout, momentum and augmentation, and files of their own."""

    def make(**changes: Any) -> TrainingPlan:
        place = tmp_path_factory.mktemp("training")
        plan = TrainingPlan(
            space="small_space",
            params={"width": 16, "dropout": 0.3, "fault": "", "once": ""},
            recipe=Recipe(learning_rate=0.05, batch_size=32, augmentation=1.0, momentum=0.85),
            input_spec=InputSpec(8, 8, 1, 10),
            dataset=str(digits.folder),
            validation=0.1,
            images=200,
            split_seed=0,
            seed=11,
            epochs=5,
            flip=True,
            checkpoint=str(place / "checkpoint.npz"),
            checkpoint_seconds=0.0,
            model=str(place / "model.keras"),
        )
        return dataclasses.replace(plan, **changes)

    return make


@pytest.fixture
def plan(make_plan: Callable[..., TrainingPlan]) -> TrainingPlan:
    return make_plan()

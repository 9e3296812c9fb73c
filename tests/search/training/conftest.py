"""A plan of a short training on images of real digits."""

from collections.abc import Callable

import pytest

from search.training.plan import TrainingPlan


@pytest.fixture
def plan(make_plan: Callable[..., TrainingPlan]) -> TrainingPlan:
    return make_plan()

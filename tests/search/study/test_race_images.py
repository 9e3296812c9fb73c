"""How many images a study sets aside for its race."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from search.config.settings import RunOptions
from search.config.study_config import StudyConfig
from search.data import Dataset
from search.data.splits import SplitRule
from search.study.creation import new_config
from search.study.race_images import race_images
from tests.search.study.test_ending import CONFIG


def config_of(digits: Dataset, **options: Any) -> StudyConfig:
    return new_config(RunOptions.given("s", data="digits", **options), digits)


def test_race_images_are_as_many_as_are_validated_on(digits: Dataset) -> None:
    assert race_images(config_of(digits, validation=0.1), digits) == round(0.1 * sum(digits.train_counts))


def test_race_images_are_those_that_a_subset_leaves_out(digits: Dataset) -> None:
    images = sum(digits.train_counts)
    config = config_of(digits, images=300)
    assert race_images(config, digits) == images - 300 - round(0.1 * images)


def test_no_race_images_where_a_subset_leaves_too_few(digits: Dataset) -> None:
    images = sum(digits.train_counts)
    assert race_images(config_of(digits, images=images - round(0.1 * images) - 20), digits) == 0


def test_no_race_images_beside_folds(digits: Dataset) -> None:
    assert race_images(config_of(digits, folds=3), digits) == 0


@pytest.mark.parametrize(
    ("metric", "few", "images"),
    [("recall:b", 15, 0), ("recall:a", 15, 50), ("auc", 15, 0), ("accuracy", 15, 50), ("auc", 40, 54)],
)
def test_no_race_images_where_a_part_of_them_gives_the_metric_no_value(
    metric: str, few: int, images: int
) -> None:
    """Of 2 images of a class one of three parts has none: the race ended in a traceback after the test was scored."""
    labels = np.repeat(np.arange(2), [300, few])
    dataset: Any = SimpleNamespace(
        train=lambda: (None, labels), rule=SplitRule, train_counts=np.bincount(labels), test_counts=(1, 1)
    )
    config = dataclasses.replace(CONFIG, metric=metric, validation=0.2, race_images=0)
    assert race_images(config, dataset) == images

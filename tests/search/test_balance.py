"""How many images of each class every split has, counted and shown."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from search.balance import print_balance, split_counts
from search.config import StudyConfig
from search.data import fold

LABELS = np.repeat(np.arange(2), [50, 31])
IMAGES: Any = SimpleNamespace(train=lambda: (None, LABELS), train_counts=(50, 31), test_counts=(7, 8))
CONFIG = StudyConfig("s", "d", "f", ("ants", "bees"), 8, 8, 1, validation=0.2)


def test_counts_of_a_split_are_those_of_its_parts() -> None:
    assert split_counts(CONFIG, IMAGES) == {"training": [40, 25], "validation": [10, 6], "test": [7, 8]}


def test_counts_of_folds_are_right_to_one_image_of_a_class() -> None:
    counts = split_counts(dataclasses.replace(CONFIG, folds=4), IMAGES)
    for which in range(4):
        part = fold(LABELS, 4, which, 0)
        for name, chosen in (("training", part.train), ("validation", part.validation)):
            assert np.abs(np.bincount(LABELS[chosen]) - counts[name]).max() <= 1
    assert counts["test"] == [7, 8]


def test_balance_of_folds_shows_all_images_and_the_test(capsys: pytest.CaptureFixture[str]) -> None:
    print_balance(dataclasses.replace(CONFIG, folds=4), IMAGES)
    assert capsys.readouterr().out.splitlines() == [
        "in 4 folds: 81 images: ants 50, bees 31",
        "      test: 15 images: ants 7, bees 8",
    ]

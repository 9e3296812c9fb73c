"""How many images of each class every split has, counted and shown."""

import dataclasses
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from search.config.study_config import StudyConfig
from search.data import Split, fold
from search.data.splits import SplitRule
from search.errors import InputError
from search.study.class_balance import check_metric, print_balance, print_hints, split_counts

LABELS = np.repeat(np.arange(2), [50, 31])
IMAGES: Any = SimpleNamespace(
    train=lambda: (None, LABELS), rule=SplitRule, train_counts=(50, 31), test_counts=(7, 8)
)
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


@pytest.mark.parametrize(
    ("metric", "folds", "said"),
    [
        ("recall:bees", 0, "--metric recall:bees: no validation image is of this class"),
        ("auc", 0, "--metric auc: one class alone is validated, so that it has no value"),
        ("recall:ants", 0, ""),
        ("balanced_accuracy", 0, ""),
        ("recall:bees", 4, ""),
    ],
)
def test_metric_without_a_value_on_the_validation_images_is_refused(
    metric: str, folds: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(CONFIG, metric=metric, folds=folds)
    if not folds:  # As where the data brings its own validation part, which may lack a class.
        part = Split(np.arange(81), np.arange(5))
        monkeypatch.setattr("search.study.class_balance.training_split", lambda *_, **__: part)
    with pytest.raises(InputError, match=said) if said else nullcontext():
        check_metric(config, IMAGES)


def test_balance_of_folds_shows_all_images_and_the_test(capsys: pytest.CaptureFixture[str]) -> None:
    print_balance(dataclasses.replace(CONFIG, folds=4), IMAGES)
    assert capsys.readouterr().out.splitlines() == [
        "in 4 folds: 81 images: ants 50, bees 31",
        "      test: 15 images: ants 7, bees 8",
    ]


def hints_of(
    capsys: pytest.CaptureFixture[str], count: int, side: int, over_backbone: bool, channels: int = 3
) -> str:
    images: Any = SimpleNamespace(train_counts=(count // 2,) * 2, height=side, width=side, channels=channels)
    print_hints(images, over_backbone)
    return capsys.readouterr().out


def test_few_photographs_are_told_of_backbones(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--backbone FILE" in hints_of(capsys, 500, 128, over_backbone=False)


@pytest.mark.parametrize(
    ("count", "side", "over_backbone"), [(500, 128, True), (500, 8, False), (5000, 128, False)]
)
def test_study_that_fits_its_images_gets_no_hint(
    capsys: pytest.CaptureFixture[str], count: int, side: int, over_backbone: bool
) -> None:
    assert hints_of(capsys, count, side, over_backbone) == ""


def test_grey_pictures_are_not_taken_for_photographs(capsys: pytest.CaptureFixture[str]) -> None:
    assert hints_of(capsys, 2000, 128, over_backbone=False, channels=1) == ""


def test_counts_of_many_unequal_classes_are_no_line_of_a_thousand_names(
    capsys: pytest.CaptureFixture[str],
) -> None:
    classes = tuple(f"class {number}" for number in range(1000))
    images: Any = SimpleNamespace(train_counts=range(10, 1010), test_counts=[3] * 1000)
    print_balance(dataclasses.replace(CONFIG, classes=classes, folds=2), images)
    assert capsys.readouterr().out.splitlines()[:2] == [
        "in 2 folds: 509,500 images: 10 to 1,009 of each of 1,000 classes",
        "      test: 3,000 images: 3 of each of 1,000 classes",
    ]

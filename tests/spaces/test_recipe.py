import math
from typing import Any

import numpy as np
import pytest

from spaces.recipe import Recipe


@pytest.mark.parametrize(("images", "batch"), [(100, 64), (12_800, 64), (12_801, 128), (45_000, 256)])
def test_batches_grow_with_the_images_where_steps_are_bounded(images: int, batch: int) -> None:
    assert Recipe(batch_size=64, most_steps=200).batch(images) == batch


def test_batches_stay_where_steps_are_not_bounded() -> None:
    assert Recipe(batch_size=64).batch(10**6) == 64


@pytest.mark.parametrize(("images", "batch"), [(640, 32), (639, 16), (319, 8), (20, 8)])
def test_batches_are_smaller_where_an_epoch_would_have_too_few_steps(images: int, batch: int) -> None:
    assert Recipe(batch_size=32, least_steps=20).batch(images) == batch


@pytest.mark.parametrize("wrong", [{"optimizer": "lion"}, {"schedule": "linear"}, {"augmenter": "mixup"}])
def test_recipe_of_an_unknown_word_is_refused(wrong: dict[str, Any]) -> None:
    """An unknown optimizer was trained as Adam."""
    with pytest.raises(ValueError, match=r"^recipe: \w+ '\w+': expected one of \w+, "):
        Recipe(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"learning_rate": -0.1}, {"learning_rate": 0.0}, {"learning_rate": math.nan}, {"learning_rate": "0.1"},
        {"momentum": 1.5}, {"weight_decay": -1e-4}, {"warmup": 20}, {"batch_size": 0}, {"batch_size": 32.0},
        {"batch_size": True}, {"most_steps": -1}, {"label_smoothing": 10}, {"ema": 99}, {"ema": 1.0},
        {"augmentation": 15},
        {"augmentation": math.inf}, {"kernel_rate": -1.0}, {"batch_size": np.int64(8)}, {"both_views": "no"},
        {"learning_rate": 10**400},
    ],
)  # fmt: skip
def test_recipe_of_a_number_that_means_nothing_is_refused(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=rf"^recipe: {name} .*: expected (a float|an int|True)"):
        Recipe(**wrong)


def test_text_of_a_recipe_is_what_it_was_before_it_had_more_fields() -> None:
    assert repr(Recipe()) == (
        "Recipe(optimizer='sgd', learning_rate=0.075, momentum=0.85, weight_decay=0.0005, schedule='one_cycle', "
        "warmup=0.2, batch_size=64, most_steps=0, least_steps=0, label_smoothing=0.1, ema=0.0, augmentation=1.0, "
        "augmenter='shifts')"
    )
    assert "both_views=True" in repr(Recipe(both_views=True))

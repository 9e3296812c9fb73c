"""The state of one training, in this process: which images it takes, its schedule, and the net that it validates."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

import spaces
from search.data import Dataset, fold
from search.training.training import Training
from search.training.validation import validate

# Keras 3.15's own, once a variable that becomes an array.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
# Of a training on pixels: it says nothing before its first epoch.
UNHEARD: Any = None


def test_fold_is_trained_without_the_images_that_it_is_validated_on(plan, digits: Dataset) -> None:
    training = Training(dataclasses.replace(plan, images=None, folds=3, fold=1), "cpu", UNHEARD)
    part = fold(digits.train()[1], 3, 1, plan.split_seed)
    np.testing.assert_array_equal(training.chosen, part.train)
    np.testing.assert_array_equal(training.validation, part.validation)
    assert not set(part.train) & set(part.validation)


@pytest.mark.parametrize(("accumulate", "seen"), [(1, 64), (2, 96)])
def test_images_of_an_epoch_are_those_of_its_whole_batches(plan, accumulate: int, seen: int) -> None:
    recipe = dataclasses.replace(plan.recipe, batch_size=64)
    plan = dataclasses.replace(plan, images=127, recipe=recipe, accumulate=accumulate)
    training = Training(plan, "cpu", UNHEARD)
    feed = training._feed()
    assert len(feed) * feed.batch_size == training.facts()["epoch_images"] == seen


@pytest.mark.parametrize(("augmenter", "on_device"), [("shifts", True), ("photographs", False)])
def test_images_go_to_a_gpu_unless_they_are_seen_anew_on_the_host(
    plan, augmenter: Any, on_device: bool
) -> None:
    training = Training(
        dataclasses.replace(plan, recipe=dataclasses.replace(plan.recipe, augmenter=augmenter)),
        "a GPU",
        UNHEARD,
    )
    assert training.on_device is on_device


def test_kept_weights_are_validated_in_float32_where_training_computes_in_bfloat16(plan) -> None:
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        training = Training(dataclasses.replace(plan, validation=0.5), "a GPU", UNHEARD)
        found = training._validate(SimpleNamespace(pulse=None))
        assert keras.mixed_precision.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    of_validation = (training.images, training.labels, training.validation)
    exact = validate(training._exported(), *of_validation)[0]
    mixed = validate(training.model, *of_validation)[0]
    assert found["val_loss"] == pytest.approx(exact["val_loss"], abs=1e-6)
    assert abs(mixed["val_loss"] - exact["val_loss"]) > 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("flip", [True, False])
def test_kept_net_answers_for_both_views_where_images_may_be_flipped(plan, flip: bool) -> None:
    recipe = dataclasses.replace(plan.recipe, both_views=True)
    training = Training(dataclasses.replace(plan, recipe=recipe, flip=flip), "cpu", UNHEARD)
    found = training._validate(SimpleNamespace(pulse=None))
    training.keep()
    kept = keras.models.load_model(plan.model)
    images, one = training.images[:50], training.model
    views = (images, images[:, :, ::-1]) if flip else (images,)
    expected = np.mean([one.predict_on_batch(view.astype("float32")) for view in views], axis=0)
    assert np.allclose(kept.predict_on_batch(images.astype("float32")), expected, atol=1e-5)
    scored = validate(kept, training.images, training.labels, training.early)[0]
    assert found["val_loss"] == pytest.approx(scored["val_loss"], abs=1e-5)
    assert training.plan.images_validated(1, 100, 100) == 100 * len(views)


@pytest.mark.parametrize("both_views", [True, False])
def test_default_net_is_validated_as_its_kept_file_answers(plan, both_views: bool) -> None:
    """Its pixels are normalised by constants, which ``set_weights`` leaves as they were."""
    space = spaces.load("cnn")
    params = space.first(plan.input_spec)[0]
    recipe = dataclasses.replace(space.recipe(params, plan.input_spec), both_views=both_views)
    training = Training(dataclasses.replace(plan, space="cnn", params=params, recipe=recipe), "cpu", UNHEARD)
    other = training._exported()
    training.keep()
    images = training.images[:50].astype("float32")
    expected = keras.models.load_model(plan.model).predict_on_batch(images)
    assert np.allclose(training._exact.predict_on_batch(images), expected, atol=1e-5)
    assert np.allclose(other.predict_on_batch(images), expected, atol=1e-5)


def test_schedule_is_made_for_the_steps(plan) -> None:
    plan = dataclasses.replace(plan, epochs=4, steps=50, accumulate=2)
    training = Training(plan, "cpu", UNHEARD)
    schedule = training.optimizer._learning_rate
    assert schedule.steps == 100
    assert [len(training._feed()), training._feed().batch_size] == [2 * 12, 16]


def test_parts_but_the_last_are_validated_on_some_images(plan, digits: Dataset, monkeypatch) -> None:
    monkeypatch.setattr("search.data.splits.EARLY_IMAGES", 20)
    training = Training(dataclasses.replace(plan, epochs=4, steps=50), "cpu", UNHEARD)
    _, labels = digits.train()
    assert len(training.early) == 20
    assert set(training.early) < set(training.validation)
    assert set(labels[training.early]) == set(labels[training.validation])
    training._take(1 / 4)
    scored: list[int] = []

    def score(model, images, labels, chosen, *more):
        scored.append(len(chosen))
        return {"val_loss": 1.0}, []

    monkeypatch.setattr("search.training.training.validate", score)
    for training.epoch in range(4):
        training._validate(dataclasses.make_dataclass("Silent", [("pulse", Any)])(None))
    assert scored == [20, 20, 20, len(training.validation)]
    assert training.plan.images_validated(4, 20, 100) == 160
    assert training.plan.images_validated(4, 20, 100, counted=10) == 190


def test_steps_of_an_epoch_are_bounded_by_larger_batches(plan) -> None:
    bounded = dataclasses.replace(plan, recipe=dataclasses.replace(plan.recipe, most_steps=4))
    assert Training(bounded, "cpu", UNHEARD).outcome()["batch_size"] == 64
    assert Training(plan, "cpu", UNHEARD).outcome()["batch_size"] == 32

"""The scores on validation images, against scikit-learn's."""

import math

import keras
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss

from search.training.validation import validate

CLASSES = 4


@pytest.fixture
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(CLASSES)]
    return keras.Sequential(layers)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4, (300, 8, 8, 1), dtype=np.uint8)


def test_scores_are_scikit_learns(model: keras.Model, images: np.ndarray) -> None:
    labels = np.random.default_rng(1).integers(0, CLASSES, 300)
    chosen = np.sort(np.random.default_rng(2).permutation(300)[:90])
    figures, matrix = validate(model, images, labels, chosen)
    logits = np.asarray(model(images[chosen].astype("float32")), dtype="float64")
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    predicted = logits.argmax(axis=1)
    expected = {
        "val_loss": log_loss(labels[chosen], probabilities, labels=np.arange(CLASSES)),
        "val_accuracy": accuracy_score(labels[chosen], predicted),
        "val_macro_f1": f1_score(labels[chosen], predicted, average="macro", labels=np.arange(CLASSES)),
    }
    assert figures == pytest.approx(expected, rel=1e-5)
    assert matrix == confusion_matrix(labels[chosen], predicted, labels=np.arange(CLASSES)).tolist()


def test_scores_see_the_chosen_images_only(model: keras.Model, images: np.ndarray) -> None:
    labels, chosen = np.zeros(300, np.int64), np.arange(0, 300, 3)
    others = np.setdiff1d(np.arange(300), chosen)
    before = validate(model, images, labels, chosen)
    images[others] = 0
    labels[others] = 1
    assert validate(model, images, labels, chosen) == before


def test_diverged_net_scores_nan(model: keras.Model, images: np.ndarray) -> None:
    model.set_weights([np.full(weight.shape, np.inf) for weight in model.get_weights()])
    figures, matrix = validate(model, images, np.zeros(300, np.int64), np.arange(50))
    assert figures.keys() == {"val_loss", "val_accuracy", "val_macro_f1"}
    assert all(math.isnan(value) for value in figures.values())
    assert matrix == []

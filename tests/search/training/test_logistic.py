"""Linear heads that are fitted exactly, and their mean."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.linear_model import LogisticRegression

from search.metrics.classification import log_probabilities
from search.training.logistic import LinearHead, fit_logistic, mean_head, put_into
from spaces import transfer
from spaces.contract import Backbone, InputSpec

# Keras 3.15's own, once a variable that becomes an array.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
RANDOM = np.random.default_rng(0)
LABELS = np.arange(90) % 3
FEATURES = (RANDOM.normal(size=(90, 5)) + LABELS[:, None] * [1, 0, 2, 0, 0] + 7).astype(np.float16)


def head_of(classes: int) -> keras.Model:
    """A head as the space over a backbone builds it, adapted to the features."""
    spec = InputSpec(8, 8, 3, classes, backbones=(Backbone("b", "b", "0", 5, 0),))
    model = transfer.head({"backbone": "b", "dense_layers": 0}, spec)
    transfer.adapt(model, FEATURES)
    return model


@pytest.mark.parametrize("classes", [2, 3])
def test_fit_is_scikit_learns_on_standardised_features_in_a_keras_head(classes: int) -> None:
    features, labels = FEATURES[classes > LABELS], LABELS[classes > LABELS]
    head, passes = fit_logistic(features, labels, classes, penalty=4.0)
    assert passes > 1
    model = head_of(classes)
    put_into(model, head)
    x = features.astype(np.float32)
    x = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0).mean())
    by_hand = LogisticRegression(C=0.25, max_iter=300).fit(x, labels)
    outputs = np.asarray(model(features.astype(np.float32)))
    np.testing.assert_allclose(np.exp(log_probabilities(outputs)), by_hand.predict_proba(x), atol=1e-4)
    np.testing.assert_allclose(outputs, head.logits(features), atol=1e-4)


def test_class_without_images_is_never_answered() -> None:
    head, _ = fit_logistic(FEATURES[LABELS > 0], LABELS[LABELS > 0], 4, penalty=1.0)
    outputs = head.logits(FEATURES)
    assert set(outputs.argmax(axis=1)) == {1, 2}
    assert np.isfinite(outputs).all()
    alone, passes = fit_logistic(FEATURES[LABELS == 1], LABELS[LABELS == 1], 3, penalty=1.0)
    assert passes == 0
    assert set(alone.logits(FEATURES).argmax(axis=1)) == {1}


def test_mean_of_linear_heads_answers_with_the_mean_of_their_outputs() -> None:
    heads = [
        fit_logistic(FEATURES[fold::2], LABELS[fold::2], 3, penalty)[0]
        for fold, penalty in ((0, 1.0), (1, 9.0))
    ]
    apart = np.mean([head.logits(FEATURES) for head in heads], axis=0)
    np.testing.assert_allclose(mean_head(heads).logits(FEATURES), apart, atol=1e-4)


@pytest.mark.parametrize(
    "inside",
    [[layers.Dense(4), layers.Dense(3)], [layers.BatchNormalization(), layers.Dense(3)], [layers.Dense(2)]],
)
def test_net_that_is_more_than_a_linear_head_is_refused(inside: list[Any]) -> None:
    model = keras.Sequential([keras.Input((5,)), *inside])
    with pytest.raises(ValueError, match=r"^recipe: lbfgs fits a net of one dense layer; this one has "):
        put_into(model, LinearHead(np.zeros((5, 3)), np.zeros(3)))

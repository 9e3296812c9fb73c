"""Logistic regression on features, out of fold."""

import numpy as np
import pytest

from search.training.probe import PENALTY, predict_out_of_fold
from spaces import transfer
from spaces.contract import Backbone, InputSpec


def test_each_image_is_predicted_by_a_fit_on_the_other_folds() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(90) % 3
    features = random.normal(size=(90, 20)).astype(np.float16)
    assert np.mean(predict_out_of_fold(features, labels, np.arange(90) // 3 % 5) == labels) < 0.55
    features[np.arange(90), labels] += 5
    predicted = predict_out_of_fold(features, labels, np.arange(90) // 3 % 5)
    assert np.mean(predicted == labels) > 0.95


def test_features_that_do_not_vary_predict_something() -> None:
    labels = np.arange(30) % 2
    assert set(predict_out_of_fold(np.ones((30, 4), np.float16), labels, np.arange(30) // 2 % 3)) <= {0, 1}


def test_penalty_is_that_of_the_default_head() -> None:
    net = Backbone("net", "net.keras", "digest", 8, 9)
    spec = InputSpec(8, 8, 3, 2, backbones=(net,))
    assert transfer.recipe(transfer.first(spec)[0], spec).weight_decay == pytest.approx(PENALTY)

from typing import Any

import keras
import pytest
from keras import layers

from search.training.net_check import check_logits, check_net
from spaces.user_model import ModelUnfit

TAKEN, CLASSES = (None, 8, 8, 1), 10


def check(made: Any) -> None:
    check_net(made, TAKEN, CLASSES, "build")
    check_logits(made)


def net(*tail: Any, size: tuple[int, ...] = (8, 8, 1)) -> keras.Model:
    return keras.Sequential([keras.Input(size), layers.Flatten(), *tail])


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda: None, r"^build returned None; expected a Keras model$"),
        (lambda: layers.Dense(CLASSES), r"^build returned <Dense .*; expected a Keras model$"),
        (lambda: net(layers.Dense(3)), r"^its model returns 3; expected 10, a number for each of the 10 classes$"),
        (lambda: net(layers.Dense(1)), r"^its model returns 1; expected 10"),
        (lambda: net(layers.Dense(10), size=(4, 4, 1)), r"^its model takes 4x4x1, and the images are 8x8x1"),
        (lambda: net(layers.Dense(10, activation="softmax")), r"^its model ends in a softmax; expected logits"),
        (lambda: net(layers.Dense(10), layers.Softmax()), r"^its model ends in a softmax; expected logits"),
        (lambda: net(layers.Dense(10, activation="sigmoid")), r"^its model ends in sigmoid"),
    ],
)  # fmt: skip
def test_net_of_a_space_that_breaks_its_contract_is_refused(model: Any, words: str) -> None:
    with pytest.raises(ModelUnfit, match=words):
        check(model())


def test_head_without_an_input_is_refused() -> None:
    with pytest.raises(ModelUnfit, match=r"^head returned a model without an Input"):
        check_net(keras.Sequential([layers.Dense(CLASSES)]), None, CLASSES, "head")


def test_net_that_is_built_later_gets_the_shape_of_the_images() -> None:
    made = keras.Sequential([layers.Flatten(), layers.Dense(CLASSES)])
    check_net(made, TAKEN, CLASSES)
    check_logits(made)
    assert made.input_shape == TAKEN

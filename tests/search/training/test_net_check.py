from typing import Any

import keras
import pytest
from keras import layers

from search.training.net_check import check_space_net
from spaces.contract import ContractBroken

TAKEN, CLASSES = (None, 8, 8, 1), 10


def check(made: Any) -> None:
    check_space_net(made, TAKEN, CLASSES, "build", loadable=True)


class Mine(layers.Layer):
    def call(self, x: Any) -> Any:
        return x


class Unwritten(layers.Layer):
    def __init__(self, table: Any) -> None:
        super().__init__()
        self.table = table

    def call(self, x: Any) -> Any:
        return x


class Subclassed(keras.Model):
    def call(self, x: Any) -> Any:
        return x


class Silent(layers.Layer):
    """Keras's own way to say nothing of it: ``raise NotImplementedError``, without a word."""

    def call(self, x: Any) -> Any:
        return x

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError


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
        (lambda: net(layers.Dense(10, activation="softmax")), r"^its model ends in softmax; expected logits"),
        (lambda: net(layers.Dense(10), layers.Softmax()), r"^its model ends in softmax; expected logits"),
        (lambda: net(layers.Dense(10, activation="sigmoid")), r"^its model ends in sigmoid; expected logits"),
        (lambda: net(layers.Dense(10, activation="softmax"), layers.Activation("linear")), "ends in a? ?softmax"),
        (lambda: net(layers.Dense(10, activation="softmax"), layers.Reshape((10,))), "ends in a? ?softmax"),
        (lambda: net(Mine(), layers.Dense(10)), "is made with Mine, which an export could not bring along"),
        (lambda: net(Unwritten({}.keys()), layers.Dense(10)), "cannot be saved|is made with Unwritten"),
        (lambda: net(Silent(), layers.Dense(10)), r"^its model cannot be saved \(NotImplementedError\)$"),
        (lambda: net(layers.Lambda(lambda x: x), layers.Dense(10)), "is made with Lambda"),
        (lambda: Subclassed(), "is made with Subclassed"),
        (lambda: keras.Sequential([keras.Input((8, 8, 1), 4), layers.Flatten(), layers.Dense(10)]),
         "takes 8x8x1 in batches of 4 alone, and the images are 8x8x1"),
    ],
)  # fmt: skip
def test_net_of_a_space_that_breaks_its_contract_is_refused(model: Any, words: str) -> None:
    with pytest.raises(ContractBroken, match=words):
        check(model())


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda i: layers.Average()([layers.Dense(10, "softmax")(i), layers.Dense(10, "softmax")(i)]),
         "returns probabilities"),
        (lambda i: layers.Dense(10, "softmax")(i) * 1.0, "returns probabilities"),
        (lambda i: layers.Dense(10)(layers.Dense(8, activation=lambda x: x * 0.5)(i)), "is made with a function"),
        (lambda i: {"a": layers.Dense(10)(i)}, "returns a dict of 1 tensor"),
        (lambda i: keras.ops.cast(layers.Dense(10)(i), "int32"), "returns int32"),
    ],
)  # fmt: skip
def test_net_with_an_end_or_functions_of_its_own_is_refused(model: Any, words: str) -> None:
    inputs = keras.Input((8, 8, 1))
    made = keras.Model(inputs, model(layers.Flatten()(inputs)))
    with pytest.raises(ContractBroken, match=words):
        check(made)


def test_head_without_an_input_is_refused() -> None:
    with pytest.raises(ContractBroken, match=r"^head returned a model without an Input"):
        check_space_net(keras.Sequential([layers.Dense(CLASSES)]), None, CLASSES, "head", loadable=True)


def test_net_that_is_built_later_gets_the_shape_of_the_images() -> None:
    made = keras.Sequential([layers.Flatten(), layers.Dense(CLASSES)])
    check(made)
    assert made.input_shape == TAKEN


@pytest.mark.parametrize(
    "last",
    [
        [layers.Dense(10)],
        [layers.Dense(10, dtype="float32")],
        [layers.Dense(10), layers.Activation("linear", dtype="float32")],
        [layers.Dense(20, activation="softmax"), layers.Dense(10)],
        [layers.Reshape((8, 8, 1)), layers.Conv2D(10, 3), layers.GlobalAveragePooling2D()],
        [layers.Dense(10), layers.Rescaling(0.1)],
    ],
)
def test_net_that_ends_in_logits_is_taken(last: list[Any]) -> None:
    check(net(*last))

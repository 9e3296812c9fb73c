from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import user_models
from keras import layers

import spaces
from search.training.batches import TrainingFeed
from search.training.user_model import as_exported, describe, prepared, same_as_exported, scales_pixels
from search.training.user_training import UserFeed, own_training, takes_class_numbers
from spaces.hyperparameters import Hyperparameters, given_by
from spaces.user_model import ModelUnfit

pytestmark = [  # Keras's own.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:`build\\(\\)` was called:UserWarning"),
    pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`:UserWarning"),
]
SIZE, CLASSES = (8, 8, 1), 10
PARAMS = {"num_layers": 1, "units_0": 32, "activation": "tanh", "dropout": False, "lr": 0.01}
IMAGES = np.arange(3 * 64).reshape(3, *SIZE).astype("uint8")


def tuners(**compiled: Any) -> keras.Model:
    model = user_models.build_model(Hyperparameters(given_by(PARAMS)))
    if compiled:
        model.compile(**compiled)
    return prepared(model, SIZE, CLASSES)


def net(*tail: Any, compiled: Any = None) -> keras.Model:
    inputs = keras.Input(SIZE)
    x = layers.Flatten()(inputs)
    for layer in tail:
        x = layer(x)
    model = keras.Model(inputs, x)
    if compiled is not None:
        model.compile(loss=compiled)
    return model


class Mine(layers.Layer):
    def call(self, x: Any) -> Any:
        return x


def doubled(x: Any) -> Any:
    return 2 * x


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(CLASSES)

    def call(self, x: Any) -> Any:
        return self.dense(x)


def two_outputs() -> keras.Model:
    inputs = keras.Input(SIZE)
    x = layers.Flatten()(inputs)
    return keras.Model(inputs, [layers.Dense(CLASSES)(x), layers.Dense(1)(x)])


LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: None, "it returned None; expected a Keras model"),
        (lambda: net(layers.Dense(1, activation="sigmoid")), "its model returns 1; expected 10"),
        (two_outputs, "its model returns 2 tensors; expected 10"),
        (lambda: keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(10)]),
         "its model takes 28x28x1, and the images are 8x8x1; mend its Input, or resize them with --image-size"),
        (lambda: net(layers.Dense(10, activation="sigmoid")), "its model ends in sigmoid; expected a softmax"),
        (lambda: net(Mine(), layers.Dense(10)), "its model is made with Mine, which an export could not bring along"),
        (lambda: net(layers.Dense(10, activation=doubled)), "its model is made with doubled"),
        (lambda: net(layers.Lambda(doubled), layers.Dense(10)), "its model is made with Lambda"),
        (Subclassed, "its model is made with Subclassed"),
        (lambda: net(layers.Dense(10), compiled="mse"), "compiled with the loss mse; expected one of categorical"),
        (lambda: net(layers.Dense(10), compiled=lambda t, p: p), "compiled with the loss <lambda>"),
        (lambda: net(layers.Dense(10), compiled="categorical_crossentropy"),
         "does not end in a softmax, and its loss has from_logits=False; expected from_logits=True"),
        (lambda: net(layers.Dense(10), layers.Softmax(), compiled=LOGITS),
         "ends in a softmax, and its loss has from_logits=True; expected from_logits=False"),
    ],
)  # fmt: skip
def test_model_that_cannot_be_searched_is_refused_by_name(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ModelUnfit, match=message):
        prepared(make(), SIZE, CLASSES)


@pytest.mark.parametrize(
    "tail",
    [
        lambda: [layers.Dense(10, activation="softmax")],
        lambda: [layers.Dense(10), layers.Activation("softmax")],
        lambda: [layers.Dense(10), layers.Softmax()],
        lambda: [layers.Dense(10), keras.activations.softmax],
        lambda: [keras.Sequential([layers.Dense(10, activation="softmax")])],
    ],
)
def test_exported_net_takes_raw_pixels_and_gives_the_logits_of_the_probabilities(
    tail: Any, tmp_path: Any
) -> None:
    model, weights = prepared(net(*tail()), SIZE, CLASSES), np.random.default_rng(0)
    model.set_weights([weights.normal(size=one.shape) for one in model.get_weights()])
    probabilities = np.array(model(IMAGES / 255))
    exported = as_exported(model, SIZE)
    exported.save(tmp_path / "model.keras")
    logits = np.array(keras.models.load_model(tmp_path / "model.keras")(IMAGES))
    np.testing.assert_allclose(keras.ops.softmax(logits), probabilities, rtol=1e-4)
    assert not np.allclose(logits.sum(axis=1), 1)


def test_exported_net_has_the_weights_of_the_trained_one_in_their_order() -> None:
    trained, exported = tuners(), as_exported(tuners(), SIZE)
    exported.set_weights(trained.get_weights())
    found = keras.ops.softmax(exported(IMAGES))
    np.testing.assert_allclose(found, trained(IMAGES / 255), rtol=1e-4)
    assert not exported.compiled


@pytest.mark.parametrize(
    ("first", "scales"),
    [
        (lambda x: x, False),
        (layers.Rescaling(1 / 255), True),
        (layers.Normalization(mean=100, variance=900), True),
        (lambda x: x / 127.5 - 1, True),
        (keras.Sequential([layers.RandomFlip(), layers.Rescaling(1 / 255)]), True),
        (lambda x: layers.Rescaling(2.0)(layers.Dense(4)(x)), False),
        (layers.Pipeline([layers.RandomFlip(), layers.Rescaling(1 / 255)]), True),
        (layers.RandomContrast(0.5), True),
        (layers.RandomBrightness(0.5, value_range=(0, 1)), False),
        (lambda x: layers.Rescaling(2.0, -1)(layers.RandomBrightness(0.5, value_range=(0, 1))(x)), False),
        (lambda x: layers.RandomContrast(0.5)(layers.Dense(4)(x)), False),
    ],
)
def test_pixels_are_scaled_where_the_model_does_not_do_so(first: Any, scales: bool) -> None:
    inputs = keras.Input(SIZE)
    model = keras.Model(inputs, layers.Dense(10)(layers.Flatten()(first(inputs))))
    assert scales_pixels(model) == scales
    expected = model(IMAGES if scales else IMAGES / 255, training=False)
    found = as_exported(model, SIZE)(IMAGES, training=False)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_model_whose_input_is_whole_numbers_is_given_pixels_that_are() -> None:
    inputs = keras.Input(SIZE, dtype="uint8")
    model = keras.Model(inputs, layers.Dense(10)(layers.Flatten()(keras.ops.cast(inputs, "float32"))))
    exported = same_as_exported(prepared(model, SIZE, CLASSES), SIZE)
    np.testing.assert_allclose(exported(IMAGES), model(IMAGES), rtol=1e-4, atol=1e-4)


def test_layers_made_for_different_ranges_of_pixels_are_refused_by_name() -> None:
    first = [layers.RandomContrast(0.5), layers.RandomBrightness(0.5, value_range=(0, 1))]
    with pytest.raises(
        ModelUnfit, match="RandomContrast is made for pixels from 0 to 255, and RandomBrightness for"
    ):
        scales_pixels(keras.Sequential([keras.Input(SIZE), *first, layers.Flatten(), layers.Dense(10)]))


def test_layer_made_for_pixels_that_nobody_gives_is_refused_by_name() -> None:
    first = layers.RandomBrightness(0.5, value_range=(-1, 1))
    with pytest.raises(
        ModelUnfit, match="RandomBrightness is made for pixels from -1 to 1, and gets them from 0"
    ):
        scales_pixels(keras.Sequential([keras.Input(SIZE), first, layers.Flatten(), layers.Dense(10)]))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_model_whose_outputs_are_no_finite_numbers_is_told_so(value: float) -> None:
    model = net(layers.Dense(10, bias_initializer=keras.initializers.Constant(value)))
    with pytest.raises(ModelUnfit, match="returns 40 numbers of 40 that are NaN or infinite before any"):
        same_as_exported(prepared(model, SIZE, CLASSES), SIZE)


def test_model_is_described_as_it_asks_for_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.process.backends.tensorflow.use_cpu", lambda: None)  # This process has run.

    class Worker:
        """Answers each question with the value of ``PARAMS``."""

        def __init__(self) -> None:
            self.asked: list[str] = []

        def ask(self, message: dict[str, Any]) -> dict[str, Any]:
            self.asked.append(message["name"])
            return {"value": PARAMS[message["name"]]}

        def send(self, message: dict[str, Any]) -> None:
            self.done = message

    name, worker = "user_models:build_model", Worker()
    payload = {"model": name, "code": spaces.code_of(spaces.load(name)), "size": [*SIZE], "classes": CLASSES}
    describe(payload, worker)  # type: ignore[arg-type]
    assert worker.asked == list(PARAMS)
    parameters, flops = 64 * 32 + 32 + 32 * 10 + 10, 2 * (64 * 32 + 32 * 10)
    assert worker.done == {
        "kind": "done", "parameters": parameters, "flops": flops, "compiled": True, "scaled": True,
        "uncounted": [], "monitoring": ""
    }  # fmt: skip


@pytest.mark.parametrize(
    ("metrics", "names"), [(["accuracy"], 1), (None, 1), (["top_k_categorical_accuracy"], 2)]
)
def test_model_keeps_its_compilation_and_tells_its_accuracy(metrics: Any, names: int) -> None:
    optimizer = keras.optimizers.SGD(0.5)
    model = own_training(tuners(optimizer=optimizer, loss="categorical_crossentropy", metrics=metrics), 1)
    logs = model.train_on_batch(IMAGES / 255, np.eye(CLASSES)[:3], return_dict=True)
    assert model.optimizer is optimizer
    assert "accuracy" in logs
    assert len(logs) == 1 + names


def test_model_keeps_the_weight_of_its_loss() -> None:
    plain, half = (tuners(loss="categorical_crossentropy", loss_weights=[weight]) for weight in (1.0, 0.5))
    half.set_weights(plain.get_weights())
    given = (IMAGES / 255, np.eye(CLASSES)[:3])
    whole, less = (own_training(model, 1).test_on_batch(*given, return_dict=True) for model in (plain, half))
    assert less["loss"] == pytest.approx(whole["loss"] / 2)


def test_gradients_are_accumulated_unless_the_optimizer_has_a_schedule() -> None:
    model = own_training(tuners(), 2)
    assert model.optimizer.gradient_accumulation_steps == 2
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
    scheduled = tuners(optimizer=keras.optimizers.SGD(schedule), loss="categorical_crossentropy")
    with pytest.raises(ModelUnfit, match="memory ran out, and batches cannot be halved"):
        own_training(scheduled, 2)


@pytest.mark.parametrize(
    ("loss", "numbers"), [("categorical_crossentropy", False), ("sparse_categorical_crossentropy", True)]
)
def test_batches_are_as_the_models_loss_takes_them(loss: str, numbers: bool) -> None:
    model = tuners(loss=loss)
    assert takes_class_numbers(model) == numbers
    given = (IMAGES, np.array([4, 0, 9]), np.arange(3), 3, CLASSES)
    more: dict[str, Any] = {"epoch": 0, "seed": 0, "strength": 0.0, "flip": False}
    pixels, labels = UserFeed(*given, scaled=True, numbers=numbers, **more)[0]
    raw, rows = TrainingFeed(*given, **more)[0]
    np.testing.assert_allclose(pixels, raw / 255)
    assert pixels.dtype == "float32"
    assert labels.tolist() == (rows.argmax(axis=1) if numbers else rows).tolist()


def ends_in_average_of_softmaxes(x: Any) -> Any:
    return layers.Average()([layers.Dense(CLASSES, "softmax")(x), layers.Dense(CLASSES, "softmax")(x)])


def ends_in_softmax_over_groups(x: Any) -> Any:
    return layers.Flatten()(layers.Dense(CLASSES // 2, "softmax")(layers.Reshape((2, 32))(x)))


def ends_in_a_layer_that_is_used_twice(x: Any) -> Any:
    dense = layers.Dense(CLASSES, "softmax")
    return dense(layers.Dense(64)(dense(x)))


@pytest.mark.parametrize(
    "end", [ends_in_average_of_softmaxes, ends_in_softmax_over_groups, ends_in_a_layer_that_is_used_twice]
)
def test_model_whose_export_would_answer_otherwise_is_refused(end: Callable[[Any], Any]) -> None:
    inputs = keras.Input(SIZE)
    model = keras.Model(inputs, end(layers.Flatten()(layers.Rescaling(1 / 255)(inputs))))
    with pytest.raises(
        ModelUnfit, match="returns probabilities otherwise than by a softmax as its last layer"
    ):
        same_as_exported(prepared(model, SIZE, CLASSES), SIZE)


def test_model_that_takes_a_mean_off_each_channel_scales_its_pixels() -> None:
    inputs = keras.Input((8, 8, 3))
    x = keras.applications.resnet50.preprocess_input(inputs)
    assert scales_pixels(keras.Model(inputs, layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(x))))

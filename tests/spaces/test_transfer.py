"""What a second phase of training tunes of a backbone: a part of the layers that hold weights, and never none."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from search.data.joined_backbones import join
from search.training.models import tuned_part
from spaces import transfer
from spaces.contract import Backbone, InputSpec


def whole(*inside: keras.Layer) -> keras.Model:
    """A head on a frozen backbone of these layers, joined as a training joins them."""
    inputs = x = keras.Input((8, 8, 3))
    for layer in inside:
        x = layer(x)
    backbone = keras.Model(inputs, x, name="backbone")
    backbone.trainable = False
    pixels, features = keras.Input((8, 8, 3)), keras.Input((x.shape[-1],))
    head = keras.Model(features, layers.Dense(2)(features), name="head")
    return keras.Model(pixels, head(backbone(pixels, training=False)))


def trained(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.get_layer("backbone").layers if layer.trainable_weights]


def convolutions(count: int) -> list[keras.Layer]:
    return [layers.Conv2D(4, 1, name=f"conv{number}") for number in range(count)]


@pytest.mark.parametrize(("count", "tuned"), [(1, 1), (2, 1), (3, 1), (4, 1), (7, 2), (10, 3)])
def test_tuned_are_the_last_of_the_layers_with_weights_and_at_least_one(count: int, tuned: int) -> None:
    # After the last convolution come as many layers without weights as there are with.
    without = [layers.ReLU() for _ in range(count)]
    model = whole(*convolutions(count), *without, layers.GlobalAveragePooling2D())
    transfer.tune(model)
    assert trained(model) == [f"conv{number}" for number in range(count)][-tuned:]
    assert tuned_part(model) == {
        "layers": tuned,
        "of_layers": count,
        "parameters": sum(
            layer.count_params() for layer in model.get_layer("backbone").layers if layer.trainable
        ),
    }


def test_tuned_is_no_batch_normalisation() -> None:
    model = whole(*convolutions(1), layers.BatchNormalization(name="norm"), layers.GlobalAveragePooling2D())
    transfer.tune(model)
    assert trained(model) == ["conv0"]
    assert tuned_part(model)["of_layers"] == 2


def test_backbone_of_batch_normalisation_alone_has_nothing_to_tune() -> None:
    model = whole(layers.BatchNormalization(), layers.GlobalAveragePooling2D())
    transfer.tune(model)
    assert tuned_part(model) == {"layers": 0, "of_layers": 1, "parameters": 0}


@pytest.mark.parametrize(("size", "seen"), [("8x12", (8, 12)), (16, (16, 16))])
def test_images_are_enlarged_to_the_size_that_the_backbone_sees(
    tmp_path: Path, size: int | str, seen: tuple[int, int]
) -> None:
    inputs = keras.Input((None, None, 3))
    keras.Model(inputs, layers.GlobalAveragePooling2D()(inputs)).save(tmp_path / "b.keras")
    one = Backbone("b", "b.keras", "0", 3, 0, file=str(tmp_path / "b.keras"))
    net = transfer.frozen({"backbone": "b"}, InputSpec(4, 6, 1, 2, size, (one,)))
    (resizing,) = (layer for layer in net.layers if isinstance(layer, layers.Resizing))
    assert (resizing.height, resizing.width) == seen


@pytest.fixture
def two(tmp_path: Path) -> list[Backbone]:
    """Two backbones of a convolution each, called alike inside."""
    for name in ("a", "b"):
        inputs = keras.Input((None, None, 3))
        x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(inputs))
        keras.Model(inputs, x, name="backbone").save(tmp_path / f"{name}.keras")
    return [
        Backbone(name, f"{name}.keras", name, 4, 112, file=str(tmp_path / f"{name}.keras")) for name in "ab"
    ]


def test_joined_nets_give_what_each_gives_at_its_size(two: list[Backbone], tmp_path: Path) -> None:
    parts = [replace(two[0], at=8), replace(two[0], at=16), replace(two[1], at=16)]
    joined = join(parts)
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3)).astype(np.uint8)
    net = transfer.frozen({"backbone": joined.name}, InputSpec(16, 16, 3, 2, 0, (joined,)))
    alone = [
        transfer.frozen({"backbone": part.name}, InputSpec(16, 16, 3, 2, size, (replace(part, at=0),)))
        for part, size in zip(parts, (8, 0, 0), strict=True)
    ]
    expected = np.concatenate([np.asarray(one.predict_on_batch(images)) for one in alone], axis=1)
    np.testing.assert_allclose(np.asarray(net.predict_on_batch(images)), expected, rtol=1e-5)
    assert net.count_params() == joined.parameters == 2 * 112
    net.save(tmp_path / "joined.keras")
    again = keras.models.load_model(tmp_path / "joined.keras")
    np.testing.assert_allclose(np.asarray(again.predict_on_batch(images)), expected, rtol=1e-5)


def test_each_of_joined_nets_is_tuned_in_its_last_part(two: list[Backbone]) -> None:
    joined = join([replace(one, at=16) for one in two])
    spec = InputSpec(16, 16, 3, 2, 0, (joined,))
    params = {"backbone": joined.name, "dense_layers": 0, "dense_width": 8, "dropout": 0.0}
    model = transfer.build(params, spec)
    transfer.tune(model)
    assert tuned_part(model)["layers"] == 2

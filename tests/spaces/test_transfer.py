"""What a second phase of training tunes of a backbone: a part of the layers that hold weights, and never none."""

from pathlib import Path

import keras
import pytest
from keras import layers

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

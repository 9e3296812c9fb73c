"""A script that makes a backbone's file; ``search.data.backbones`` runs it in a process of its own.

It imports nothing of this package, so that it runs wherever the package lies. The last line of its output has facts
about the backbone, as JSON; the last line of its errors says what is wrong.
"""

import hashlib
import json
import socket
import sys
import zipfile
from typing import Any

# How the families of keras.applications preprocess pixels, in layers that any Keras can load.
CAFFE_MEANS = (103.939, 116.779, 123.68)  # Of blue, green and red.
TORCH_MEANS, TORCH_DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# The sizes of image of which the smallest that a net takes is looked for.
SIZES = (8, 16, 24, 32, 48, 64, 72, 80, 96, 112, 128, 160, 192, 224, 256, 320)


def main(source: str, mode: str, out: str) -> None:
    """Write a net from raw pixels to pooled features to the file ``out``.

    Args:
        source: A name of ``keras.applications``, whose weights are downloaded unless Keras has them in its cache; the
            path of a ``.keras`` file; or what Keras-Hub's ``from_preset`` takes.
        mode: How its pixels are to be preprocessed, see ``preprocess``; or ``keras_hub`` for one of its presets.
        out: The ``.keras`` file to write.

    Raises:
        ValueError: The net is no backbone for RGB images, or a classifier.
    """
    import keras

    keras.config.set_image_data_format("channels_last")
    application = getattr(keras.applications, source, None) if mode != "keras_hub" else None
    note, identity = "", source
    if mode == "keras_hub":
        net, identity, note = load_preset(source)
    elif application is not None:
        net = application(include_top=False, weights="imagenet", input_shape=(None, None, 3))
    else:
        net = keras.models.load_model(source, compile=False)
    side = _side(net)
    inputs = keras.Input((side or None, side or None, 3))
    x = net(preprocess(inputs, mode))
    if len(x.shape) == 4:
        x = keras.layers.GlobalAveragePooling2D()(x)
    if len(x.shape) != 2 or x.shape[1] is None:
        raise ValueError(
            f"its output has shape {tuple(x.shape)}: expected feature maps (N, h, w, F) or features (N, F)"
        )
    model = keras.Model(inputs, x, name="backbone")
    model.trainable = False
    if application is None:
        note = note or _check_features(model, net, source, side)
    model.save(out)
    facts: dict[str, Any] = {"features": int(x.shape[1]), "parameters": int(net.count_params()), "side": side}
    facts["least"] = side or _least(model)
    if note:
        facts["note"] = note
    if application is not None or mode == "keras_hub":
        facts["digest"] = _digest(identity, net)
    print(json.dumps(facts))


def preprocess(x: Any, mode: str) -> Any:
    """Apply, as layers, what a family's ``preprocess_input`` does to RGB pixels from 0 to 255.

    Args:
        x: A Keras tensor ``(N, H, W, 3)``.
        mode: Keras's name for the preprocessing, ``tf``, ``torch`` or ``caffe``; or ``raw`` if the net does its own.
    """
    from keras import layers, ops

    if mode == "tf":
        return layers.Rescaling(1 / 127.5, -1.0)(x)
    if mode == "torch":
        scale = [1 / (255 * deviation) for deviation in TORCH_DEVIATIONS]
        offset = [-mean / deviation for mean, deviation in zip(TORCH_MEANS, TORCH_DEVIATIONS, strict=True)]
        return layers.Rescaling(scale, offset)(x)
    if mode == "caffe":
        return layers.Rescaling(1.0, [-mean for mean in CAFFE_MEANS])(ops.flip(x, axis=-1))
    return x


def load_preset(handle: str) -> tuple[Any, str, str]:
    """Load the net of a preset of Keras-Hub, with its preprocessing before it, in layers that any Keras can load.

    Args:
        handle: What ``from_preset`` takes.

    Returns:
        The net; what identifies it beside its weights; and what is odd about it, or nothing.

    Raises:
        ValueError: It is no net for RGB images, or has layers that an export could not be loaded with.
    """
    import keras
    import keras_hub

    net = keras_hub.models.Backbone.from_preset(handle)
    kind = type(net).__name__
    side = _side(net)
    own = {type(layer) for layer in _layers(net) if not type(layer).__module__.startswith("keras.")}
    if own:
        names = ", ".join(sorted(layer.__name__ for layer in own)[:3])
        raise ValueError(
            f"{kind} has layers of Keras-Hub's own ({names}), without which no export could be loaded; take one of "
            "Keras's layers alone, such as a ResNet, DenseNet, EfficientNet, VGG or Xception"
        )
    inputs = x = keras.Input((side or None, side or None, 3))
    scale = offset = None
    note = ""
    try:
        converter = keras_hub.layers.ImageConverter.from_preset(handle)
        scale, offset = converter.scale, converter.offset
    except FileNotFoundError:
        note = (
            "its preset does not say how it takes pixels (image_converter.json): it gets them from 0 to 255"
        )
    if scale is not None or offset is not None:
        x = keras.layers.Rescaling(1.0 if scale is None else scale, 0.0 if offset is None else offset)(x)
    plain = keras.Model(net.input, net.output)
    return keras.Model(inputs, plain(x)), f"{kind} {scale} {offset}", note


def _check_features(model: Any, net: Any, source: str, side: int) -> str:
    """Refuse a classifier, whose outputs are a few classes' and no features; a net that may be one is warned of.

    Returns:
        The warning; empty where there is none.

    Raises:
        ValueError: The outputs are probabilities, or the net was trained by a cross-entropy of them.
    """
    import numpy as np

    side = side or max(64, _least(model))
    images = np.random.default_rng(0).integers(0, 256, (2, side, side, 3)).astype("float32")
    outputs = np.asarray(model.predict_on_batch(images))
    classes = outputs.shape[1]
    last = _layers(net)[-1]
    is_dense = type(last).__name__ == "Dense"
    if classes > 1 and outputs.min() >= 0 and np.allclose(outputs.sum(axis=1), 1, atol=1e-3):
        raise ValueError(
            f"its outputs are probabilities of {classes} classes, no features; {_how_to_cut(net, source)}"
        )
    if is_dense and (_named_classes(source) or "crossentropy" in _loss(source).lower()):
        raise ValueError(
            f"its outputs are logits of {classes} classes, no features; {_how_to_cut(net, source)}"
        )
    if not is_dense:
        return ""
    return (
        f"its last layer, {last.name}, is a dense one of {classes} units; if these are classes, the net is a "
        f"classifier and its features lie below: {_how_to_cut(net, source)}"
    )


def _layers(net: Any) -> list[Any]:
    """The layers of a net and of the nets inside it, from its input to its output."""
    inner = getattr(net, "layers", None)
    return [net] if inner is None else [layer for one in inner for layer in _layers(one)]


def _loss(source: str) -> str:
    """What a file says of the loss that its net was trained with; empty where it says nothing."""
    if not zipfile.is_zipfile(source):
        return ""
    with zipfile.ZipFile(source) as file:
        compiled = json.loads(file.read("config.json")).get("compile_config") or {}
    return json.dumps(compiled.get("loss") or "")


def _named_classes(source: str) -> bool:
    """Whether a file names the classes of its outputs, as exports of this program do."""
    if not zipfile.is_zipfile(source):
        return False
    with zipfile.ZipFile(source) as file:
        return "class_names" in json.loads(file.read("metadata.json"))


def _how_to_cut(net: Any, source: str) -> str:
    """What saves the features that a classifier's last dense layer is given."""
    dense = next((layer for layer in reversed(net.layers) if type(layer).__name__ == "Dense"), None)
    below = [layer for layer in net.layers if dense is not None and layer.output is dense.input]
    if not below and dense is not None and type(net).__name__ == "Sequential":
        below = net.layers[: net.layers.index(dense)][-1:]
    if not below:
        return "save the net without its head"
    return (
        f"save the net without its head, such as net = keras.models.load_model({source!r}, compile=False); "
        f"keras.Model(net.inputs, net.get_layer({below[0].name!r}).output).save('features.keras')"
    )


def _side(net: Any) -> int:
    """The only size of image that the net takes, in pixels a side; 0 for any."""
    if len(net.inputs) != 1 or len(net.outputs) != 1:
        raise ValueError(f"{len(net.inputs)} inputs and {len(net.outputs)} outputs: expected one of each")
    shape = tuple(net.inputs[0].shape)
    if len(shape) != 4 or shape[3] != 3:
        raise ValueError(f"its input has shape {shape}: expected RGB images (N, H, W, 3)")
    if shape[1] != shape[2]:
        raise ValueError(f"its input has shape {shape}: expected squares, or any size")
    return int(shape[1] or 0)


def _least(model: Any) -> int:
    """The smallest of ``SIZES`` that the layers do not shrink to nothing."""
    for size in SIZES:
        try:
            model.compute_output_shape((1, size, size, 3))
        except ValueError:
            continue
        return size
    return SIZES[-1]


def _digest(name: str, net: Any) -> str:
    """A hash of name and weights, since what Keras publishes under a name may change."""
    digest = hashlib.sha256(name.encode())
    for weight in net.get_weights():
        digest.update(weight.tobytes())
    return digest.hexdigest()[:32]


if __name__ == "__main__":
    socket.setdefaulttimeout(30)  # Without it, a network that never answers would be waited for.
    main(*sys.argv[1:])

"""A user's own Keras model: checked, described before it is trained, and brought to the form that is exported.

What is exported, and validated, goes from raw pixels to logits and is not compiled, as all nets here; a user's model
may end in a softmax, and expect pixels from 0 to 1. So it is trained as it is, and exported in that form.
"""

from collections.abc import Iterator
from typing import Any, cast

import keras
import numpy as np

import spaces
from search.formatting import count
from search.process import backends
from search.process.channel import Channel
from search.training.epoch_callbacks import check_callbacks, monitors_validation
from search.training.model_flops import forward_flops, uncounted
from search.training.net_check import (
    check_loadable,
    check_shapes,
    ends_in_softmax,
    last_operation,
    says_probabilities,
)
from spaces.hyperparameters import Hyperparameters
from spaces.user_model import ModelUnfit, UserModel

# The losses that a model may be compiled with, and whether they take class numbers instead of a row of zeros and a one.
LOSSES = {
    "CategoricalCrossentropy": False,
    "CategoricalFocalCrossentropy": False,
    "SparseCategoricalCrossentropy": True,
}
# Of these words Keras makes an object by itself.
WORDS = {
    "categorical_crossentropy": "CategoricalCrossentropy",
    "categorical_focal_crossentropy": "CategoricalFocalCrossentropy",
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
}
# Layers, and operations on tensors, that bring pixels to a range of their own: an ``Add``, too, of a channel's mean.
SCALING = (
    "Rescaling", "Normalization", "TrueDivide", "Divide", "Multiply", "Subtract", "Add", "Negative", "Abs", "Absolute",
    "Power", "Square", "Sqrt", "Log", "Log1p", "Where", "Clip", "Maximum", "Minimum", "FloorDivide", "Mod",
)  # fmt: skip
WHITE = 255.0


def describe(payload: dict[str, Any], channel: Channel) -> None:
    """Make a user's model, asking for each value, and tell what it costs; a child's job.

    Args:
        payload: ``model``, its name; ``code``, what ``spaces.code_of`` gave; ``size``, height, width and channels of
            the images; ``classes``, their number.
        channel: Gets ``suggest`` for each value, whose reply holds the ``value`` or an ``error``; then ``done`` with
            ``parameters`` and ``flops``, and whether the model comes ``compiled`` and gets ``scaled`` pixels, 0 to 1;
            ``uncounted``, whose operations ``flops`` leave out; and ``monitoring``, see ``monitors_validation``.
    """

    def give(name: str, kind: str, arguments: dict[str, Any]) -> Any:
        reply = channel.ask({"kind": "suggest", "name": name, "how": kind, "arguments": arguments})
        if "error" in reply:
            raise ValueError(f"{name}: {reply['error']}")
        return reply["value"]

    backends.current().use_cpu()  # A GPU is for those who train.
    hyperparameters = Hyperparameters(give)
    model = cast(UserModel, spaces.load_as(payload["model"], payload["code"]))
    made = prepared(model.make(hyperparameters), tuple(payload["size"]), payload["classes"])
    monitoring = monitors_validation(check_callbacks(model.callbacks(hyperparameters), made))
    facts = {"compiled": bool(made.compiled), "scaled": not scales_pixels(made), "uncounted": uncounted(made)}
    facts["monitoring"] = monitoring
    net = same_as_exported(made, tuple(payload["size"]))
    parameters = sum(int(np.prod(weight.shape)) for weight in net.trainable_weights)
    channel.send({"kind": "done", "parameters": parameters, "flops": forward_flops(net), **facts})


def prepared(model: Any, size: tuple[int, int, int], classes: int) -> keras.Model:
    """A model that a user's function returned, built for images of this size, once it has passed every check.

    Raises:
        ModelUnfit: It cannot be searched: what was given, and what was expected, in one line.
    """
    check_shapes(model, (None, *size), classes)
    check_loadable(model)
    softmax = ends_in_softmax(model)
    if model.compiled and loss_of(model)[1] == softmax:
        ends = "ends in a softmax" if softmax else "does not end in a softmax"
        raise ModelUnfit(
            f"its model {ends}, and its loss has from_logits={softmax}; expected from_logits={not softmax}"
        )
    return model


def scales_pixels(model: keras.Model) -> bool:
    """Whether a model takes pixels from 0 to 255: it scales them itself, before the first of its other weights.

    So does one whose input is whole numbers, which would make zeros of pixels from 0 to 1. What augments pixels before
    they are scaled says itself which range it is made for: Keras's ``value_range``, by default 0 to 255.

    Raises:
        ModelUnfit: Such a layer is made for another range than 0 to 255 or 0 to 1, or two for different ones.
    """
    if keras.backend.is_int_dtype(model.inputs[0].dtype):
        return True
    made_for: dict[bool, str] = {}
    for operation in _operations(model):
        name = type(operation).__name__
        if name in SCALING:
            return next(iter(made_for), True)
        if getattr(operation, "weights", ()):
            break
        if between := getattr(operation, "value_range", None):
            if tuple(between) not in ((0, 1), (0, WHITE)):
                raise ModelUnfit(
                    f"its layer {name} is made for pixels from {between[0]:g} to {between[1]:g}, and gets them from "
                    "0 to 255; put a Rescaling before it"
                )
            made_for.setdefault(between[1] > 1, name)
        if len(made_for) > 1:
            raise ModelUnfit(
                f"its layer {made_for[True]} is made for pixels from 0 to 255, and {made_for[False]} for pixels from 0 "
                "to 1; give both the same value_range"
            )
    return next(iter(made_for), False)


def as_exported(model: keras.Model, size: tuple[int, int, int]) -> keras.Model:
    """The net from raw pixels ``(N, *size)`` to logits that has this model's weights; it is not compiled.

    Args:
        model: What ``prepared`` gave; it loses its softmax.
        size: Height, width and channels of the images.
    """
    outputs = model.outputs
    if ends_in_softmax(model):
        last = last_operation(model)
        if hasattr(last, "activation"):
            last.activation = keras.activations.linear
        elif last is outputs[0]._keras_history.operation:
            outputs = [last.input]
        else:
            raise ModelUnfit(
                "its model ends in a net that ends in a layer Softmax; put that at the end of the whole"
            )
    inputs = keras.Input(size)
    # An end in float32 also where the model computes otherwise.
    x = inputs if scales_pixels(model) else keras.layers.Rescaling(1 / WHITE)(inputs)
    return keras.Model(inputs, keras.Model(model.inputs, outputs[0])(x))


def same_as_exported(model: keras.Model, size: tuple[int, int, int]) -> keras.Model:
    """What ``as_exported`` makes of a model, compared with what the model itself says of some images.

    Raises:
        ModelUnfit: They are not finite, or they differ: a softmax within the model was taken for its end, or its end
            for none.
    """
    images = np.random.default_rng(0).integers(0, 256, (4, *size)).astype("float32")
    given = images if scales_pixels(model) else images / WHITE
    said, probabilities = np.array(model(given, training=False)), ends_in_softmax(model)
    if not np.isfinite(said).all():
        raise ModelUnfit(
            f"its model returns {count(int((~np.isfinite(said)).sum()), 'number')} of {said.size} that are NaN or "
            "infinite before any training; expected finite ones: look at its initializers, and for a division by zero"
        )
    net = as_exported(model, size)
    logits = np.array(net(images, training=False))
    found = np.array(keras.ops.softmax(logits)) if probabilities else logits
    alike = np.allclose(found, said, rtol=1e-3, atol=1e-3 * max(1.0, float(np.abs(said).max())))
    if not alike or (not probabilities and says_probabilities(said)):
        raise ModelUnfit(
            "its model returns probabilities otherwise than by a softmax as its last layer, over all of its outputs; "
            "expected that, or logits"
        )
    return net


def loss_of(model: keras.Model) -> tuple[str, bool]:
    """The name of a compiled model's loss, and whether it takes logits.

    Raises:
        ModelUnfit: It is none of those that can be searched.
    """
    losses = keras.tree.flatten(getattr(model, "loss", None))
    if len(losses) != 1 or losses[0] is None:
        raise ModelUnfit(
            f"its model is compiled with {count(len([one for one in losses if one]), 'loss', 'losses')}; expected one"
        )
    loss = losses[0]
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    known = WORDS.get(name, name)
    ours = isinstance(loss, str) or (getattr(loss, "__module__", "") or type(loss).__module__).startswith(
        "keras."
    )
    if known not in LOSSES or not ours:
        raise ModelUnfit(f"its model is compiled with the loss {name}; expected one of {', '.join(WORDS)}")
    return known, bool(getattr(loss, "from_logits", False))


def _operations(model: keras.Model) -> Iterator[Any]:
    """The operations of a model and of the nets and pipelines within it, in their order."""
    for operation in getattr(model, "operations", model.layers):
        if isinstance(operation, keras.Model):
            yield from _operations(operation)
        elif isinstance(operation, keras.Layer):
            yield from operation._flatten_layers()
        else:
            yield operation

"""Whether a net that a user's code has built can be searched: trained, scored and brought along by an export.

What is asked is what the contract of a space says (``spaces.contract.Space``). A net that does otherwise would mostly
still train: one that ends in a softmax, for example, has its probabilities taken for logits, so that its loss, its
confidences and with them the ranking of trials are wrong. So each is looked at before its first step.
"""

import inspect
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from search.errors import first_line
from search.formatting import count
from spaces.contract import ContractBroken
from spaces.user_model import ModelUnfit

Shape = tuple[int | None, ...]
SOFTMAX = "softmax"
# Layers and operations that hand on the numbers as they are.
PASSING = ("Identity", "Reshape", "Flatten", "Dropout")


def check_space_net(
    model: Any, taken: Shape | None, classes: int, maker: str, *, loadable: bool
) -> keras.Model:
    """Check a net that a space has built, and return it.

    Args:
        model: What was built.
        taken: As in ``check_shapes``.
        classes: As in ``check_shapes``.
        maker: The function that has made it.
        loadable: Whether to look at its layers, too, see ``check_loadable``.

    Raises:
        ContractBroken: It is not what the contract of a space says.
    """
    try:
        check_shapes(model, taken, classes, maker)
        if loadable:
            check_loadable(model)
    except ModelUnfit as unfit:
        raise ContractBroken(str(unfit)) from None
    if activation := last_activation(model):
        raise ContractBroken(
            f"its model ends in {activation}; expected logits: take that activation of the last layer away"
        )
    if loadable:
        check_logits(model)
    return model


def check_logits(model: keras.Model) -> None:
    """Refuse a net whose outputs are probabilities, however it makes them.

    Raises:
        ContractBroken: They are.
    """
    shape = [4, *(side or 64 for side in model.input_shape[1:])]
    inputs = np.random.default_rng(0).uniform(0, 255, shape).astype("float32")
    if says_probabilities(np.array(keras.ops.cast(model(inputs, training=False), "float32"))):
        raise ContractBroken("its model returns probabilities; expected logits: take its softmax away")


def says_probabilities(outputs: np.ndarray) -> bool:
    """Whether the outputs of a net, ``(N, classes)``, are numbers from 0 to 1 whose sum is 1 for each image."""
    return bool((outputs >= 0).all() and np.allclose(outputs.sum(-1), 1, atol=1e-3))


def check_shapes(model: Any, taken: Shape | None, classes: int, maker: str = "it") -> None:
    """Check that a net is one, and what it takes and returns.

    Args:
        model: What was built; a model without an input yet gets one of the shape ``taken``.
        taken: The shape of what it is given, ``(None, H, W, C)``; None where any is right.
        classes: How many numbers it returns for an image.
        maker: What has made it, in the message.

    Raises:
        ModelUnfit: It cannot be searched: what was given, and what was expected, in one line.
    """
    if not isinstance(model, keras.Model):
        raise ModelUnfit(f"{maker} returned {model!r:.80}; expected a Keras model")
    if not _is_keras(type(model).__module__):
        raise _made_with(type(model).__name__)
    if not model.built:
        if taken is None:
            raise ModelUnfit(f"{maker} returned a model without an Input; expected one that begins with it")
        model.build(taken)
    if taken is not None and not _fits(model.input_shape, taken):
        raise ModelUnfit(
            f"its model takes {_shape(model.input_shape)}, and the images are {_shape(taken)}; mend its Input, "
            "or resize them with --image-size"
        )
    named = isinstance(getattr(model, "_outputs_struct", None), dict)
    if named or keras.backend.is_int_dtype(model.outputs[0].dtype):
        what = f"a dict of {count(len(model.outputs), 'tensor')}" if named else model.outputs[0].dtype
        raise ModelUnfit(
            f"its model returns {what}; expected one tensor of floating-point numbers, {classes} an image"
        )
    if not _fits(model.output_shape, (None, classes)):
        raise ModelUnfit(
            f"its model returns {_shape(model.output_shape)}; expected {_shape((None, classes))}, a number for each of "
            f"the {classes} classes"
        )


def check_loadable(model: keras.Model) -> None:
    """Refuse a net with layers or functions that are not Keras's own: nobody who has its file alone could load it.

    Raises:
        ModelUnfit: It has such; the message names the first.
    """
    try:
        foreign = next(_foreign(keras.saving.serialize_keras_object(model)["config"]), "")
    # Of a layer that cannot be written down at all.
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ModelUnfit(f"its model cannot be saved ({first_line(error)})") from None
    if foreign := foreign or next(_own_functions(model), ""):
        raise _made_with(foreign)


def _made_with(foreign: str) -> ModelUnfit:
    return ModelUnfit(
        f"its model is made with {foreign}, which an export could not bring along; expected layers and functions of "
        "Keras alone, without Lambda"
    )


def ends_in_softmax(model: keras.Model) -> bool:
    """Whether a model returns probabilities; else it returns logits.

    Raises:
        ModelUnfit: It ends in another activation.
    """
    activation = last_activation(model)
    if activation not in ("", SOFTMAX):
        raise ModelUnfit(f"its model ends in {activation}; expected a softmax, or no activation at all")
    return activation == SOFTMAX


def last_activation(model: keras.Model) -> str:
    """The activation that a model ends in, such as ``softmax``; empty for none."""
    last = last_operation(model)
    if type(last).__name__ == "Softmax":
        return SOFTMAX
    activation = getattr(last, "activation", None)
    if activation in (None, keras.activations.linear):
        return ""
    return str(getattr(activation, "__name__", activation))


def last_operation(model: keras.Model) -> Any:
    """The last operation of a model that changes a number, within the net that it may end in."""
    operation = model.outputs[0]._keras_history.operation
    while True:
        if isinstance(operation, keras.Model):
            return last_operation(operation)
        passes = type(operation).__name__ in PASSING or (
            type(operation).__name__ == "Activation" and operation.activation is keras.activations.linear
        )
        if not passes:
            return operation
        operation = operation.input._keras_history.operation


def _own_functions(model: keras.Model) -> Iterator[str]:
    """The names of functions in layers that are not Keras's, such as an activation, which no config names."""
    for layer in model._flatten_layers(include_self=False):
        for value in vars(layer).values():
            if inspect.isfunction(value) and not _is_keras(value.__module__):
                yield "a function of your own (a lambda)" if value.__name__ == "<lambda>" else value.__name__


def _foreign(config: Any) -> Iterator[str]:
    """The names of all classes and functions that are not Keras's in the config of a model."""
    if isinstance(config, dict):
        kind, module = config.get("class_name"), config.get("module", "keras")
        if kind == "function":
            yield str(config["config"])
        elif kind in ("Lambda", "__lambda__") or (kind and not _is_keras(module)):
            yield str(kind)
        config = list(config.values())
    if isinstance(config, list | tuple):
        for one in config:
            yield from _foreign(one)


def _is_keras(module: object) -> bool:
    return str(module).partition(".")[0] == "keras"


def _fits(shape: Any, wanted: Shape) -> bool:
    """Whether a shape is the wanted one, or leaves the size of images open."""
    if not isinstance(shape, tuple) or len(shape) != len(wanted):
        return False
    return (
        all(there in (None, here) for there, here in zip(shape[:-1], wanted[:-1], strict=True))
        and shape[-1] == wanted[-1]
    )


def _shape(shape: Any) -> str:
    """A shape in words, without the number of images unless that is fixed."""
    if not isinstance(shape, tuple) or not isinstance(shape[0], int | None):
        return f"{len(shape)} tensors"
    words = "x".join(map(str, shape[1:])) or "one number"
    return words if shape[0] is None else f"{words} in batches of {shape[0]} alone"

"""Whether a net that a user's code has built can be searched: trained, scored and brought along by an export.

What is asked is what the contract of a space says (``spaces.contract.Space``). A net that does otherwise would mostly
still train: one that ends in a softmax, for example, has its probabilities taken for logits, so that its loss, its
confidences and with them the ranking of trials are wrong. So each is looked at before its first step.
"""

from collections.abc import Iterator
from typing import Any

import keras

from spaces.user_model import ModelUnfit

Shape = tuple[int | None, ...]


def check_net(model: Any, taken: Shape | None, classes: int, maker: str = "it") -> None:
    """Check all of a net but its end, see ``ends_in_softmax``.

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
    if not model.built:
        if taken is None:
            raise ModelUnfit(f"{maker} returned a model without an Input; expected one that begins with it")
        model.build(taken)
    foreign = next(_foreign(keras.saving.serialize_keras_object(model)["config"]), "")
    if foreign or not type(model).__module__.startswith("keras."):
        raise ModelUnfit(
            f"its model is made with {foreign or type(model).__name__}, which an export could not bring along; "
            "expected layers and functions of Keras alone, without Lambda"
        )
    if taken is not None and not _fits(model.input_shape, taken):
        raise ModelUnfit(
            f"its model takes {_shape(model.input_shape)}, and the images are {_shape(taken)}; mend its Input, "
            "or resize them with --image-size"
        )
    if not _fits(model.output_shape, (None, classes)):
        raise ModelUnfit(
            f"its model returns {_shape(model.output_shape)}; expected {_shape((None, classes))}, a number for each of "
            f"the {classes} classes"
        )


def check_logits(model: keras.Model) -> None:
    """Refuse a space's net that returns probabilities, which would be taken for logits.

    Raises:
        ModelUnfit: It ends in a softmax or in another activation.
    """
    if ends_in_softmax(model):
        raise ModelUnfit(
            "its model ends in a softmax; expected logits: take the activation of the last layer away"
        )


def ends_in_softmax(model: keras.Model) -> bool:
    """Whether a model returns probabilities; else it returns logits.

    Raises:
        ModelUnfit: It ends in another activation.
    """
    last = last_operation(model)
    activation = getattr(last, "activation", None)
    if type(last).__name__ == "Softmax" or activation is keras.activations.softmax:
        return True
    if activation not in (None, keras.activations.linear):
        name = getattr(activation, "__name__", activation)
        raise ModelUnfit(f"its model ends in {name}; expected a softmax, or no activation at all")
    return False


def last_operation(model: keras.Model) -> Any:
    """The last operation of a model, within the net that it may end in."""
    operation = model.outputs[0]._keras_history.operation
    return last_operation(operation) if isinstance(operation, keras.Model) else operation


def _foreign(config: Any) -> Iterator[str]:
    """The names of all classes and functions that are not Keras's in the config of a model."""
    if isinstance(config, dict):
        kind, module = config.get("class_name"), config.get("module", "keras")
        if kind == "function":
            yield str(config["config"])
        elif kind in ("Lambda", "__lambda__") or (kind and not str(module).startswith("keras")):
            yield str(kind)
        config = list(config.values())
    if isinstance(config, list | tuple):
        for one in config:
            yield from _foreign(one)


def _fits(shape: Any, wanted: Shape) -> bool:
    """Whether a shape is the wanted one, or leaves the size of images open."""
    if not isinstance(shape, tuple) or len(shape) != len(wanted):
        return False
    return (
        all(there in (None, here) for there, here in zip(shape[:-1], wanted[:-1], strict=True))
        and shape[-1] == wanted[-1]
    )


def _shape(shape: Any) -> str:
    """A shape in words, without the number of images."""
    return (
        "x".join(map(str, shape[1:]))
        if isinstance(shape, tuple) and isinstance(shape[0], int | None)
        else f"{len(shape)} tensors"
    )

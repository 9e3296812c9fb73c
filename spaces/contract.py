"""What a space is: a module with ``sample``, ``cost`` and ``build``.

A module (ours, or a user's ``my_package.my_space``) is a space when it has the three functions below. It may also have
``recipe(params, input_spec) -> Recipe``, ``adapt(model, images)`` and ``first(input_spec) -> list[params]``.
A space over a frozen backbone has ``backbone``, ``frozen`` and ``head`` as well: what the frozen part says of an image
is computed once for all trials, which train heads on it.
Nothing in it may import Keras at module level: sampling happens in a process that never loads it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from spaces.recipe import Recipe

if TYPE_CHECKING:
    import keras
    import numpy as np
    import optuna

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Backbone:
    """A pretrained net without its head, frozen: raw RGB pixels go in, pooled features ``(N, features)`` come out.

    Attributes:
        name: What it is called in params.
        said: As the user said it: a name of ``keras.applications``, or a file's path.
        digest: Of its content: what it is known by, wherever its file lies.
        features: How many numbers come out for an image.
        parameters: How many it has.
        side: The only size of image that it takes, pixels; 0 for any.
        least: The smallest size of image of which it leaves something, about, pixels.
        file: Where it lies on this host; empty until something is to be built from it.
    """

    name: str
    said: str
    digest: str
    features: int
    parameters: int
    side: int = 0
    least: int = 0
    file: str = ""


@dataclass(frozen=True)
class InputSpec:
    """What goes into a net and how many classes come out: images ``(N, height, width, channels)``, uint8, 0 to 255.

    Attributes:
        height: Of the images, pixels.
        width: Of the images, pixels.
        channels: 1 or 3.
        classes: How many.
        size: Side in pixels to which a net enlarges them for its backbone; 0 for their own size.
        backbones: Those that may be chosen from, in a space over a frozen backbone.
    """

    height: int
    width: int
    channels: int
    classes: int
    size: int = 0
    backbones: tuple[Backbone, ...] = ()


class Cost(NamedTuple):
    """Size of a net: trainable parameters, and floating-point operations (2 a multiply-add) of one image forward."""

    parameters: int
    flops: int


class Space(Protocol):
    """The functions of a space, once for all of them.

    ``sample`` must suggest through ``trial`` alone (no randomness of its own) and return plain values; ``build`` must
    depend on its arguments alone, return an uncompiled model from raw pixels ``(N, H, W, C)`` in 0 to 255 to logits
    ``(N, classes)`` in float32, with normalisation inside, augmentation outside, and no Lambda or custom class.
    """

    def sample(self, trial: "optuna.trial.BaseTrial", input_spec: InputSpec) -> dict[str, Any]:
        """Suggest one configuration."""

    def cost(self, params: Params, input_spec: InputSpec) -> Cost:
        """Plain arithmetic, exact for parameters, convolutions and dense layers; no Keras."""

    def build(self, params: Params, input_spec: InputSpec) -> "keras.Model":
        """The net itself."""

    def recipe(self, params: Params, input_spec: InputSpec) -> Recipe:
        """Optional: how to train it; by default ``Recipe()``."""

    def adapt(self, model: "keras.Model", images: "np.ndarray") -> None:
        """Optional: set what depends on the data (mean and variance) from training images ``(N, H, W, C)``, uint8."""

    def first(self, input_spec: InputSpec) -> list[dict[str, Any]]:
        """Optional: configurations to try before any sampling, each with a value for every sampled parameter."""

    def backbone(self, params: Params, input_spec: InputSpec) -> Backbone:
        """Optional, with ``frozen`` and ``head``: which backbone these params choose; no Keras."""

    def frozen(self, params: Params, input_spec: InputSpec) -> "keras.Model":
        """The part that is never trained: raw pixels ``(N, H, W, C)`` to features ``(N, F)``, float32."""

    def head(self, params: Params, input_spec: InputSpec) -> "keras.Model":
        """The part that is: features ``(N, F)`` to logits; ``adapt`` is then given it, and features for images."""

    def tune(self, model: "keras.Model") -> None:
        """Optional: let the last part of the backbone in the whole net be trained, too, in a second phase."""

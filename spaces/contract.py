"""The contract of a space: which functions a module needs to be one, and what they take and return.

A module, ours or a user's (``my_package.my_space``), is a space if it has ``sample``, ``cost`` and ``build``. It may
also have ``recipe``, ``adapt`` and ``first``. A space over a frozen backbone has ``backbone``, ``frozen`` and ``head``
as well, and perhaps ``tune``: the frozen part's features of each image are then computed once, and all trials train
heads on them. A space must not import Keras at module level, since the process that samples never loads it.

A study goes on only with the space that it was made with. A user's space is known by its code (``spaces.source``); a
registered one by its ``VERSION``, a whole number that is raised by whoever changes its ranges, costs, nets or recipes.
"""

import dataclasses
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
    """A pretrained net without its head, frozen, from raw RGB pixels to pooled features ``(N, features)``.

    Attributes:
        name: Its name in params.
        said: What the user named it by: a name of ``keras.applications`` or a file's path. It is stored under this key
            on a study.
        digest: A hash of its content, which identifies it wherever its file is.
        features: The number of features of an image.
        parameters: The number of its parameters.
        side: The only size of image that it takes, in pixels a side; 0 for any.
        least: About the smallest size of image of which its layers leave something, in pixels a side.
        file: The path of its file on this host; empty until something is to be built from it.
        at: The side in pixels to which images are resized for it, where it is a part of a joined one; 0 for that of
            the study.
        parts: Those whose features it gives side by side, where it is several joined, or one at several sizes. It has
            no file of its own then.
    """

    name: str
    said: str
    digest: str
    features: int
    parameters: int
    side: int = 0
    least: int = 0
    file: str = ""
    at: int = 0
    parts: tuple["Backbone", ...] = ()

    @property
    def nets(self) -> tuple["Backbone", ...]:
        """Those that have a file: its parts, or itself alone."""
        return self.parts or (self,)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Backbone":
        """One of plain values, as ``dataclasses.asdict`` gives them; what a newer version has beside these is left."""
        known = {one.name for one in dataclasses.fields(cls)}
        parts = tuple(cls.of(part) for part in values.get("parts", ()))
        return cls(**{name: value for name, value in values.items() if name in known} | {"parts": parts})


@dataclass(frozen=True)
class InputSpec:
    """What a net is given, images ``(N, height, width, channels)`` as uint8 from 0 to 255, and how many classes it has.

    Attributes:
        height: Height of the images, in pixels.
        width: Width of the images, in pixels.
        channels: 1 or 3.
        classes: The number of classes.
        size: The size to which the net resizes the images for its backbone, see ``sides``; 0 for none.
        backbones: The backbones to choose from, in a space over a frozen backbone.
        compute: Training FLOPs that a trial has for each of its images, by which ``first`` may choose how large the
            default is; 0 where that is not known. Nothing else is told it, since no net depends on it.
    """

    height: int
    width: int
    channels: int
    classes: int
    size: int | str = 0
    backbones: tuple[Backbone, ...] = ()
    compute: float = 0.0

    def seen_by(self, backbone: Backbone) -> int | str:
        """The size to which the net resizes the images for one of its backbones, see ``sides``; 0 for none."""
        if not backbone.at:
            return self.size
        return 0 if sides(backbone.at) == (self.height, self.width) else backbone.at


def sides(size: int | str) -> tuple[int, int]:
    """Height and width of a size in pixels: the side of a square, or ``32x64``, 32 high and 64 wide."""
    if isinstance(size, int):
        return size, size
    height, _, width = size.partition("x")
    return int(height), int(width)


class Cost(NamedTuple):
    """What a net costs.

    Attributes:
        parameters: Trainable parameters.
        flops: Floating-point operations of one image's forward pass, 2 for each multiply-add.
    """

    parameters: int
    flops: int


class ContractBroken(ValueError):
    """What a space has built is not what this contract says; in one line."""


class Space(Protocol):
    """The functions of a space; the spaces themselves do not repeat what is said here.

    ``sample`` draws from ``trial`` alone, without randomness of its own, and returns plain values. ``build`` depends on
    its arguments alone. It returns an uncompiled model from raw pixels ``(N, H, W, C)``, 0 to 255, to logits ``(N,
    classes)``, float32, with normalisation inside, augmentation outside, and without Lambda layers or custom classes.
    """

    def sample(self, trial: "optuna.trial.BaseTrial", input_spec: InputSpec) -> dict[str, Any]:
        """Sample one configuration."""

    def cost(self, params: Params, input_spec: InputSpec) -> Cost:
        """The net's cost by plain arithmetic, without Keras; exact for parameters, convolutions and dense layers."""

    def build(self, params: Params, input_spec: InputSpec) -> "keras.Model":
        """Build the net."""

    def recipe(self, params: Params, input_spec: InputSpec) -> Recipe:
        """Optional: how to train the net; by default ``Recipe()``."""

    def adapt(self, model: "keras.Model", images: "np.ndarray") -> None:
        """Optional: set what depends on the data, such as a mean, from training images ``(N, H, W, C)``, uint8."""

    def first(self, input_spec: InputSpec) -> list[dict[str, Any]]:
        """Optional: configurations to try first, each with a value for every sampled parameter; the default leads.

        The others are a portfolio: known to be good on other data. Sampling begins around all of them.
        """

    def backbone(self, params: Params, input_spec: InputSpec) -> Backbone:
        """Optional, with ``frozen`` and ``head``: the backbone that these params choose, without Keras."""

    def frozen(self, params: Params, input_spec: InputSpec) -> "keras.Model":
        """The part that is not trained: from raw pixels ``(N, H, W, C)`` to features ``(N, F)``, float32."""

    def head(self, params: Params, input_spec: InputSpec) -> "keras.Model":
        """The part that is trained: from features ``(N, F)`` to logits; ``adapt`` is given it, with features."""

    def tune(self, model: "keras.Model") -> None:
        """Optional: make the last part of the backbone in the whole net trainable, for a second phase of training."""

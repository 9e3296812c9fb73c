"""The space for photographs without a backbone: the nets and the recipe of ``cnn``, fewer filters, stronger views.

Photographs are larger than the images that ``cnn`` is made for, and there are fewer of them. So its nets begin with
half as many filters, and while they train, photographs are turned, zoomed, moved and changed in contrast.
"""

import dataclasses
from typing import TYPE_CHECKING, Any

from spaces import cnn
from spaces.contract import Cost, InputSpec, Params
from spaces.recipe import Recipe

if TYPE_CHECKING:
    import keras
    import numpy as np
    import optuna

VERSION = 2
FILTERS = (8, 48)


def sample(trial: "optuna.trial.BaseTrial", input_spec: InputSpec) -> dict[str, Any]:
    """Sample one configuration; the image size decides the range of the depth."""
    return cnn.sample_of(trial, input_spec, FILTERS)


def cost(params: Params, input_spec: InputSpec) -> Cost:
    """The cost of the net that ``build`` makes."""
    return cnn.cost(params, input_spec)


def build(params: Params, input_spec: InputSpec) -> "keras.Model":
    """Build the net, from raw pixels ``(N, H, W, C)``, 0 to 255, to logits ``(N, classes)``, float32."""
    return cnn.build(params, input_spec)


def recipe(params: Params, input_spec: InputSpec) -> Recipe:
    """As of ``cnn``, with the views of photographs."""
    return dataclasses.replace(cnn.recipe(params, input_spec), augmenter="photographs")


def adapt(model: "keras.Model", images: "np.ndarray") -> None:
    """Set the mean, the variance and the whitening filters from training images ``(N, H, W, C)``, uint8."""
    cnn.adapt(model, images)


def first(input_spec: InputSpec) -> list[dict[str, Any]]:
    """The default configuration, to try before any sampling."""
    return [{**cnn.first(input_spec)[0], "filters": 16}]

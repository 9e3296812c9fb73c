"""The space for folders of photographs: ten parameters, all always active, around the bears-and-pandas notebook's net.

The net has blocks of [Conv 3x3, Conv 3x3, MaxPool 2] with filters that double, dropout after every pool but the last,
then a head and two dense layers with dropout. It is ``cnn_wide`` in which everything that some hundred photographs
cannot decide is as in the notebook.
"""

import dataclasses
from typing import TYPE_CHECKING, Any

from spaces import cnn_wide
from spaces.contract import Cost, InputSpec, Params
from spaces.notebook_nets import notebook_nets
from spaces.recipe import Recipe

if TYPE_CHECKING:
    import keras
    import numpy as np
    import optuna

VERSION = 1
MOST_BLOCKS = 5
FEWEST_FILTERS = 16
# With this, the notebook's 500 images keep its batches of 32. On 164 photographs of ants and bees these would make five
# steps an epoch: after 20 epochs the default's validation loss is 1.0 then, and 0.6 with batches of 8.
LEAST_STEPS = 15
FIXED: dict[str, Any] = {
    "growth": 2.0,
    "convolutions": 2,
    "kernel": 3,
    "padding": "same",
    "last_pool": True,
    "last_dropout": False,
    "dense_layers": 2,
    "dense_l2": 0.001,
    "standardize": True,
    "optimizer": "adam",
    "batch_size": 32,
    "label_smoothing": 0.0,
}


def sample(trial: "optuna.trial.BaseTrial", input_spec: InputSpec) -> dict[str, Any]:
    """Sample one configuration; filters that do not fit under the default bounds on cost become as many as do."""
    params: dict[str, Any] = {
        "blocks": trial.suggest_int("blocks", *_depths(input_spec)),
        "filters": trial.suggest_int("filters", FEWEST_FILTERS, 48, step=8),
        "batch_norm": trial.suggest_categorical("batch_norm", (False, True)),
        "head": trial.suggest_categorical("head", ("flatten", "average", "max")),
        "dense_width": trial.suggest_int("dense_width", 32, 256, log=True),
        "block_dropout": trial.suggest_float("block_dropout", 0.0, 0.5),
        "dense_dropout": trial.suggest_float("dense_dropout", 0.0, 0.5),
        "rate": trial.suggest_float("rate", 0.1, 3.0, log=True),
        "schedule": trial.suggest_categorical("schedule", ("constant", "one_cycle")),
        "augmentation": trial.suggest_float("augmentation", 0.0, 2.0),
    }
    widest = cnn_wide.widest(whole(params), input_spec) // 8 * 8
    return {**params, "filters": min(params["filters"], max(FEWEST_FILTERS, widest))}


def whole(params: Params) -> dict[str, Any]:
    """A value for each parameter of ``cnn_wide``."""
    return {**FIXED, **params}


def cost(params: Params, input_spec: InputSpec) -> Cost:
    """The cost of the net that ``build`` makes."""
    return cnn_wide.cost(whole(params), input_spec)


def build(params: Params, input_spec: InputSpec) -> "keras.Model":
    """Build the net, from raw pixels ``(N, H, W, C)``, 0 to 255, to logits ``(N, classes)``, float32."""
    return cnn_wide.build(whole(params), input_spec)


def recipe(params: Params, input_spec: InputSpec) -> Recipe:
    """Adam and batches of 32, or fewer for few images; photographs are turned, zoomed, moved, changed in contrast."""
    wide = cnn_wide.recipe(whole(params), input_spec)
    return dataclasses.replace(wide, augmenter="photographs", least_steps=LEAST_STEPS)


def adapt(model: "keras.Model", images: "np.ndarray") -> None:
    """Set the mean and variance of the pixels from training images ``(N, H, W, C)``, uint8."""
    cnn_wide.adapt(model, images)


def first(input_spec: InputSpec) -> list[dict[str, Any]]:
    """The configurations to try before any sampling: a default, and the notebook's net with its recipe."""
    fewest, most = _depths(input_spec)
    default = {
        "blocks": max(fewest, most - 1),
        "filters": 32,
        "batch_norm": True,
        "head": "average",
        "dense_width": 128,
        "block_dropout": 0.15,
        "dense_dropout": 0.25,
        "rate": 1.0,
        "schedule": "one_cycle",
        "augmentation": 1.0,
    }
    _, bears = notebook_nets()["bears"]
    notebook = {name: bears[name] for name in default}
    return [default, {**notebook, "blocks": min(most, max(fewest, notebook["blocks"]))}]


def _depths(input_spec: InputSpec) -> tuple[int, int]:
    """The fewest and the most blocks, which leave about 4 to 16 pixels a side (3 to 5 blocks at 128x128)."""
    halvings = min(input_spec.height, input_spec.width).bit_length() - 1
    return max(1, min(MOST_BLOCKS, halvings - 4)), max(1, min(MOST_BLOCKS, halvings - 2))

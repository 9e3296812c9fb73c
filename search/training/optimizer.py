"""A recipe's optimizer and schedule, in Keras's own classes where there is one."""

import math
from typing import Any

import keras

from spaces.recipe import Recipe

START_FRACTION = 0.2


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises linearly from a fifth of ``peak``, then falls linearly to zero.

    Smith and Topin, Super-Convergence, https://arxiv.org/abs/1708.07120, in airbench's triangular form.

    Args:
        peak: The highest learning rate.
        steps: Optimizer updates of the whole training.
        warmup: Fraction of the steps on the way up.
    """

    def __init__(self, peak: float, steps: int, warmup: float) -> None:
        self.peak, self.steps, self.warmup = peak, steps, warmup

    def __call__(self, step: Any) -> Any:
        """The rate at optimizer update ``step``."""
        progress = keras.ops.cast(step, "float32") / self.steps
        up = START_FRACTION + (1 - START_FRACTION) * progress / max(self.warmup, 1e-9)
        down = keras.ops.maximum(1 - progress, 0.0) / max(1 - self.warmup, 1e-9)
        return self.peak * keras.ops.minimum(up, down)

    def get_config(self) -> dict[str, float]:
        """As Keras asks of a schedule."""
        return {"peak": self.peak, "steps": self.steps, "warmup": self.warmup}


def make_optimizer(recipe: Recipe, steps: int, accumulate: int = 1) -> keras.optimizers.Optimizer:
    """The optimizer of ``recipe`` for a training of ``steps`` updates.

    Weight decay is decoupled and spares biases and batch normalisation. Where gradients are accumulated over
    ``accumulate`` batches, Keras asks its schedule, and moves its averages, at each of them.
    """
    settings: dict[str, Any] = {
        "learning_rate": _schedule(recipe, steps * accumulate),
        "weight_decay": recipe.weight_decay or None,
        "gradient_accumulation_steps": accumulate if accumulate > 1 else None,
    }
    if recipe.ema:
        settings |= {"use_ema": True, "ema_momentum": recipe.ema ** (1 / accumulate)}
    if recipe.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(momentum=recipe.momentum, nesterov=recipe.momentum > 0, **settings)
    else:
        optimizer = keras.optimizers.Adam(**settings)
    if recipe.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _schedule(recipe: Recipe, steps: int) -> Any:
    if recipe.schedule == "constant":
        return recipe.learning_rate
    if recipe.schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(recipe.learning_rate, max(steps, 1))
    return OneCycle(recipe.learning_rate, max(steps, 1), recipe.warmup)


def updates(images: int, batch_size: int, epochs: int) -> int:
    """Number of optimizer updates in a training, which leaves incomplete batches out."""
    return epochs * math.floor(images / min(batch_size, images))

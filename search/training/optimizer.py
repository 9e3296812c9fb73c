"""A recipe's optimizer and schedule, in Keras's own classes where there is one."""

import math
from typing import Any

import keras

from spaces.recipe import Recipe

START_FRACTION = 0.2
KERNEL_AXES = 4  # Of a convolution: height, width, channels, filters.
KERNEL_MOMENTUM = 0.6
NEWTON_SCHULZ_STEPS = 3


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


class Muon(keras.optimizers.SGD):
    """Muon for the kernels of convolutions; SGD with Nesterov momentum for all other weights.

    K. Jordan and others, Muon, https://kellerjordan.github.io/posts/muon, as in airbench94_muon. A kernel's gradient,
    summed with momentum, is seen as a matrix with one column a filter, and replaced by the nearest matrix whose columns
    are orthogonal and of length 1: all filters then change by as much, in directions of their own. Before each step the
    kernel is scaled to the same size as such a matrix, so that a rate of 0.1 turns every kernel by about a tenth,
    whatever its layer.

    Keras's ``Muon`` takes matrices only, and Adam for the rest; its Newton-Schulz iteration is the one used here.

    Args:
        kernel_rate: The part of a kernel that one step changes, at the schedule's peak.
        peak: The highest learning rate, of the other weights.
        more: As of Keras's ``SGD``.
    """

    def __init__(self, kernel_rate: float, peak: float, **more: Any) -> None:
        super().__init__(**more)
        self.kernel_rate, self.peak = kernel_rate, peak
        self._nearest_orthogonal = keras.optimizers.Muon().zeropower_via_newtonschulz5

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Change one variable."""
        if len(variable.shape) != KERNEL_AXES:
            super().update_step(gradient, variable, learning_rate)
            return
        ops, momentum = keras.ops, self.momentums[self._get_variable_index(variable)]
        self.assign(momentum, KERNEL_MOMENTUM * momentum + gradient)
        ahead = gradient + KERNEL_MOMENTUM * momentum
        filters = variable.shape[-1]
        step = self._nearest_orthogonal(ops.reshape(ahead, (-1, filters)), NEWTON_SCHULZ_STEPS)
        size = ops.sqrt(ops.sum(ops.square(variable)))
        kept = variable * (math.sqrt(filters) / size)
        self.assign(
            variable, kept - self.kernel_rate * learning_rate / self.peak * ops.reshape(step, variable.shape)
        )


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
    optimizer: keras.optimizers.Optimizer
    if recipe.is_exact:
        return keras.optimizers.SGD(0.0)  # It takes no step: see ``search.training.logistic``.
    if recipe.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(momentum=recipe.momentum, nesterov=recipe.momentum > 0, **settings)
    elif recipe.optimizer == "muon":
        optimizer = Muon(
            recipe.kernel_rate,
            recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=recipe.momentum > 0,
            **settings,
        )
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

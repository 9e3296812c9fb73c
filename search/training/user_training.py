"""How a user's compiled model is trained: by its own optimizer, loss and metrics, on batches that suit them."""

from typing import Any

import keras
import numpy as np

from search.training.batches import TrainingFeed
from search.training.user_model import LOSSES, WHITE, loss_of
from spaces.user_model import ModelUnfit

ACCURACY = "accuracy"


def own_training(model: keras.Model, accumulate: int) -> keras.Model:
    """A compiled model, ready to be trained as it is compiled; its accuracy is told, too, if it is not already.

    Args:
        model: What ``prepared`` gave.
        accumulate: Over how many batches gradients are accumulated, after memory ran out.

    Raises:
        ModelUnfit: Its optimizer would come out otherwise with smaller batches.
    """
    compiled = getattr(model, "_compile_metrics", None)
    metrics = keras.tree.flatten(getattr(compiled, "_user_metrics", None) or [])
    if ACCURACY not in [getattr(metric, "name", metric) for metric in metrics]:
        model.compile(
            optimizer=model.optimizer,
            loss=model.loss,
            loss_weights=model._compile_loss._user_loss_weights,
            metrics=[*metrics, ACCURACY],
            weighted_metrics=getattr(compiled, "_user_weighted_metrics", None),
            run_eagerly=model.run_eagerly,
            jit_compile=model.jit_compile,
            steps_per_execution=model.steps_per_execution,
        )
    optimizer = model.optimizer
    if accumulate > 1:
        schedule = isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule)
        if schedule or optimizer.gradient_accumulation_steps or optimizer.use_ema:
            raise ModelUnfit(
                "memory ran out, and batches cannot be halved beside a schedule, an average or an accumulation of its "
                "optimizer's own; expected a smaller batch_size"
            )
        optimizer.gradient_accumulation_steps = accumulate
    optimizer.build(model.trainable_variables)
    return model


def takes_class_numbers(model: keras.Model) -> bool:
    """Whether a compiled model's loss takes class numbers, not a row of zeros and a one."""
    return LOSSES[loss_of(model)[0]]


class UserFeed(TrainingFeed):
    """Batches as a compiled model of a user's takes them: float32, and pixels from 0 to 1 where it scales none itself.

    Args:
        scaled: Whether pixels go from 0 to 1, not to 255.
        numbers: Whether labels are class numbers, not rows of zeros and a one.
        more: As of ``TrainingFeed``.
    """

    def __init__(self, *args: Any, scaled: bool, numbers: bool, **more: Any) -> None:
        super().__init__(*args, **more)
        self._scaled, self._numbers = scaled, numbers

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        batch, targets, *weights = super().__getitem__(index)
        batch = np.asarray(batch, "float32")
        if self._numbers:
            targets = targets.argmax(axis=1)
        return (batch / WHITE if self._scaled else batch, targets, *weights)

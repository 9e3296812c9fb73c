"""Scores on the validation images, of exactly the weights in the model, from one pass."""

import math
from collections.abc import Callable

import keras
import numpy as np

from search.evaluation.forward import logits
from search.evaluation.scores import Scores


def validate(
    model: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    chosen: np.ndarray,
    pulse: Callable[[], None] | None = None,
) -> dict[str, float]:
    """Loss (cross-entropy in nats, never smoothed or weighted), accuracy and macro F1; NaN where the net diverged.

    Args:
        model: From raw pixels to logits.
        images: ``(N, H, W, C)``, uint8, may be memory-mapped.
        labels: ``(N,)``, int64.
        chosen: ``(M,)``: the validation images among them.
        pulse: Called after each batch.
    """
    outputs = logits(model, images, chosen, pulse)
    if not np.isfinite(outputs).all():
        return dict.fromkeys(("val_loss", "val_accuracy", "val_macro_f1"), math.nan)
    found = Scores(labels[chosen], outputs)
    return {"val_loss": found.loss, "val_accuracy": found.accuracy, "val_macro_f1": found.macro_f1}

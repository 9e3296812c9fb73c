"""Scores on the validation images, of exactly the weights in the model, from one pass."""

import math
from collections.abc import Callable, Sequence

import keras
import numpy as np

from search.metrics.classification import Scores, validated
from search.metrics.inference import FastestBatch, logits

# With more classes a confusion matrix is no picture, and long to send.
MOST_CLASSES = 50


def validate(
    model: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    chosen: np.ndarray,
    pulse: Callable[[], None] | None = None,
    metric: str = "accuracy",
    classes: Sequence[str] = (),
    fastest: FastestBatch | None = None,
) -> tuple[dict[str, float], list[list[int]]]:
    """Score the model on the validation images.

    Args:
        model: From raw pixels to logits.
        images: ``(N, H, W, C)``, uint8, may be memory-mapped.
        labels: ``(N,)``, int64.
        chosen: ``(M,)``: the validation images among them.
        pulse: Called after each batch.
        metric: The study's.
        classes: Names of the classes, for a metric of one of them.
        fastest: Is told of the time of each batch.

    Returns:
        ``val_loss`` (cross-entropy in nats, never smoothed or weighted), ``val_accuracy``, ``val_macro_f1`` and that of
        the study's metric, NaN where the net diverged; and the confusion matrix, true classes by predicted ones, empty
        where it diverged, or for more than ``MOST_CLASSES``.
    """
    outputs = logits(model, images, chosen, pulse, fastest)
    if not np.isfinite(outputs).all():
        return {f"val_{name}": math.nan for name in validated(metric)}, []
    found, small = Scores(labels[chosen], outputs), outputs.shape[1] <= MOST_CLASSES
    return found.validation_figures(metric, classes), found.confusion_matrix.tolist() if small else []

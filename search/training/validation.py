"""Scores on the validation images, of exactly the weights in the model, from one pass."""

import keras
import numpy as np
from sklearn.metrics import f1_score

from search.training.feed import PlainFeed


def predict_logits(
    model: keras.Model, images: np.ndarray, chosen: np.ndarray, batch_size: int = 500
) -> np.ndarray:
    """Logits ``(M, classes)``, float32, of the ``chosen`` of ``images`` ``(N, H, W, C)``."""
    logits: np.ndarray = model.predict(PlainFeed(images, chosen, batch_size), verbose=0)
    return logits.astype("float32")


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities ``(M, classes)``, float64, of ``logits``."""
    shifted = logits.astype("float64") - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    probabilities: np.ndarray = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities


def scores(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Loss (cross-entropy, nats, never smoothed or weighted), accuracy and macro F1.

    Args:
        logits: ``(M, classes)``.
        labels: ``(M,)``, int64.
    """
    shifted = logits.astype("float64") - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    loss = float(np.mean(log_sum - shifted[np.arange(len(labels)), labels]))
    predicted = logits.argmax(axis=1)
    return {
        "val_loss": loss,
        "val_accuracy": float(np.mean(predicted == labels)),
        "val_macro_f1": float(f1_score(labels, predicted, average="macro", zero_division=0.0)),
    }

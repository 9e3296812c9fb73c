"""What one pass of a model over labelled images gave, and the figures that follow from it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def log_probabilities(logits: npt.ArrayLike, temperature: float = 1.0) -> Floats:
    """Logarithm of the softmax of ``logits / temperature`` ``(N, classes)``, in float64 and without overflow."""
    values = np.asarray(logits, dtype=np.float64) / temperature
    shifted = values - values.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), dtype=np.float64)


@dataclass(frozen=True)
class Scores:
    """Labels and logits of the same images, in the same order; all figures of an export come from these.

    Attributes:
        labels: True class of each image, ``(N,)``, int64, each below the number of classes.
        logits: The model's outputs, ``(N, classes)``, float32.
        temperature: What they are divided by on their way to probabilities; it changes no predicted class.

    Raises:
        ValueError: Lengths that differ, no image, a label out of range, or an output that is not finite.
    """

    labels: Integers
    logits: npt.NDArray[np.float32]
    temperature: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what no figure may be computed from."""
        if self.logits.ndim != 2 or len(self.labels) != len(self.logits) or len(self.labels) == 0:
            raise ValueError(
                f"{self.labels.shape} labels do not belong to logits of shape {self.logits.shape}"
            )
        if not np.isfinite(self.logits).all():
            raise ValueError("the model's outputs are not all finite: these weights have diverged")
        if self.labels.min() < 0 or self.labels.max() >= self.logits.shape[1]:
            raise ValueError(f"labels lie outside 0 to {self.logits.shape[1] - 1}")

    @cached_property
    def probabilities(self) -> Floats:
        """Softmax of the logits over the temperature, ``(N, classes)``."""
        return np.asarray(np.exp(log_probabilities(self.logits, self.temperature)), dtype=np.float64)

    @cached_property
    def predicted(self) -> Integers:
        """The likeliest class of each image, ``(N,)``."""
        return np.asarray(self.logits.argmax(axis=1), dtype=np.int64)

    @property
    def confidence(self) -> Floats:
        """Probability of the predicted class of each image, ``(N,)``."""
        return np.asarray(self.probabilities[np.arange(len(self.labels)), self.predicted], dtype=np.float64)

    @property
    def accuracy(self) -> float:
        """Fraction of the images that were classified right."""
        return float(np.mean(self.predicted == self.labels))

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy, by Wilson's score: right near 0 and 1 and for few images too."""
        return wilson(int(np.sum(self.predicted == self.labels)), len(self.labels))

    @property
    def loss(self) -> float:
        """Mean cross-entropy, in nats, without label smoothing."""
        losses = -log_probabilities(self.logits, self.temperature)[np.arange(len(self.labels)), self.labels]
        return float(losses.mean())

    @cached_property
    def confusion_matrix(self) -> Integers:
        """Counts, ``(true classes, predicted classes)``.

        Raises:
            ValueError: Its trace over its sum is not the accuracy.
        """
        classes = self.logits.shape[1]
        flat = np.bincount(self.labels * classes + self.predicted, minlength=classes * classes)
        matrix = flat.reshape(classes, classes).astype(np.int64)
        if not np.isclose(matrix.trace() / matrix.sum(), self.accuracy, rtol=0, atol=1e-12):
            raise ValueError(
                f"the confusion matrix says {matrix.trace() / matrix.sum():.6f}, the predictions say "
                f"an accuracy of {self.accuracy:.6f}"
            )
        return matrix

    @cached_property
    def f1(self) -> Floats:
        """F1 of each class, ``(classes,)``; 0 for one neither present nor predicted, as in scikit-learn."""
        matrix = self.confusion_matrix
        both = matrix.sum(axis=0) + matrix.sum(axis=1)
        return np.asarray(2 * np.diag(matrix) / np.maximum(both, 1), dtype=np.float64)

    @property
    def macro_f1(self) -> float:
        """Mean of F1 over classes."""
        return float(np.mean(self.f1))


def wilson(successes: int, count: int) -> tuple[float, float]:
    """95 % interval of a fraction, by Wilson's score (https://doi.org/10.1080/01621459.1927.10502953)."""
    from scipy.stats import binomtest  # here, because every trial's child imports this module

    found = binomtest(successes, count).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)

"""The outputs of a model for labelled images, and the figures that follow from them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

# So many mistakes are shown in pictures and named in files.
MOST_MISTAKES = 24

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def log_probabilities(logits: npt.ArrayLike, temperature: float = 1.0) -> Floats:
    """The logarithm of the softmax of ``logits / temperature``, both ``(N, classes)``, in float64, without overflow."""
    values = np.asarray(logits, dtype=np.float64) / temperature
    shifted = values - values.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), dtype=np.float64)


@dataclass(frozen=True)
class Scores:
    """Labels and logits of the same images, in the same order. All figures of an export are computed from these.

    Attributes:
        labels: The true class of each image, ``(N,)``, int64.
        logits: The model's outputs, ``(N, classes)``, float32.
        temperature: What the logits are divided by before the softmax; it changes no predicted class.

    Raises:
        ValueError: The lengths differ, there is no image, a label is out of range, or an output is not finite.
    """

    labels: Integers
    logits: npt.NDArray[np.float32]
    temperature: float = 1.0

    def __post_init__(self) -> None:
        """Check the labels and logits."""
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
        """The softmax of the logits divided by the temperature, ``(N, classes)``."""
        return np.asarray(np.exp(log_probabilities(self.logits, self.temperature)), dtype=np.float64)

    @cached_property
    def predicted(self) -> Integers:
        """The most probable class of each image, ``(N,)``."""
        return np.asarray(self.logits.argmax(axis=1), dtype=np.int64)

    @property
    def confidence(self) -> Floats:
        """The probability of each image's predicted class, ``(N,)``."""
        return np.asarray(self.probabilities[np.arange(len(self.labels)), self.predicted], dtype=np.float64)

    @property
    def mistaken(self) -> Integers:
        """The numbers of the images that are taken for another class, the surest mistakes first, ``(M,)``."""
        wrong = np.flatnonzero(self.predicted != self.labels)
        return np.asarray(wrong[np.argsort(-self.confidence[wrong], kind="stable")], dtype=np.int64)

    def described(
        self, indices: Integers, name: Callable[[int], str], classes: Sequence[str]
    ) -> list[dict[str, Any]]:
        """What some images are, and what they are taken for, as ``summary.json`` has it.

        Args:
            indices: Their numbers, ``(M,)``.
            name: Gives what a person knows an image by, of its number.
            classes: The classes' names.
        """
        confidence = self.confidence
        return [
            {
                "image": name(index),
                "true": classes[self.labels[index]],
                "predicted": classes[self.predicted[index]],
                "confidence": float(confidence[index]),
            }
            for index in indices.tolist()
        ]

    @property
    def accuracy(self) -> float:
        """The fraction of the images that are classified right."""
        return float(np.mean(self.predicted == self.labels))

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy; see ``wilson``."""
        return wilson(int(np.sum(self.predicted == self.labels)), len(self.labels))

    @property
    def loss(self) -> float:
        """The mean cross-entropy, in nats, without label smoothing."""
        losses = -log_probabilities(self.logits, self.temperature)[np.arange(len(self.labels)), self.labels]
        return float(losses.mean())

    @cached_property
    def confusion_matrix(self) -> Integers:
        """The number of images of each true and predicted class, ``(true classes, predicted classes)``.

        Raises:
            ValueError: Its trace divided by its sum is not the accuracy.
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
        """The F1 of each class, ``(classes,)``; see ``class_figures``."""
        return class_figures(self.confusion_matrix).f1

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the classes that are there or predicted."""
        return float(mean_of_defined(self.f1))

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that are there."""
        return float(mean_of_defined(class_figures(self.confusion_matrix).recall))

    @property
    def auc(self) -> float:
        """The mean area under the ROC curves of each class that is there, against all others; NaN for a single class.

        It is the chance that an image of a class gets a higher probability of it than an image of another class does.
        """
        from scipy.stats import rankdata  # Here, since every trial's child process imports this module.

        inside = np.bincount(self.labels)
        if np.count_nonzero(inside) < 2:
            return float("nan")
        # The images of a class, n of all N, whose ranks sum to R, win R - n (n + 1) / 2 of their n (N - n) pairs.
        ranks = rankdata(self.probabilities, axis=0)[np.arange(len(self.labels)), self.labels]
        wins = np.bincount(self.labels, weights=ranks) - inside * (inside + 1) / 2
        there = inside > 0
        return float(np.mean(wins[there] / (inside * (len(self.labels) - inside))[there]))

    def figure(self, metric: str, classes: Sequence[str]) -> float:
        """What ``--metric`` names, of these images; NaN where it has no meaning, as the recall of an absent class.

        Args:
            metric: One of ``search.config.study_settings.METRICS``, such as ``macro_f1`` or ``recall:cat``.
            classes: Names, in label order.
        """
        kind, _, name = metric.partition(":")
        if kind == "recall":
            return float(class_figures(self.confusion_matrix).recall[list(classes).index(name)])
        return float(getattr(self, kind))

    def validation_figures(self, metric: str, classes: Sequence[str]) -> dict[str, float]:
        """What a training reports of its validation images after each epoch, and the study's metric among it."""
        return {f"val_{name}": self.figure(name, classes) for name in validated(metric)}


def validated(metric: str) -> tuple[str, ...]:
    """The figures of validation images that every training reports, and the study's metric."""
    return tuple(dict.fromkeys(("loss", "accuracy", "macro_f1", metric)))


def one_image(metric: str, counts: Sequence[int], classes: Sequence[str]) -> float:
    """About the most that one image can change a metric by; 0 of the loss, which does not come in steps.

    Args:
        metric: As in ``Scores.figure``.
        counts: How many images there are of each class, in label order.
        classes: Names, in label order.
    """
    kind, _, name = metric.partition(":")
    if kind == "loss":
        return 0.0
    there = [counts[classes.index(name)]] if name else [count for count in counts if count]
    # Means over classes weigh the images of the smallest class most.
    images = len(there) * min(there) if kind in ("balanced_accuracy", "auc") else sum(there)
    return 1 / max(1, images)


class ClassFigures(NamedTuple):
    """Figures of each class, ``(..., classes)``, float64; NaN where a figure has no meaning.

    Attributes:
        precision: How many of those predicted as this class are of it; NaN where none is.
        recall: How many of those of this class are predicted as it; NaN where there is none.
        f1: The harmonic mean of both; NaN of a class that is neither there nor predicted.
    """

    precision: Floats
    recall: Floats
    f1: Floats


def class_figures(matrix: npt.ArrayLike) -> ClassFigures:
    """Precision, recall and F1 of each class: what every table, sentence and metric of the program is made from.

    A figure that has no meaning is NaN rather than 0, so that a class without an image neither lowers a mean nor
    counts as the weakest. scikit-learn's figures are the same with ``zero_division=numpy.nan``.

    Args:
        matrix: Counts, ``(true classes, predicted classes)``; further dimensions may stand before these.

    Example:
        >>> class_figures([[2, 0, 0], [0, 3, 0], [0, 0, 0]]).f1.tolist()
        [1.0, 1.0, nan]
    """
    counts = np.asarray(matrix, np.int64)
    return figures_of_counts(counts.diagonal(axis1=-2, axis2=-1), counts.sum(axis=-1), counts.sum(axis=-2))


def figures_of_counts(right: npt.ArrayLike, there: npt.ArrayLike, predicted: npt.ArrayLike) -> ClassFigures:
    """See ``class_figures``; of each class, how many images are right, are there and are predicted."""
    right, there, predicted = (np.asarray(counts, np.float64) for counts in (right, there, predicted))
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN that is meant.
        return ClassFigures(right / predicted, right / there, 2 * right / (there + predicted))


def mean_of_defined(figures: Floats, weights: Floats | None = None) -> Floats:
    """The mean over the classes (the last dimension) that have this figure; NaN where none has.

    Args:
        figures: Of each class, ``(..., classes)``.
        weights: Of each class, by default all alike.
    """
    defined = np.isfinite(figures)
    weighed = defined * (1.0 if weights is None else weights)
    with np.errstate(invalid="ignore"):
        return np.asarray((np.where(defined, figures, 0) * weighed).sum(-1) / weighed.sum(-1), np.float64)


OVER_ALL = ("accuracy", "micro avg", "macro avg", "weighted avg")


def class_report(matrix: npt.ArrayLike, classes: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """scikit-learn's classification report, with a dash, or None, for a figure that has no meaning.

    Args:
        matrix: Counts, ``(true classes, predicted classes)``.
        classes: Names.

    Returns:
        The text, and the values by class.
    """
    from sklearn.metrics import classification_report

    counts = np.asarray(matrix, np.int64)
    true, predicted = (np.repeat(place.ravel(), counts.ravel()) for place in np.indices(counts.shape))
    settings = {"labels": range(len(classes)), "zero_division": np.nan}
    # A line break in a name would end its row.
    settings["target_names"] = in_one_line = [" ".join(name.splitlines()) for name in classes]
    text = classification_report(true, predicted, digits=4, **settings)
    name = max(map(len, [*in_one_line, "weighted avg"]))
    lines = [line[:name] + line[name:].replace("nan", "  -") for line in text.split("\n")]
    lines = [
        re.sub(r"(\d+)\.0$", r"  \1", line) for line in lines
    ]  # So it counts images where none is right.
    # Among the classes stand the figures over all of them: a class that is called as one of these keeps its row.
    settings["target_names"] = [_row_name(one, classes) for one in classes]
    values = classification_report(true, predicted, output_dict=True, **settings)
    return "\n".join(lines), {
        key: {
            figure: int(number) if figure == "support" else None if np.isnan(number) else number
            for figure, number in value.items()
        }
        if isinstance(value, dict)
        else value
        for key, value in values.items()
    }


def _row_name(name: str, classes: Sequence[str]) -> str:
    row = name
    while row in OVER_ALL or (row != name and row in classes):
        row += " (class)"
    return row


def confusions(matrix: Integers) -> list[tuple[int, int, int]]:
    """The pairs of classes that were confused, the most frequent first.

    Args:
        matrix: Counts, ``(true classes, predicted classes)``.

    Returns:
        Of each pair the true class, the predicted class, and the count, which is above 0.

    Example:
        >>> confusions(np.array([[5, 2, 0], [1, 4, 0], [0, 3, 6]]))
        [(2, 1, 3), (0, 1, 2), (1, 0, 1)]
    """
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    places = np.argsort(-wrong, axis=None, kind="stable")[: np.count_nonzero(wrong)]
    return [(*divmod(int(place), wrong.shape[1]), int(wrong.flat[place])) for place in places]


def wilson(successes: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a fraction by Wilson's score, which is right near 0 and 1 and for small counts, too.

    Source: E. B. Wilson, 1927, https://doi.org/10.1080/01621459.1927.10502953.

    Args:
        successes: How many of ``count`` succeeded.
        count: How many there were.

    Returns:
        The lower and the upper bound, 0 to 1.
    """
    from scipy.stats import binomtest  # Here, since every trial's child process imports this module.

    found = binomtest(successes, count).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)

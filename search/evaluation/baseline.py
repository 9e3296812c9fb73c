"""``--baseline svm,logistic``: what a linear model on raw pixels gets of the same images, by the same figures.

Where there is a frozen backbone, the same on its features, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from search.errors import InputError
from search.evaluation.fit import percent
from search.evaluation.scores import Integers, Scores

NAMES = {"svm": "linear SVM", "logistic": "logistic regression"}
# Multiplications that an exact fit may take, some two minutes of a core: 2,000 images of CIFAR-10 (1.2e10 for the SVM,
# whose work grows with the square of the images; 6e10 for logistic regression) took 10 s and 25 s.
EXACT = {"svm": 2e11, "logistic": 2e11}
# Steps that logistic regression may take, and passes over the images of an approximate fit.
ITERATIONS, PASSES = 1000, 20
# 1 GB of 32-bit numbers, which approximate fits take; exact ones, of fewer images, take 64 bits, as by hand.
MOST_PIXELS = 1 << 28


@dataclass(frozen=True)
class Fitted:
    """A baseline that has been trained.

    Attributes:
        name: One of ``NAMES``.
        how: The scikit-learn estimator with what was set, in words.
        images: Training images that it was fitted on.
        estimator: scikit-learn's.
        on: ``pixels`` or ``features``.
    """

    name: str
    how: str
    images: int
    estimator: Any
    on: str = "pixels"

    @property
    def key(self) -> str:
        """What it is called in ``summary.json``."""
        return self.name if self.on == "pixels" else f"{self.name}_on_features"

    def predict(self, images: npt.NDArray[Any]) -> Integers:
        """Class numbers ``(N,)`` of ``images`` ``(N, H, W, C)``, which may be memory-mapped, or features ``(N, F)``."""
        step = max(1, MOST_PIXELS // 16 // int(np.prod(images.shape[1:])))
        parts = [
            self.estimator.predict(flat(images[at : at + step], self.estimator))
            for at in range(0, len(images), step)
        ]
        return np.concatenate(parts).astype(np.int64)


def check_baselines(names: Sequence[str]) -> tuple[str, ...]:
    """The baselines asked for, each once.

    Raises:
        InputError: One is unknown.
    """
    for name in names:
        if name not in NAMES:
            raise InputError(
                f"--baseline {name!r}: expected one or more of {', '.join(NAMES)}, with commas between them"
            )
    return tuple(name for name in NAMES if name in names)


def flat(images: npt.NDArray[Any], estimator: Any) -> npt.NDArray[Any]:
    """Pixels ``(N, H * W * C)`` from 0 to 1, or features as they are, in as many bits as the estimator shall have."""
    kind = np.float32 if type(estimator).__name__ == "SGDClassifier" else np.float64
    if images.ndim == 2:
        return np.asarray(images, kind)
    pixels: npt.NDArray[Any] = np.asarray(images, kind).reshape(len(images), -1)
    pixels /= 255
    return pixels


def fit_baseline(
    name: str, images: npt.NDArray[Any], labels: Integers, chosen: Integers, seed: int
) -> Fitted:
    """Train a baseline, exactly where that takes minutes, approximately where it would take hours.

    Args:
        name: One of ``NAMES``.
        images: ``(N, H, W, C)``, or features ``(N, F)``; may be memory-mapped.
        labels: ``(N,)``.
        chosen: Those to train on, sorted; where they would take over a gigabyte, an even part of them is.
        seed: Of an approximate fit.
    """
    pixels = int(np.prod(images.shape[1:]))
    part = evenly(chosen, max(1, MOST_PIXELS // pixels))
    classes = len(np.unique(labels))
    work = {"svm": len(part) ** 2 * pixels, "logistic": len(part) * pixels * classes * ITERATIONS}[name]
    how, estimator = exact(name) if work <= EXACT[name] else approximate(name, len(part), seed)
    estimator.fit(flat(images[part], estimator), np.asarray(labels[part]))
    return Fitted(name, how, len(part), estimator, "features" if images.ndim == 2 else "pixels")


def evenly(indices: Integers, most: int) -> Integers:
    """At most ``most`` of the sorted ``indices``, evenly spaced: of all classes where images come sorted by class."""
    if len(indices) <= most:
        return indices
    return np.asarray(indices[np.linspace(0, len(indices) - 1, most).round().astype(np.int64)], np.int64)


def exact(name: str) -> tuple[str, Any]:
    """The estimator of the notebook, or its counterpart."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC

    if name == "svm":
        return "exact, SVC(kernel='linear', C=1)", SVC(kernel="linear", C=1.0)
    return "exact, LogisticRegression(C=1)", LogisticRegression(C=1.0, max_iter=ITERATIONS)


def approximate(name: str, images: int, seed: int) -> tuple[str, Any]:
    """The same loss and the same weight of the penalty (``C=1``), one class against the rest, by gradient descent."""
    from sklearn.linear_model import SGDClassifier

    loss = {"svm": "hinge", "logistic": "log_loss"}[name]
    made = SGDClassifier(
        loss=loss, alpha=1 / images, average=True, max_iter=PASSES, tol=None, random_state=seed
    )
    return f"approximate, SGDClassifier(loss={loss!r}), {PASSES} passes: the exact one takes far longer", made


def scores_of(labels: Integers, predicted: Integers, classes: int) -> Scores:
    """The figures of class numbers alone; of confidences they say nothing."""
    return Scores(labels, np.eye(classes, dtype=np.float32)[predicted])


def figures(name: str, on: str, how: str, images: int, scores: Scores) -> dict[str, Any]:
    """One baseline for ``summary.json``."""
    return {
        "name": name,
        "on": on,
        "how": how,
        "train_images": images,
        "test_accuracy": scores.accuracy,
        "test_accuracy_interval": list(scores.accuracy_interval),
        "macro_f1": scores.macro_f1,
    }


def sentence(found: dict[str, Any], accuracy: float) -> str:
    """One baseline in words, beside the net's test accuracy."""
    low, high = found["test_accuracy_interval"]
    on = {"pixels": "pixels", "features": "the backbone's features"}[found["on"]]
    return (
        f"Baseline: a {NAMES[found['name']]} on {on} ({found['how']}; {found['train_images']:,} training images) gets "
        f"{percent(found['test_accuracy'])} of the test images right (95 % interval {100 * low:.1f} to "
        f"{100 * high:.1f}), macro F1 {found['macro_f1']:.4f}; the net {percent(accuracy)}."
    )

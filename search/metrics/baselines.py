"""Baselines: what a linear model on raw pixels makes of the same images, measured by the same figures.

Over a frozen backbone there are baselines on its features, too.

Each is fitted exactly if that takes minutes, and approximately if it would take hours. An exact fit on n images of d
numbers (pixels or features) and c classes takes about so many multiplications:

* the linear SVM n**2 * d, since it compares all images with each other;
* logistic regression n * d * c in each of up to 1,000 steps.

Up to 2e11 multiplications, some two minutes of a core, it is exact. An approximate fit minimises the same function by
stochastic gradient descent, for 20 passes over the images. The exact ones minimise |w|**2 / 2 + C * sum(losses) with
C = 1, which is n times as much as alpha / 2 * |w|**2 + mean(losses) with alpha = 1 / n.

An example: images of CIFAR-10 have d = 3,072 pixels and c = 10 classes. On 2,000 of them the SVM takes 1.2e10 and
logistic regression 6e10 multiplications: both are exact (10 s and 25 s, measured). On 45,000 they would take 6.2e12 and
1.4e12: both are approximate. The SVM is exact up to 8,068 images, logistic regression up to 6,510.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from search.errors import InputError
from search.formatting import percent
from search.metrics.classification import Integers, Scores

NAMES = {"svm": "linear SVM", "logistic": "logistic regression"}
# The most multiplications of an exact fit.
MOST_WORK = 2e11
# The most steps of logistic regression, and the passes over the images of an approximate fit.
ITERATIONS, PASSES = 1000, 20
# 1 GB as 32-bit numbers, which approximate fits use. Exact ones, on fewer images, use 64 bits as scikit-learn does.
MOST_PIXELS = 1 << 28


@dataclass(frozen=True)
class FittedBaseline:
    """A baseline that has been fitted.

    Attributes:
        name: One of ``NAMES``.
        how: Whether the fit is exact, and the scikit-learn estimator with its settings, in words.
        images: The number of training images that it was fitted on.
        estimator: The scikit-learn estimator.
        on: What it was fitted on, ``pixels`` or ``features``.
    """

    name: str
    how: str
    images: int
    estimator: Any
    on: str = "pixels"

    @property
    def key(self) -> str:
        """Its key in ``summary.json``."""
        return self.name if self.on == "pixels" else f"{self.name}_on_features"

    def predict(self, images: npt.NDArray[Any]) -> Integers:
        """Predict the class numbers ``(N,)``, int64, of images or features.

        Args:
            images: Images ``(N, H, W, C)``, which may be memory-mapped, or features ``(N, F)``.
        """
        step = max(1, MOST_PIXELS // 16 // int(np.prod(images.shape[1:])))
        parts = [
            self.estimator.predict(flatten(images[at : at + step], self.estimator))
            for at in range(0, len(images), step)
        ]
        return np.concatenate(parts).astype(np.int64)


def check_baselines(names: Sequence[str]) -> tuple[str, ...]:
    """The baselines asked for, each once.

    Raises:
        InputError: One of them is unknown.
    """
    for name in names:
        if name not in NAMES:
            raise InputError(
                f"--baseline {name!r}: expected one or more of {', '.join(NAMES)}, with commas between them"
            )
    return tuple(name for name in NAMES if name in names)


def flatten(images: npt.NDArray[Any], estimator: Any) -> npt.NDArray[Any]:
    """The pixels of images in rows ``(N, H * W * C)``, from 0 to 1; features as they are; float32 or float64."""
    kind = np.float32 if type(estimator).__name__ == "SGDClassifier" else np.float64
    if images.ndim == 2:
        return np.asarray(images, kind)
    pixels: npt.NDArray[Any] = np.asarray(images, kind).reshape(len(images), -1)
    pixels /= 255
    return pixels


def fit_baseline(
    name: str, images: npt.NDArray[Any], labels: Integers, chosen: Integers, seed: int
) -> FittedBaseline:
    """Fit a baseline, exactly or approximately; see above for the rule.

    Args:
        name: One of ``NAMES``.
        images: Images ``(N, H, W, C)``, or features ``(N, F)``; they may be memory-mapped.
        labels: Class numbers ``(N,)``.
        chosen: The sorted indices of the images to fit on. If these take over a gigabyte, an even part of them is used.
        seed: The seed of an approximate fit.
    """
    pixels = int(np.prod(images.shape[1:]))
    part = evenly_spaced(chosen, max(1, MOST_PIXELS // pixels))
    classes = len(np.unique(labels))
    work = {"svm": len(part) ** 2 * pixels, "logistic": len(part) * pixels * classes * ITERATIONS}[name]
    how, estimator = exact(name) if work <= MOST_WORK else approximate(name, len(part), seed)
    estimator.fit(flatten(images[part], estimator), np.asarray(labels[part]))
    return FittedBaseline(name, how, len(part), estimator, "features" if images.ndim == 2 else "pixels")


def evenly_spaced(indices: Integers, most: int) -> Integers:
    """At most ``most`` of the sorted ``indices``, evenly spaced.

    So they have all classes even if the images are sorted by class.
    """
    if len(indices) <= most:
        return indices
    return np.asarray(indices[np.linspace(0, len(indices) - 1, most).round().astype(np.int64)], np.int64)


def exact(name: str) -> tuple[str, Any]:
    """A scikit-learn estimator for an exact fit, with its description; the SVM is the notebook's."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC

    if name == "svm":
        return "exact, SVC(kernel='linear', C=1)", SVC(kernel="linear", C=1.0)
    return "exact, LogisticRegression(C=1)", LogisticRegression(C=1.0, max_iter=ITERATIONS)


def approximate(name: str, images: int, seed: int) -> tuple[str, Any]:
    """A scikit-learn estimator for an approximate fit of ``images`` images, with its description.

    It has the loss of the exact one and the same weight of the penalty, for each class against all others.
    """
    from sklearn.linear_model import SGDClassifier

    loss = {"svm": "hinge", "logistic": "log_loss"}[name]
    made = SGDClassifier(
        loss=loss, alpha=1 / images, average=True, max_iter=PASSES, tol=None, random_state=seed
    )
    return f"approximate, SGDClassifier(loss={loss!r}), {PASSES} passes: the exact one takes far longer", made


def scores_of_classes(labels: Integers, predicted: Integers, classes: int) -> Scores:
    """The scores of predicted classes without confidences: only what depends on the classes has a meaning."""
    return Scores(labels, np.eye(classes, dtype=np.float32)[predicted])


def baseline_figures(name: str, on: str, how: str, images: int, scores: Scores) -> dict[str, Any]:
    """A baseline's entry in ``summary.json``; see ``FittedBaseline`` for the arguments."""
    return {
        "name": name,
        "on": on,
        "how": how,
        "train_images": images,
        "test_accuracy": scores.accuracy,
        "test_accuracy_interval": list(scores.accuracy_interval),
        "macro_f1": scores.macro_f1,
    }


def baseline_sentence(figures: dict[str, Any], accuracy: float) -> str:
    """A baseline's figures in words.

    Args:
        figures: See ``baseline_figures``.
        accuracy: The net's test accuracy, to compare with.
    """
    low, high = figures["test_accuracy_interval"]
    on = {"pixels": "pixels", "features": "the backbone's features"}[figures["on"]]
    return (
        f"Baseline: a {NAMES[figures['name']]} on {on} ({figures['how']}; {figures['train_images']:,} training images) "
        f"gets {percent(figures['test_accuracy'])} of the test images right (95 % interval {100 * low:.1f} to "
        f"{100 * high:.1f}), macro F1 {figures['macro_f1']:.4f}; the net {percent(accuracy)}."
    )

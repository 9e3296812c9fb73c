"""Over- and underfitting: what training and validation accuracy say about it, in figures and in words.

The validation error is the training error plus the gap between the two. The larger of these two parts is what to act
on: a net that gets many of its training images wrong underfits, and one with a large gap overfits.

In symbols: let a and b be the accuracies on training and on validation images, e = 1 - a the training error and g = a -
b the gap. The gap is clear if g is at least 3 points and its 95 % interval lies above 0. Then

* if e is over 10 points and e > g, the net ``underfits``; if the gap is clear and at least 10 points as well, it
  ``under- and overfits``;
* otherwise, if the gap is not clear, the net ``fits``;
* otherwise it ``overfits``, or, if the gap is under 10 points, ``overfits a little``.

The interval is Newcombe's, from the Wilson intervals (l, u) of a and (l', u') of b:
g - sqrt((a - l)**2 + (u' - b)**2) to g + sqrt((u - a)**2 + (b - l')**2).

An example: 950 of 1,000 training images and 168 of 200 validation images are right, 95 % and 84 %. The training error
is 5 points, the gap 11 points with an interval of 6.3 to 16.8, so that the net overfits. With 10 of 12 validation
images, 83 %, the interval reaches from -0.4 to 39.8: so few images cannot tell the gap from chance.

    >>> Fit(0.95, 1000, 0.84, 200, augmented=0.9).verdict
    'overfits'
    >>> Fit(0.95, 1000, 10 / 12, 12, augmented=0.9).verdict
    'fits'

Source of the interval: R. G. Newcombe, "Interval estimation for the difference between independent proportions",
Statistics in Medicine 17, 1998 (method 10).
"""

from dataclasses import dataclass
from math import hypot
from typing import Any

from search.formatting import percent
from search.metrics.classification import wilson

# Gaps of accuracy. A smaller one than the first is nothing to act on; from the second on it is what to act on first.
SMALL_GAP, LARGE_GAP = 0.03, 0.10
# A net with a lower training accuracy has room to learn more from its training images.
LEARNED = 0.9


@dataclass(frozen=True)
class Fit:
    """The accuracy of a net on training and on validation images, and what it says.

    Attributes:
        training: The fraction of the training images that is classified right.
        training_images: The number of training images that were scored.
        validation: The fraction of the validation images that is classified right.
        validation_images: The number of validation images.
        augmented: The training accuracy as the training measured it, with augmentation and dropout on.
        plain: Whether ``training`` was measured on the images as they are; otherwise it is ``augmented`` itself.
    """

    training: float
    training_images: int
    validation: float
    validation_images: int
    augmented: float
    plain: bool = True

    @property
    def gap(self) -> float:
        """The training accuracy minus the validation accuracy."""
        return self.training - self.validation

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the gap."""
        low, high = _bounds(self.training, self.training_images)
        below, above = _bounds(self.validation, self.validation_images)
        return (
            self.gap - hypot(self.training - low, above - self.validation),
            self.gap + hypot(high - self.training, self.validation - below),
        )

    @property
    def verdict(self) -> str:
        """``fits``, ``overfits``, ``overfits a little``, ``underfits`` or ``under- and overfits``."""
        is_clear = self.gap >= SMALL_GAP and self.interval[0] > 0
        error = 1 - self.training
        if error > 1 - LEARNED and error > self.gap:
            return "under- and overfits" if is_clear and self.gap >= LARGE_GAP else "underfits"
        if not is_clear:
            return "fits"
        return "overfits" if self.gap >= LARGE_GAP else "overfits a little"

    def figures(self) -> dict[str, Any]:
        """The verdict and its figures, for ``summary.json``."""
        return {
            "verdict": self.verdict,
            "training_accuracy": self.training,
            "training_images": self.training_images,
            "training_accuracy_with_augmentation_and_dropout": self.augmented,
            "validation_accuracy": self.validation,
            "validation_images": self.validation_images,
            "gap": self.gap,
            "gap_interval": list(self.interval),
        }

    @property
    def sentence(self) -> str:
        """The verdict with its figures, and what may help, for people."""
        low, high = self.interval
        where = (
            "as they are"
            if self.plain
            else "as they were in training, with what augmentation and dropout there was"
        )
        advice = ADVICE[self.verdict]
        if self.verdict == "fits" and low > 0:
            advice = f"a gap of less than {100 * SMALL_GAP:.0f} points is nothing to act on"
        text = (
            f"{self.verdict.capitalize()}: {percent(self.training)} of {self.training_images:,} training images "
            f"({where}) and {percent(self.validation)} of {self.validation_images:,} validation images are "
            f"classified right, a gap of {100 * self.gap:.1f} points (95 % interval {100 * low:.1f} to "
            f"{100 * high:.1f}); {advice}."
        )
        if not self.plain:
            return text
        return (
            f"{text} The training accuracy of the curves, {percent(self.augmented)}, is measured in training, "
            "with what augmentation and dropout there is: do not compare it with a validation accuracy."
        )


ADVICE = {
    "overfits": "more images, augmentation, dropout or weight decay may help, a larger net will hardly",
    "overfits a little": "some more augmentation or weight decay may help",
    "under- and overfits": "more images, or a longer training with more augmentation, may help",
    "underfits": "a longer training, a larger net or less regularisation may help",
    "fits": "neither over- nor underfitting shows",
}


def _bounds(fraction: float, count: int) -> tuple[float, float]:
    return wilson(round(fraction * count), count)

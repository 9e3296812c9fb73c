"""Over- or underfitting: what the gap between training and validation images says, in figures and in words."""

from dataclasses import dataclass
from math import hypot
from typing import Any

from search.evaluation.scores import wilson

# Points of accuracy. Under the first a gap is nothing to act on, from the second on it is what to act on first.
SMALL_GAP, LARGE_GAP = 0.03, 0.10
# A net that gets fewer of its own training images right has room to learn more from them.
LEARNED = 0.9


@dataclass(frozen=True)
class Fit:
    """Accuracy on training and on validation images.

    Attributes:
        training: Fraction of ``training_images`` that is classified right.
        training_images: How many were looked at.
        validation: Fraction of ``validation_images`` that is classified right.
        validation_images: How many there are.
        disturbed: Training accuracy as the training itself saw it, with augmentation and dropout on.
        plain: Whether ``training`` is of the images as they are; otherwise it is ``disturbed`` itself.
    """

    training: float
    training_images: int
    validation: float
    validation_images: int
    disturbed: float
    plain: bool = True

    @property
    def gap(self) -> float:
        """Training less validation accuracy."""
        return self.training - self.validation

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the gap, from two Wilson intervals (Newcombe, Statistics in Medicine 17, 1998)."""
        low, high = _bounds(self.training, self.training_images)
        below, above = _bounds(self.validation, self.validation_images)
        return (
            self.gap - hypot(self.training - low, above - self.validation),
            self.gap + hypot(high - self.training, self.validation - below),
        )

    @property
    def verdict(self) -> str:
        """``fits``, ``overfits``, ``overfits a little``, ``underfits`` or ``under- and overfits``."""
        clear = self.gap >= SMALL_GAP and self.interval[0] > 0
        missed = 1 - self.training
        # The validation error is the training error and the gap: the larger of the two is what to act on.
        if missed > 1 - LEARNED and missed > self.gap:
            return "under- and overfits" if clear and self.gap >= LARGE_GAP else "underfits"
        if not clear:
            return "fits"
        return "overfits" if self.gap >= LARGE_GAP else "overfits a little"

    def figures(self) -> dict[str, Any]:
        """For ``summary.json``."""
        return {
            "verdict": self.verdict,
            "training_accuracy": self.training,
            "training_images": self.training_images,
            "training_accuracy_with_augmentation_and_dropout": self.disturbed,
            "validation_accuracy": self.validation,
            "validation_images": self.validation_images,
            "gap": self.gap,
            "gap_interval": list(self.interval),
        }

    @property
    def sentence(self) -> str:
        """The verdict with its figures, and what may be done about it."""
        low, high = self.interval
        where = (
            "as they are"
            if self.plain
            else "with augmentation and dropout on, so that the true gap is larger"
        )
        text = (
            f"{self.verdict.capitalize()}: {percent(self.training)} of {self.training_images:,} training images "
            f"({where}) and {percent(self.validation)} of {self.validation_images:,} validation images are "
            f"classified right, a gap of {100 * self.gap:.1f} points (95 % interval {100 * low:.1f} to "
            f"{100 * high:.1f}); {ADVICE[self.verdict]}."
        )
        if not self.plain:
            return text
        return (
            f"{text} The training accuracy of the curves, {percent(self.disturbed)}, is measured with augmentation "
            "and dropout on: compare it with no validation accuracy."
        )


ADVICE = {
    "overfits": "more images, augmentation, dropout or weight decay may help, a larger net will hardly",
    "overfits a little": "some more augmentation or weight decay may help",
    "under- and overfits": "more images, or a longer training with more augmentation, may help",
    "underfits": "a longer training, a larger net or less regularisation may help",
    "fits": "neither over- nor underfitting shows",
}


def percent(fraction: float) -> str:
    """A fraction as a person reads it, to a tenth; never 100.0 % for less than all."""
    shown = f"{100 * fraction:.1f}"
    return f"{'99.9' if shown == '100.0' and fraction < 1 else shown} %"


def _bounds(fraction: float, count: int) -> tuple[float, float]:
    return wilson(round(fraction * count), count)

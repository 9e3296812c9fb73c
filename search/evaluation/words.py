"""What the figures of an export come to, in sentences for ``summary.json`` and the screen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from search.evaluation.calibration import BINS, calibration_error
from search.evaluation.fit import Fit, percent
from search.evaluation.fold_words import validated_images
from search.evaluation.scores import Scores
from search.folds import at_kept_epoch

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.evaluation.scored import Scored


@dataclass(frozen=True)
class Calibration:
    """The temperature of an export and what it does.

    Attributes:
        temperature: What ``search.predict`` divides the model's outputs by; 1 where none was fitted.
        why_none: Why none was fitted; empty otherwise.
        images: Validation images that it was fitted on; 0 where it was not.
        before: Expected calibration error on the test images without it, 0 to 1.
        after: The same with it.
    """

    temperature: float
    why_none: str
    images: int
    before: float
    after: float

    def figures(self) -> dict[str, Any]:
        """For ``summary.json``, whose ``temperature`` ``search.predict`` reads."""
        return {
            "temperature": self.temperature,
            "fitted_on_validation_images": self.images,
            "test_ece_before": self.before,
            "test_ece_after": self.after,
            "ece_bins": BINS,
            **({"why_no_temperature": self.why_none} if self.why_none else {}),
        }

    @property
    def sentence(self) -> str:
        """How far its confidences can be taken for probabilities."""
        off = f"Calibration: confidences on the test images are off by {percent(self.before)} (ECE, {BINS} bins)"
        if self.why_none:
            return f"{off}; no temperature was fitted: {self.why_none}."
        return (
            f"{off}, and by {percent(self.after)} at the temperature {self.temperature:.3f}, fitted on {self.images:,} "
            "validation images; search.predict applies it, the outputs of model.keras are without it."
        )


def calibration_of(scored: "Scored") -> Calibration:
    """The temperature that the scoring job fitted, measured on the test images."""
    before, after = calibration_error(scored.test), calibration_error(scored.calibrated)
    if scored.temperature is not None and scored.unseen is not None:
        return Calibration(scored.temperature, "", len(scored.unseen.labels), before, after)
    why = f"{len(scored.validation.labels):,} validation images show no need of one beyond chance"
    if scored.unseen is None:
        why = "it was trained on the validation images, and no weights of its kind that were not are kept"
    return Calibration(1.0, why, 0, before, after)


def fit_of(trial: "FrozenTrial", scored: "Scored") -> Fit:
    """Training against validation accuracy, of weights that have not seen the validation images.

    After a refit they are the search trial's; where those are not kept, its curves have to do.
    """
    disturbed = at_kept_epoch(trial, "accuracy")
    validation_images = validated_images(trial) or len(scored.validation.labels)
    if scored.seen is None or scored.unseen is None:
        validation = at_kept_epoch(trial, "val_accuracy")
        return Fit(disturbed, scored.train_images, validation, validation_images, disturbed, plain=False)
    return Fit(
        scored.seen.accuracy, len(scored.seen.labels), scored.unseen.accuracy, validation_images, disturbed
    )


def often(count: int) -> str:
    """A number of times in words."""
    return "once" if count == 1 else f"{count:,} times"


def ledger(count: int) -> str:
    """How often the test images have been looked at: the more often, the less they are test images."""
    return f"The test images of this study have been scored {often(count)} (this one included)."


def words(
    classes: Sequence[str],
    test: Scores,
    fit: Fit,
    calibration: Calibration,
    refit_of: int | None,
    where: str = "search",
    folds: int = 0,
) -> list[str]:
    """The sentences.

    Args:
        classes: Names.
        test: Of the exported weights.
        fit: Of the search trial's weights, or of those of the race.
        calibration: Of the exported weights.
        refit_of: The search trial, where a refit is exported, which has no validation images of its own.
        where: Those weights were trained that have some: the ``search``, or the ``race``.
        folds: How many that trial was trained in, if in any.
    """
    low, high = test.accuracy_interval
    weakest = int(test.f1.argmin())
    tested = (
        f"Test: {percent(test.accuracy)} of {len(test.labels):,} images are classified right (95 % interval "
        f"{100 * low:.1f} to {100 * high:.1f}, Wilson); macro F1 {test.macro_f1:.4f}, lowest for "
        f"{classes[weakest]}, {test.f1[weakest]:.4f}."
    )
    if refit_of is None:
        return [tested, fit.sentence, calibration.sentence]
    return [
        tested,
        f"In the {where}, trial {refit_of}{', mean over its folds' if folds else ''}: {fit.sentence}",
        f"{calibration.sentence}"
        + (f" Fitted on the outputs of trial {refit_of}." if not calibration.why_none else ""),
    ]

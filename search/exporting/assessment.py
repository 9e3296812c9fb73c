"""What the scores say of the exported net: whether it is what the search recorded, how it fits, its calibration."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from search.config.study_config import StudyConfig
from search.errors import StudyStopped
from search.execution.planning import PLANNED_EPOCHS
from search.formatting import percent
from search.metrics.calibration import BINS, calibration_error
from search.metrics.classification import Scores, one_image
from search.metrics.generalization import Fit
from search.study.fold_results import FOLDS, at_kept_epoch

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.exporting.scoring_result import ScoringResult

# The exported file's validation figure may differ by so much from the trial's: other batches round otherwise, and on a
# GPU kernels do; trials of older versions were validated there in bfloat16, where the file is in float32.
SAME_VALUE, SAME_VALUE_GPU = 2e-3, 2e-2


def check_recorded_value(config: StudyConfig, value: float | None, validation: Scores, device: str) -> None:
    """Check that the exported file scores what the search recorded for the trial.

    Args:
        config: The study's settings.
        value: The recorded value.
        validation: Scores of the exported file.
        device: Where the recorded value was computed.

    Raises:
        StudyStopped: It does not, so that the file is not that of the weights that scored.
    """
    scored = validation.figure(config.metric, config.classes)
    counts = np.bincount(validation.labels, minlength=len(config.classes)).tolist()
    step = max(1 / len(validation.labels), one_image(config.metric, counts, config.classes))
    allowed = max(SAME_VALUE if device == "cpu" else SAME_VALUE_GPU, 2 * step) * max(1.0, abs(value or 0.0))
    if value is not None and not abs(scored - value) <= allowed:
        raise StudyStopped(
            f"the kept weights score a validation {config.metric} of {scored:.4f} where the trial recorded "
            f"{value:.4f}; nothing exported: pass --refit to train its configuration again"
        )


@dataclass(frozen=True)
class Calibration:
    """The temperature of an export and what it does.

    Attributes:
        temperature: What ``search.predict`` divides the model's outputs by; 1 where none was fitted.
        why_none: Why none was fitted; empty otherwise.
        images: Number of validation images that it was fitted on; 0 where it was not.
        before: Expected calibration error on the test images without it, 0 to 1.
        after: The same error with it.
        of: What ``images`` are.
        baked: Whether the temperature is in the exported files, so that nobody is to apply it again.
    """

    temperature: float
    why_none: str
    images: int
    before: float
    after: float
    of: str = "validation images"
    baked: bool = False

    def figures(self) -> dict[str, Any]:
        """The entry ``calibration`` of ``summary.json``, whose ``temperature`` ``search.predict`` reads."""
        return {
            "temperature": 1.0 if self.baked else self.temperature,
            **({"baked_temperature": self.temperature} if self.baked else {}),
            "fitted_on_validation_images": self.images,
            "test_ece_before": self.before,
            "test_ece_after": self.after,
            "ece_bins": BINS,
            **({"why_no_temperature": self.why_none} if self.why_none else {}),
        }

    @property
    def sentence(self) -> str:
        """How far confidences can be taken for probabilities."""
        off = f"Calibration: confidences on the test images are off by {percent(self.before)} (ECE, {BINS} bins)"
        if self.why_none:
            return f"{off}; no temperature was fitted: {self.why_none}."
        where = "search.predict applies it, the outputs of model.keras are without it"
        if self.baked:
            where = "it is in the exported files, whose outputs are divided by it"
        worse = ""
        if self.after > self.before:
            worse = " (it makes these worse, and stays: no test image chooses anything)"
        return (
            f"{off}, and by {percent(self.after)} at the temperature {self.temperature:.3f}, fitted on {self.images:,} "
            f"{self.of}{worse}; {where}."
        )


def assess_calibration(scored: "ScoringResult") -> Calibration:
    """The temperature that the scoring job fitted, measured on the test images."""
    before, after = calibration_error(scored.test), calibration_error(scored.calibrated)
    if scored.out_of_fold is not None:
        images = len(scored.out_of_fold.scores.labels)
        if scored.temperature is not None:
            of = "out-of-fold predictions"
            return Calibration(scored.temperature, "", images, before, after, of, scored.baked)
        why = f"{images:,} out-of-fold predictions show no need of one beyond chance"
        return Calibration(1.0, why, 0, before, after)
    if scored.temperature is not None and scored.unseen is not None:
        images = len(scored.unseen.labels)
        return Calibration(scored.temperature, "", images, before, after, baked=scored.baked)
    why = f"{len(scored.validation.labels):,} validation images show no need of one beyond chance"
    if scored.unseen is None:
        why = "it was trained on the validation images, and no weights of its kind that were not are kept"
    return Calibration(1.0, why, 0, before, after)


def assess_fit(trial: "FrozenTrial", scored: "ScoringResult") -> Fit:
    """Training against validation accuracy, of weights that have not seen the validation images.

    After a refit these are the search trial's weights. Where they are not kept, the trial's curves have to do.
    """
    disturbed = at_kept_epoch(trial, "accuracy")
    validation_images = validated_images(trial) or len(scored.validation.labels)
    if scored.seen is None or scored.unseen is None:
        validation = at_kept_epoch(trial, "val_accuracy")
        # What is fitted exactly is neither augmented at random nor has it dropout.
        plain = PLANNED_EPOCHS in trial.user_attrs
        return Fit(disturbed, scored.train_images, validation, validation_images, disturbed, plain=plain)
    return Fit(
        scored.seen.accuracy, len(scored.seen.labels), scored.unseen.accuracy, validation_images, disturbed
    )


def validated_images(trial: "FrozenTrial") -> int:
    """Number of images that the finished folds were validated on, each once; 0 for a trial without folds."""
    return sum(run["validation_images"] for run in trial.user_attrs.get(FOLDS, ()))

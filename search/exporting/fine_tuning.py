"""``--fine-tune``: a second phase, in which the last part of the backbone is trained with the head, on pixels."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from search.exporting.child_training import TrainingResult, run_training
from search.exporting.training_plans import fine_tuning_plan
from search.formatting import count, figure, metric_words

if TYPE_CHECKING:
    from search.exporting.request import ExportRequest
    from search.process.fork_server import ForkServer


class FineTuned(NamedTuple):
    """What a second phase came to.

    Attributes:
        training: The second phase.
        head_training: The training of the head before it.
        value_before: The search trial's value.
        value_after: The value of the weights that the second phase kept; None after a refit, which has no validation
            images.
    """

    training: TrainingResult
    head_training: TrainingResult
    value_before: float
    value_after: float | None


def fine_tune(
    request: "ExportRequest",
    epochs: int,
    head_training: TrainingResult,
    head: Path,
    model: Path,
    server: "ForkServer",
) -> FineTuned:
    """Train on from a kept head, and keep the epoch with the lowest validation loss; after a refit the last epoch.

    Args:
        request: What to export.
        epochs: Number of epochs.
        head_training: The training of the head.
        head: The file of the head.
        model: File for the weights of the whole net.
        server: Starts the child.

    Raises:
        TrialFailed: The training crashed, or memory ran out twice.
        StudyStopped: Its loss became NaN or infinite.
    """
    loaded, trial, refit = request.loaded, request.trial, request.refit
    plan = fine_tuning_plan(loaded, trial, epochs, head, model, refit, request.options.gpu_memory)
    training = run_training(loaded, trial, plan, "fine-tune", server, request.say)
    after = None if refit else float(training.history[plan.value_name][training.kept_epoch - 1])
    return FineTuned(training, head_training, float(trial.value or 0.0), after)


def improved(tuned: FineTuned, direction: str) -> bool:
    """Whether the tuned net is better by its validation value; after a refit nobody can tell, and it is taken."""
    if tuned.value_after is None:
        return True
    if direction == "minimize":
        return tuned.value_after < tuned.value_before
    return tuned.value_after > tuned.value_before


def tuned_words(part: "Mapping[str, int] | None") -> str:
    """What of a backbone was tuned; see ``search.training.models.tuned_part``. Older exports do not say."""
    if not part:
        return "the last part of the backbone"
    return (
        f"{part['layers']} of the backbone's {count(part['of_layers'], 'layer')} with weights "
        f"({count(part['parameters'], 'parameter')})"
    )


def fine_tuning_sentence(tuned: FineTuned, metric: str, taken: bool) -> str:
    """The second phase in words.

    Args:
        tuned: The second phase.
        metric: The study's metric.
        taken: Whether the tuned net is exported.
    """
    part = tuned_words(tuned.training.facts.get("tuned"))
    text = f"Fine-tuned for {count(tuned.training.epochs, 'epoch')}, {part} with the head"
    before, after = tuned.value_before, tuned.value_after
    if after is None:
        return f"{text}, on all training images."
    change = (
        f"validation {metric_words(metric)} {figure(metric, before)} before and {figure(metric, after)} after"
    )
    return f"{text}: {change}" + ("." if taken else "; nothing gained, so the frozen net is exported.")

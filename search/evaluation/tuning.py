"""``--fine-tune``: a second phase, in which the last part of the backbone is trained with the head, on pixels."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from search.evaluation.fit import percent
from search.evaluation.plans import tuning_plan
from search.evaluation.summary import Training
from search.evaluation.weights import train

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.child import ForkServer
    from search.study import LoadedStudy

WHAT = "fine-tune"


class Tuned(NamedTuple):
    """What a second phase came to.

    Attributes:
        training: Of it.
        first: Of the head before.
        before: The search trial's value.
        after: The value of the weights kept; None after a refit, which has no validation images.
    """

    training: Training
    first: Training
    before: float
    after: float | None


def fine_tune(
    loaded: "LoadedStudy",
    trial: "FrozenTrial",
    epochs: int,
    first: Training,
    head: Path,
    model: Path,
    *,
    refit: bool,
    server: "ForkServer",
    gpu_memory: float | None,
    say: Callable[[str], None],
) -> Tuned:
    """Train on from a kept head; of its epochs the one with the lowest validation loss is kept, after a refit the last.

    One that was interrupted goes on from its last checkpoint.

    Args:
        loaded: The study.
        trial: Whose configuration it is.
        epochs: How many.
        first: The training of the head.
        head: The file of the head.
        model: For the whole net's weights.
        refit: Train on all training images, validation included.
        server: Starts the child.
        gpu_memory: GB to take of a GPU at most.
        say: Gets a line an epoch.
    """
    plan = tuning_plan(loaded, trial, epochs, head, model, refit, gpu_memory)
    training = train(loaded, trial, plan, WHAT, server, say)
    history = training.history
    after = None if refit else float(history[plan.value_name][training.kept - 1])
    return Tuned(training, first, float(trial.value or 0.0), after)


def gained(tuned: Tuned, direction: str) -> bool:
    """Whether the tuned net is better by validation; after a refit nobody can tell, and it is taken."""
    if tuned.after is None:
        return True
    return tuned.after < tuned.before if direction == "minimize" else tuned.after > tuned.before


def sentence(tuned: Tuned, metric: str, taken: bool) -> str:
    """The phase in words."""
    epochs = tuned.training.epochs
    text = f"Fine-tuned for {epochs} epoch{'s' if epochs > 1 else ''}, the last part of the backbone with the head"
    if tuned.after is None:
        return f"{text}, on all training images."
    if metric == "loss":
        change = f"validation loss {tuned.before:.4f} before and {tuned.after:.4f} after"
    else:
        change = f"validation {metric} {percent(tuned.before)} before and {percent(tuned.after)} after"
    return f"{text}: {change}" + ("." if taken else "; nothing gained, so the frozen net is exported.")

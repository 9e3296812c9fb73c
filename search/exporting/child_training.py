"""A training of an export, run in a child to its end: the refit, the fine-tuning, and each one of a race."""

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.errors import StudyStopped, TrialOutOfMemory
from search.formatting import EPOCH, Passing, duration, percent, trained
from search.plotting.curves import History

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.process.child import Child
    from search.process.fork_server import ForkServer
    from search.study.study import LoadedStudy
    from search.training.plan import TrainingPlan


# What trainings say of themselves; of the last two only some do.
OF_ITSELF = ("versions", "backend", "device", "batch_size", "tuned", "mean_of_folds")
# How long a training that is interrupted has to reach its next batch and to write what it has.
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class TrainingResult:
    """The training whose weights are exported: the search trial's own, one of the race, a refit or a fine-tuning.

    Attributes:
        refit: Whether it was on all training images.
        images: Number of images trained on; 0 stands for those of the search's split.
        epochs: Number of epochs run.
        kept_epoch: The epoch, from 1, whose weights are exported.
        seconds: Time it took.
        history: Its curves, one entry an epoch.
        unit: What its epochs are: epochs, or eighths of its compute.
        facts: ``flops``, ``parameters``, ``seed``, ``batch_size``, ``versions``, ``backend``, ``device``, ``threads``;
            of a fine-tuning also ``tuned``, see ``search.training.models.tuned_part``; of a mean of linear heads
            ``mean_of_folds``, their number.
    """

    refit: bool
    images: int
    epochs: int
    kept_epoch: int
    seconds: float
    history: History
    facts: Mapping[str, Any]
    unit: str = EPOCH


def run_training(
    loaded: "LoadedStudy",
    trial: "FrozenTrial",
    plan: "TrainingPlan",
    name: str,
    server: "ForkServer",
    say: Callable[[str], None],
    seen: Callable[[float], None] = lambda images: None,
) -> TrainingResult:
    """Run a training to its end, in one line. One that was interrupted goes on from its last checkpoint.

    Args:
        loaded: The open study.
        trial: The trial whose configuration is trained.
        plan: The training; it has a checkpoint.
        name: What the training is called in lines and messages: ``refit`` or ``fine-tune``, as its flag.
        server: Starts the child.
        say: Gets lines for a person.
        seen: Told after every epoch at how many images it has looked so far, before an interruption too.

    Raises:
        TrialFailed: The training crashed, or memory ran out twice.
        StudyStopped: Its loss became NaN or infinite.
    """
    checkpoint = Path(str(plan.checkpoint))
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    if checkpoint.exists():
        say(f"{name}: going on from {checkpoint}")

    def go_on(message: Mapping[str, Any]) -> bool:
        seen(message["images_seen"])
        if not math.isfinite(message["loss"]):
            raise StudyStopped(
                f"the {name} diverged in {plan.unit} {message['epoch']} (its loss is no number); nothing exported: "
                f"export without --{name}, or another --trial"
            )
        say(Passing(f"{name}: {plan.unit} {message['epoch']} of {plan.epochs}, {epoch_line(message)}"))
        return True

    begun, log = time.monotonic(), loaded.paths.worker_log("export")
    done = train_with_retry(plan, trial, server, log, go_on, lambda line: say(f"{name}: {line}"))
    history, length = done["history"], trained(done["epochs"], plan.unit)
    say(
        f"{name}: {length} in {duration(time.monotonic() - begun)}, loss {history['loss'][-1]:.4f}, accuracy "
        f"{percent(history['accuracy'][-1])} in the last"
    )
    facts = {**trial.user_attrs, "seed": plan.seed, **{key: done[key] for key in OF_ITSELF if key in done}}
    facts["compute"] = 3.0 * facts["flops"] * done["images_seen"]
    return TrainingResult(
        refit=plan.full,
        images=done["training_images"],
        epochs=done["epochs"],
        kept_epoch=done["kept_epoch"],
        seconds=float(sum(history["seconds"])),
        history=history,
        unit=plan.unit,
        facts=facts,
    )


def train_with_retry(
    plan: "TrainingPlan",
    trial: "FrozenTrial",
    server: "ForkServer",
    log: Path,
    go_on: Callable[[Mapping[str, Any]], bool],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Train in a child. Where memory runs out, train once more with gradients accumulated over half batches.

    Args:
        plan: The training; it has a checkpoint.
        trial: The trial whose configuration is trained, on as many CPU threads as it was.
        server: Starts the child.
        log: Gets what the child prints.
        go_on: Asked after every epoch whether the training shall go on, with the child's message and ``images_seen``.
        say: Gets lines for a person.

    Returns:
        The message that ends the training, with the ``device`` added.

    Raises:
        TrialFailed: The training crashed, or memory ran out twice.
    """
    job, payload = "search.training.job:train", plan.to_payload()
    threads = int(trial.user_attrs.get("threads") or 0)
    try:
        with server.start(job, payload, log, threads) as child:
            return _follow(child, go_on)
    except TrialOutOfMemory:
        if plan.accumulate == 2:
            raise
    Path(str(plan.checkpoint)).unlink(missing_ok=True)  # It is of a training whose batches were another size.
    say("out of memory, once more with half the batch at a time")
    with server.start(job, {**payload, "accumulate": 2}, log, threads) as child:
        return _follow(child, go_on)


def _follow(child: "Child", go_on: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
    """Follow the child; on Ctrl-C let it leave a checkpoint of its last whole epoch, from which the same goes on."""
    device, images = "", 0.0
    try:
        while (message := child.result())["kind"] != "done":
            if message["kind"] == "built":
                device, images = message["device"], message["epoch_images"]
            elif message["kind"] == "epoch":
                child.send({"go": go_on({**message, "images_seen": images * message["epoch"]})})
        return {**message, "device": device}
    except KeyboardInterrupt:
        # It may have ended, or sent half a message as the signal came, or somebody cannot wait.
        with contextlib.suppress(EOFError, ValueError, KeyboardInterrupt):
            child.stop()
            child.send({"go": True})  # It may be waiting for an answer; else nobody asks for this one.
            until, kind = time.monotonic() + STOP_SECONDS, ""
            while kind != "done" and (last := child.receive(max(0.0, until - time.monotonic()))):
                kind = last["kind"]
        raise


def epoch_line(message: Mapping[str, Any]) -> str:
    """One epoch in words."""
    accuracy = message["val_accuracy"]
    validated = "" if accuracy is None else f"validation accuracy {accuracy:.4f}, "
    return (
        f"loss {message['loss']:.4f}, accuracy {message['accuracy']:.4f}, {validated}"
        f"{message['images_per_second']:.0f} images/s"
    )

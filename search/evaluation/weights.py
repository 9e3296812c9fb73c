"""Where the exported weights come from: the exact ones that scored, or a refit on all training images."""

import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.errors import InputError, StudyStopped, TrialOutOfMemory
from search.evaluation.plans import refit_plan
from search.evaluation.summary import Training
from search.files import MODEL
from storage.artifacts import fetch

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.child import Child, ForkServer
    from search.study import LoadedStudy
    from search.training.plan import TrainingPlan


def find_weights(loaded: "LoadedStudy", trial: "FrozenTrial") -> Path | None:
    """The file of the weights that scored in the search, fetched if it lies elsewhere; None where it is not kept."""
    kept = loaded.paths.model(trial.number, str(trial.user_attrs.get("token")))
    if kept.is_file():
        return kept
    store, name = loaded.artifacts, trial.user_attrs.get(MODEL)
    if store is None or name is None:
        return None
    kept.parent.mkdir(parents=True, exist_ok=True)
    return kept if fetch(store, name, kept) else None


def kept_weights(loaded: "LoadedStudy", trial: "FrozenTrial") -> Path:
    """The file of the weights that scored in the search.

    Raises:
        InputError: They are not kept any more.
    """
    kept = find_weights(loaded, trial)
    if kept is None:
        raise InputError(
            f"trial {trial.number} of study {loaded.config.study}: its weights are not kept here (only the best few "
            "trials' are, on the host that trained them unless the study has --artifacts); pass --refit to train its "
            "configuration again on all training images"
        )
    return kept


def copy_weights(kept: Path, trial: "FrozenTrial", model: Path) -> Training:
    """Copy to ``model`` the weights at ``kept``, which scored what ``trial`` recorded."""
    shutil.copyfile(kept, model)
    history = trial.user_attrs["history"]
    return Training(
        refit=False,
        images=0,  # the scoring job counts them
        epochs=len(history["loss"]),
        kept=int(trial.user_attrs["kept_epoch"]),
        seconds=float(trial.user_attrs.get("seconds", 0.0)),
        history=history,
        facts=trial.user_attrs,
    )


def refit(
    loaded: "LoadedStudy",
    trial: "FrozenTrial",
    epochs: int | None,
    model: Path,
    server: "ForkServer",
    say: Callable[[str], None],
    gpu_memory: float | None = None,
) -> Training:
    """Train the trial's configuration on all training images, to the end, and keep the last weights.

    Where memory runs out it is tried once more, gradients accumulated over half batches. One that was interrupted
    goes on from its last checkpoint.

    Raises:
        TrialFailed: The training crashed, or ran out of memory twice.
        StudyStopped: Its loss became NaN or infinite.
    """
    plan = refit_plan(loaded, trial, epochs or loaded.config.epochs, model, gpu_memory)
    return train(loaded, trial, plan, "refit", server, say)


def train(
    loaded: "LoadedStudy",
    trial: "FrozenTrial",
    plan: "TrainingPlan",
    what: str,
    server: "ForkServer",
    say: Callable[[str], None],
) -> Training:
    """Run a training of an export to its end.

    Args:
        loaded: The study.
        trial: Whose configuration it is.
        plan: The training, with a checkpoint.
        what: It is, for the lines that are said.
        server: Starts the child.
        say: Gets a line an epoch.

    Raises:
        TrialFailed: It crashed, or ran out of memory twice.
        StudyStopped: Its loss became NaN or infinite.
    """
    checkpoint = Path(str(plan.checkpoint))
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    if checkpoint.exists():
        say(f"{what}: going on from {checkpoint}")
    threads = int(trial.user_attrs.get("threads") or 0)

    def listen(child: "Child") -> dict[str, Any]:
        return follow(child, plan.epochs, what, say)

    log = loaded.paths.worker_log("export")
    outcome = train_anew(plan, server, log, threads, listen, lambda said: say(f"{what}: {said}"))
    facts = {**trial.user_attrs, **{name: outcome[name] for name in ("versions", "backend", "device")}}
    return Training(
        refit=plan.full,
        images=outcome["training_images"],
        epochs=outcome["epochs"],
        kept=outcome["kept_epoch"],
        seconds=float(sum(outcome["history"]["seconds"])),
        history=outcome["history"],
        facts={**facts, "seed": plan.seed},
    )


def train_anew(
    plan: "TrainingPlan",
    server: "ForkServer",
    log: Path,
    threads: int,
    listen: Callable[["Child"], dict[str, Any]],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Train as planned in a child; where memory runs out once more, gradients accumulated over half batches.

    Args:
        plan: With a checkpoint.
        server: Starts the child.
        log: Gets what the child prints.
        threads: CPU threads, 0 for as many as there are cores.
        listen: Hears the child out.
        say: Gets lines for a person.

    Returns:
        What ``listen`` returned.

    Raises:
        TrialFailed: The training crashed, or ran out of memory twice.
    """
    job, payload = "search.training.job:train", plan.to_payload()
    try:
        with server.start(job, payload, log, threads) as child:
            return listen(child)
    except TrialOutOfMemory:
        if plan.accumulate == 2:
            raise
    Path(str(plan.checkpoint)).unlink(missing_ok=True)  # It is of a training whose batches were another size.
    say("out of memory, once more with half the batch at a time")
    with server.start(job, {**payload, "accumulate": 2}, log, threads) as child:
        return listen(child)


def follow(child: "Child", epochs: int, what: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Hear a training out, saying a line an epoch; see ``hear_out``."""

    def judge(message: Mapping[str, Any]) -> bool:
        check_finite(message, what)
        say(f"{what}: epoch {message['epoch']} of {epochs}, {line(message)}")
        return True

    return hear_out(child, judge)


def hear_out(child: "Child", judge: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
    """Hear a training out, asking ``judge`` after every epoch whether to go on; its ``done``, with the device added."""
    device = ""
    while True:
        message = child.result()
        if message["kind"] == "done":
            return {**message, "device": device}
        if message["kind"] == "built":
            device = message["device"]
        elif message["kind"] == "epoch":
            child.send({"go": judge(message)})


def check_finite(message: Mapping[str, Any], what: str) -> None:
    """End a training that has diverged, before it goes on."""
    if not math.isfinite(message["loss"]):
        raise StudyStopped(
            f"the {what} diverged in epoch {message['epoch']} (its loss is no number); nothing exported: "
            f"export without --{what}, or another --trial"
        )


def line(message: Mapping[str, Any]) -> str:
    """One epoch, for a person."""
    validated = (
        "" if message["val_accuracy"] is None else f"validation accuracy {message['val_accuracy']:.4f}, "
    )
    return (
        f"loss {message['loss']:.4f}, accuracy {message['accuracy']:.4f}, {validated}"
        f"{message['images_per_second']:.0f} images/s"
    )

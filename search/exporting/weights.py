"""The weights that an export starts from: those that scored in the search, or a refit on all training images."""

import shutil
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from search.errors import InputError
from search.execution.planning import PLANNED_EPOCHS
from search.exporting.child_training import TrainingResult, run_training
from search.exporting.training_plans import refit_plan
from search.formatting import EPOCH
from search.study.compute import last_recorded, record_compute
from search.study.study import MODEL, LoadedStudy
from storage.artifacts import try_fetch

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.exporting.request import ExportRequest
    from search.process.fork_server import ForkServer

# How often the compute of a refit is recorded while it is trained: it may be stopped at any time.
RECORD_SECONDS = 1.0


def find_weights(loaded: LoadedStudy, trial: "FrozenTrial") -> Path | None:
    """The file of the weights that scored in the search, or None where it is not kept, or damaged.

    One that lies in the study's artifact store is fetched.
    """
    kept = loaded.paths.model(trial.number, str(trial.user_attrs.get("token")))
    if zipfile.is_zipfile(kept):  # A damaged file is none.
        return kept
    store, name = loaded.artifacts, trial.user_attrs.get(MODEL)
    if store is None or name is None:
        return None
    kept.parent.mkdir(parents=True, exist_ok=True)
    fetched = try_fetch(store, name, kept, f"weights of trial {trial.number}")
    return kept if fetched and zipfile.is_zipfile(kept) else None


def kept_weights(loaded: LoadedStudy, trial: "FrozenTrial") -> Path:
    """The file of the weights that scored in the search.

    Raises:
        InputError: They are not kept any more, or damaged.
    """
    kept = find_weights(loaded, trial)
    if kept is None:
        raise InputError(
            f"trial {trial.number} of study {loaded.config.study}: its weights are not kept here, or damaged (only the "
            "best few trials' are, on the host that trained them unless the study has --artifacts); pass --refit to "
            "train its configuration again on all training images"
        )
    return kept


def copy_weights(loaded: LoadedStudy, kept: Path, trial: "FrozenTrial", model: Path) -> TrainingResult:
    """Copy weights to ``model``.

    Args:
        loaded: The open study.
        kept: Their file.
        trial: The trial that recorded their training.
        model: The copy's file.
    """
    shutil.copyfile(kept, model)
    history = trial.user_attrs["history"]
    return TrainingResult(
        refit=False,
        images=0,  # the scoring job counts them
        epochs=len(history["loss"]),
        kept_epoch=int(trial.user_attrs["kept_epoch"]),
        seconds=float(trial.user_attrs.get("seconds", 0.0)),
        history=history,
        unit=EPOCH if PLANNED_EPOCHS in trial.user_attrs else loaded.config.unit,
        facts=trial.user_attrs,
    )


def refit(request: "ExportRequest", model: Path, server: "ForkServer") -> TrainingResult:
    """Train the trial's configuration on all training images, to the end, and keep the last weights.

    Args:
        request: What to export.
        model: File for the weights.
        server: Starts the child.

    Raises:
        TrialFailed: The training crashed, or memory ran out twice.
        StudyStopped: Its loss became NaN or infinite.
    """
    loaded, trial = request.loaded, request.trial
    plan = refit_plan(loaded, trial, request.options.refit_epochs, model, request.options.gpu_memory)
    checkpoint, per_image = Path(str(plan.checkpoint)), 3.0 * trial.user_attrs["flops"]
    # One that goes on is recorded as the same, one that is made again takes as much again.
    begun = last_recorded(loaded, refit_name(trial, checkpoint))[0] if checkpoint.exists() else ""
    what, recorded, last = begun or _new_name(trial, checkpoint), -RECORD_SECONDS, 0.0

    def seen(images: float) -> None:
        nonlocal what, recorded, last
        if images <= last:  # Memory had run out and it begins anew: what was spent until then stays spent.
            record_compute(loaded, what, per_image * last)
            what, recorded = _new_name(trial, checkpoint), -RECORD_SECONDS
        last = images
        if time.monotonic() - recorded >= RECORD_SECONDS:
            record_compute(loaded, what, per_image * images)
            recorded = time.monotonic()

    training = run_training(loaded, trial, plan, "refit", server, request.say, seen)
    record_compute(loaded, what, training.facts["compute"])
    return training


def _new_name(trial: "FrozenTrial", checkpoint: Path) -> str:
    return f"{refit_name(trial, checkpoint)}{datetime.now(UTC).isoformat(timespec='microseconds')}"


def refit_name(trial: "FrozenTrial", checkpoint: Path) -> str:
    """How the names begin under which the compute of a trial's refits with this checkpoint is recorded."""
    return f"final training, trial {trial.number}, {checkpoint.stem}, "

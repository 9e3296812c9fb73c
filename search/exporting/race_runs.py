"""One training of the race: run in a child, or read where an earlier call has run it."""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from search.config.study_config import StudyConfig
from search.errors import StudyStopped, TrialFailed, TrialInterrupted
from search.exporting.child_training import epoch_line, train_with_retry
from search.exporting.training_plans import race_plan
from search.formatting import Passing
from search.study.compute import record_compute
from search.study.seeds import trial_seed
from storage.atomic import atomic_write

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.process.fork_server import ForkServer
    from search.study.study import LoadedStudy
    from search.training.plan import TrainingPlan


# Seeds of a race are those of trials that no study reaches: no configuration was selected for being good with them.
FIRST_SEED = 1_000_000
# What is kept of the message that ends a training.
OUTCOME = (
    "history", "epochs", "kept_epoch", "versions", "backend", "device", "images_seen", "images_validated",
)  # fmt: skip


@dataclass(frozen=True)
class RaceRun:
    """One training of one configuration with one seed.

    Attributes:
        seed: Of weights, order, augmentation and dropout.
        outcome: What the training came to: the entries ``OUTCOME``.
        value: Of the kept weights, on the images that the race is run on; None where a loss became NaN or infinite, or
            these images give the metric no value.
        compute: FLOPs, as the search counts them.
        weights: File of the kept weights; None where they were not to be kept.
    """

    seed: int
    outcome: Mapping[str, Any]
    value: float | None
    compute: float
    weights: Path | None


def race_seed(config: StudyConfig, round_: int) -> int:
    """The seed of a round, counted from 0; it is the same for every configuration."""
    return trial_seed(config, FIRST_SEED + round_)


def epoch_cost(trial: "FrozenTrial") -> float:
    """FLOPs of one epoch of the trial's configuration, as the search counted them."""
    return float(trial.user_attrs["compute"]) / int(trial.user_attrs["epochs"])


def run_once(
    loaded: "LoadedStudy",
    trial: "FrozenTrial",
    seed: int,
    server: "ForkServer",
    say: Callable[[str], None],
    *,
    keep: bool,
    gpu_memory: float | None = None,
    times: float = 1.0,
    apart: Mapping[str, Any] = MappingProxyType({}),
) -> RaceRun:
    """Train a trial's configuration as the search did, but with another seed, and perhaps for longer.

    A training that an earlier call has finished is read from its record. One that was interrupted goes on from its last
    epoch.

    Args:
        loaded: The open study.
        trial: The trial whose configuration is trained.
        seed: Takes the place of the trial's own.
        server: Starts the child.
        say: Gets lines for a person.
        keep: Whether to keep the weights.
        gpu_memory: GB to take of a GPU at most.
        times: So many times as long as its trial's the training is, at equal compute.
        apart: What else the plan has that is not the trial's: the images that this round validates on.

    Raises:
        StudyStopped: The training failed.
    """
    number, paths = trial.number, loaded.paths
    record, weights, checkpoint = (paths.race_file(number, seed, kind) for kind in ("json", "keras", "npz"))
    plan = race_plan(loaded, trial, seed, checkpoint, weights if keep else None, gpu_memory, times)
    plan = dataclasses.replace(plan, **apart)
    identity = f"{plan.identity} {server.backend}"
    outcome = read_record(record, identity)
    if outcome is None or (keep and not weights.is_file() and not diverged(outcome["history"])):
        record.parent.mkdir(parents=True, exist_ok=True)
        if checkpoint.exists():
            say(f"confirm: trial {number} with seed {seed} goes on from {checkpoint}")
        outcome = {**_train(loaded, trial, plan, server, say), "identity": identity}
        with atomic_write(record) as aside:
            aside.write_text(json.dumps(outcome), encoding="utf-8")
        checkpoint.unlink(missing_ok=True)
    lost = diverged(outcome["history"])
    compute = epoch_cost(trial) * outcome["epochs"]
    if plan.steps:
        images = 3 * outcome["images_seen"] + outcome["images_validated"]
        compute = float(trial.user_attrs["flops"]) * images
        long = "" if times == 1 else f", {times:.6g} times as long"
        record_compute(loaded, f"race, trial {number}, seed {seed}{long}", compute)
    value = None if lost else float(outcome["history"][plan.value_name][outcome["kept_epoch"] - 1])
    if value is not None and not math.isfinite(value):  # As the recall of a class that these images lack.
        value = None
    return RaceRun(seed, outcome, value, compute, weights if keep and not lost else None)


def _train(
    loaded: "LoadedStudy",
    trial: "FrozenTrial",
    plan: "TrainingPlan",
    server: "ForkServer",
    say: Callable[[str], None],
) -> dict[str, Any]:
    log = loaded.paths.worker_log("export")

    def is_finite(message: Mapping[str, Any]) -> bool:
        at = f"{plan.unit} {message['epoch']} of {plan.epochs}"
        say(Passing(f"confirm: trial {trial.number} with seed {plan.seed}, {at}, {epoch_line(message)}"))
        return math.isfinite(message["loss"]) and math.isfinite(message["val_loss"])

    try:
        done = train_with_retry(plan, trial, server, log, is_finite, lambda line: say(f"confirm: {line}"))
    except (TrialFailed, TrialInterrupted) as error:
        raise StudyStopped(
            f"--confirm: training trial {trial.number} again with seed {plan.seed}: {error}; nothing exported, what "
            f"was trained before is kept for the next call, its log is {log}"
        ) from error
    return {name: done[name] for name in OUTCOME}


def diverged(history: Mapping[str, Any]) -> bool:
    """Whether a loss became NaN or infinite."""
    return not all(map(math.isfinite, [*history["loss"], *history["val_loss"]]))


def read_record(path: Path, identity: str) -> dict[str, Any] | None:
    """What a finished training came to; None where there is no record, or one of another training.

    Args:
        path: The record's file.
        identity: Digest of the training, which changes with the images, the space or any setting.
    """
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if record.get("identity") == identity else None

"""One training of the race of ``--confirm``: done in a child, or read where it was done before."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.config import StudyConfig
from search.errors import StudyStopped, TrialFailed, TrialInterrupted
from search.evaluation.plans import plan_anew
from search.evaluation.weights import hear_out, train_anew
from search.sampling import trial_seed
from storage.replacing import replacing

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.child import ForkServer
    from search.study import LoadedStudy
    from search.training.plan import TrainingPlan

# Seeds of the race are those of trials that no study reaches: what was selected was not selected for them.
FIRST_SEED = 1_000_000


@dataclass(frozen=True)
class Run:
    """One training of one configuration with one seed.

    Attributes:
        seed: Of weights, order, augmentation and dropout.
        said: What it came to: ``history``, ``epochs``, ``kept_epoch``, ``versions``, ``backend``, ``device``.
        value: Of the kept weights, on the study's validation images; None where its loss became NaN or infinite.
        compute: FLOPs, as the search counts them.
        weights: File of the kept weights; None where they were not to be kept.
    """

    seed: int
    said: Mapping[str, Any]
    value: float | None
    compute: float
    weights: Path | None


def race_seed(config: StudyConfig, round_: int) -> int:
    """The seed of a round, from 0: the same for every configuration."""
    return trial_seed(config, FIRST_SEED + round_)


def epoch_cost(trial: "FrozenTrial") -> float:
    """FLOPs of one epoch of the trial's configuration, as the search counted them."""
    return float(trial.user_attrs["compute"]) / int(trial.user_attrs["epochs"])


def run_anew(
    loaded: "LoadedStudy",
    trial: "FrozenTrial",
    seed: int,
    server: "ForkServer",
    say: Callable[[str], None],
    *,
    keep: bool,
    gpu_memory: float | None = None,
) -> Run:
    """Train a trial's configuration anew, exactly as the search did, with another seed.

    What has been done before is read; what was interrupted goes on from its last epoch.

    Args:
        loaded: The open study.
        trial: Whose configuration.
        seed: Instead of the trial's.
        server: Starts the child.
        say: Gets lines for a person.
        keep: Keep the weights, too.
        gpu_memory: GB to take of a GPU at most.

    Raises:
        StudyStopped: The training failed.
    """
    number, paths = trial.number, loaded.paths
    record, weights, checkpoint = (paths.anew(number, seed, kind) for kind in ("json", "keras", "npz"))
    plan = plan_anew(loaded, trial, seed, checkpoint, weights if keep else None, gpu_memory)
    identity = f"{plan.identity} {server.backend}"
    said = read_record(record, identity)
    if said is None or (keep and not weights.is_file() and not diverged(said["history"])):
        record.parent.mkdir(parents=True, exist_ok=True)
        if checkpoint.exists():
            say(f"confirm: trial {number} with seed {seed} goes on from {checkpoint}")
        said = {**train(loaded, trial, plan, server, say), "identity": identity}
        write_record(record, said)
        checkpoint.unlink(missing_ok=True)
    history, kept = said["history"], said["kept_epoch"] - 1
    lost = diverged(history)
    return Run(
        seed,
        said,
        None if lost else float(history[plan.value_name][kept]),
        epoch_cost(trial) * said["epochs"],
        weights if keep and not lost else None,
    )


def train(
    loaded: "LoadedStudy",
    trial: "FrozenTrial",
    plan: "TrainingPlan",
    server: "ForkServer",
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Train in a child; what is worth keeping of what it said."""
    log = loaded.paths.worker_log("export")
    threads = int(trial.user_attrs.get("threads") or 0)

    def finite(message: Mapping[str, Any]) -> bool:
        return math.isfinite(message["loss"]) and math.isfinite(message["val_loss"])

    try:
        done = train_anew(
            plan,
            server,
            log,
            threads,
            lambda child: hear_out(child, finite),
            lambda line: say(f"confirm: {line}"),
        )
    except (TrialFailed, TrialInterrupted) as error:
        raise StudyStopped(
            f"--confirm: training trial {trial.number} anew with seed {plan.seed}: {error}; nothing exported, what was "
            f"trained before is kept for the next call, its log is {log}"
        ) from error
    names = ("history", "epochs", "kept_epoch", "versions", "backend", "device")
    return {name: done[name] for name in names}


def diverged(history: Mapping[str, Any]) -> bool:
    """Whether a loss became NaN or infinite."""
    return not all(map(math.isfinite, [*history["loss"], *history["val_loss"]]))


def read_record(path: Path, identity: str) -> dict[str, Any] | None:
    """What a training came to; None where it was not finished, or was of other images, another space or the like."""
    try:
        said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return said if said.get("identity") == identity else None


def write_record(path: Path, said: Mapping[str, Any]) -> None:
    """Leave what a training came to, whole or not at all."""
    with replacing(path) as aside:
        aside.write_text(json.dumps(said), encoding="utf-8")

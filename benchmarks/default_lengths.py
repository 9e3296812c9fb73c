"""The default configuration with the compute of a whole search: the best of three lengths, for ``pays.py``."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from search.exporting.child_training import train_with_retry
from search.exporting.training_plans import refit_plan
from search.process.fork_server import ForkServer
from search.study.study import LoadedStudy
from search.training.plan import TrainingPlan

PARTS = (1, 2, 4)
VALIDATION = 0.2
MOST_EPOCHS = 10_000


def train_longest(
    loaded: LoadedStudy,
    trial: FrozenTrial,
    compute: float,
    place: Path,
    server: ForkServer,
    final: Callable[[int], dict[str, Any]],
) -> dict[str, Any]:
    """Choose the length by validation images, and train so long on all.

    Args:
        loaded: The open study.
        trial: Of the default configuration.
        compute: FLOPs for all of it.
        place: Folder for checkpoints.
        server: Starts the children.
        final: Trains for so many epochs on all images, and scores.

    Returns:
        What ``final`` returned, with the chosen number of ``epochs``, and what everything took.
    """
    flops = float(trial.user_attrs["flops"])
    epochs = epochs_within(compute / flops, *_images(loaded, trial))
    lengths = sorted({max(1, epochs // part) for part in PARTS})
    tried = {each: _validated(loaded, trial, each, place, server) for each in lengths}
    best = max(tried, key=lambda each: tried[each]["accuracy"])
    made = final(best)
    return {
        "epochs": best,
        "accuracy": made["accuracy"],
        "compute": made["compute"] + sum(one["compute"] for one in tried.values()),
        "seconds": made["seconds"] + sum(one["seconds"] for one in tried.values()),
    }


def epochs_within(passes: float, training: int, validation: int, images: int) -> int:
    """The epochs of the longest training, where all of them together may take so many forward passes of an image.

    Of 100 images 80 are trained and 20 validated on. An epoch of these takes 3 * 80 + 20 passes, of all 300:

        >>> epochs_within(7_550, 80, 20, 100)  # 10 epochs, 5 and 2.5: 4,550 passes; 10 on all: 3,000
        10
    """
    an_epoch = sum(1 / part for part in PARTS) * (3 * training + validation) + 3 * images
    return min(MOST_EPOCHS, max(1, int(passes / an_epoch)))


def _images(loaded: LoadedStudy, trial: FrozenTrial) -> tuple[int, int, int]:
    dataset = loaded.dataset()
    parts = _plan(loaded, trial, 1, Path()).split(dataset)
    return len(parts.train), len(parts.validation), sum(dataset.train_counts)


def _plan(loaded: LoadedStudy, trial: FrozenTrial, epochs: int, checkpoint: Path) -> TrainingPlan:
    """The final training but for a part of the images, which it validates on."""
    return dataclasses.replace(
        refit_plan(loaded, trial, epochs, checkpoint, None),
        full=False,
        validation=VALIDATION,
        images=None,
        race_images=0,  # Nobody races here, so that these images are trained on too.
        folds=0,
        fold_of="",
        model=None,
        checkpoint=str(checkpoint),
    )


def _validated(
    loaded: LoadedStudy, trial: FrozenTrial, epochs: int, place: Path, server: ForkServer
) -> dict[str, float]:
    plan = _plan(loaded, trial, epochs, place / f"{epochs}_epochs.npz")
    done = train_with_retry(
        plan,
        trial,
        server,
        place / "log.txt",
        lambda message: True,
        lambda line: print(line, flush=True),
    )
    accuracy = done["history"]["val_accuracy"][-1]
    passes = 3 * done["images_seen"] + done["images_validated"]
    return {
        "accuracy": accuracy if math.isfinite(done["history"]["val_loss"][-1]) else -1.0,
        "compute": float(trial.user_attrs["flops"]) * passes,
        "seconds": float(sum(done["history"]["seconds"])),
    }

"""What the nets of a trial's folds predict of the images that they were not trained on, kept for every trial.

A file a fold, small and whole or absent: the numbers of its validation images among the training images, and the kept
weights' logits for these. All folds of a trial together have each training image once.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from search.data.base import Labels
from storage.checkpoints import read_checkpoint, write_checkpoint


def write_predictions(path: Path, fold: int, images: Labels, logits: npt.NDArray[np.float32]) -> None:
    """Write the predictions of a fold.

    Args:
        path: The file; its folder exists.
        fold: The fold's number, from 0.
        images: The numbers of its validation images among the training images, ``(M,)``.
        logits: What its net gives for these, ``(M, classes)``.
    """
    write_checkpoint(path, [images.astype(np.int32), logits.astype(np.float32)], {"fold": fold})


def read_predictions(files: Sequence[Path], fold_of: Labels, classes: int) -> npt.NDArray[np.float32] | None:
    """Put the predictions of all folds of a trial together.

    Args:
        files: A file a fold, in their order.
        fold_of: The fold of each training image ``(N,)``.
        classes: The number of classes.

    Returns:
        Logits ``(N, classes)`` in the order of the training images; None where a file is absent, damaged, or of
        other images than its fold has.
    """
    together = np.full((len(fold_of), classes), np.nan, np.float32)
    for fold, file in enumerate(files):
        stored = read_checkpoint(file)
        if stored is None or stored[1].get("fold") != fold or len(stored[0]) != 2:
            return None
        images, logits = stored[0]
        if not np.array_equal(images, np.flatnonzero(fold_of == fold)) or logits.shape != (
            len(images),
            classes,
        ):
            return None
        together[images] = logits
    return together if np.isfinite(together).all() else None

"""Folds: the training images in equal stratified parts, each validated on in turn by a net trained on the others."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from search.config import check_number
from search.data.splits import Split, split
from search.errors import InputError

# From so many images on one part held out says as much, at a fraction of the cost.
TOO_MANY_IMAGES = 1000


def fold(labels: npt.NDArray[np.int64], folds: int, which: int, seed: int) -> Split:
    """One of the folds that all training images are dealt into.

    Args:
        labels: Class numbers of all training images ``(N,)``.
        folds: How many; at least so many images of each class.
        which: The one to validate on, from 0; the others are trained on.
        seed: Same seed, same folds.
    """
    # Here, not above: Keras has it imported already, so that a child pays 0.05 s, and no other process needs it.
    from sklearn.model_selection import StratifiedKFold

    parts = StratifiedKFold(folds, shuffle=True, random_state=seed).split(np.zeros(len(labels)), labels)
    train, validation = list(parts)[which]
    return Split(train, validation)


def training_split(
    labels: npt.NDArray[np.int64], *, validation: float, images: int | None, folds: int, which: int, seed: int
) -> Split:
    """What one training of a study trains and validates on: a fold's share, or, without folds, a part held out.

    Args:
        labels: Class numbers of all training images ``(N,)``.
        validation: See ``split``; says nothing where there are folds.
        images: The same.
        folds: How many; 0 for none.
        which: See ``fold``.
        seed: The study's.
    """
    return fold(labels, folds, which, seed) if folds else split(labels, validation, images, seed)


def check_said(folds: int, validation: float | None, images: int | None) -> None:
    """Refuse what contradicts folds, before there are any images.

    Raises:
        InputError: Something does.
    """
    check_number("--folds", folds, 2, 20)
    for flag, value in (("--validation", validation), ("--images", images)):
        if value is not None:
            raise InputError(
                f"{flag} {value}: says nothing beside --folds {folds}, with which every training image is trained on "
                "and validated on; expected one of the two"
            )


def check_folds(folds: int, counts: Sequence[int], classes: Sequence[str]) -> None:
    """Refuse folds of images that are too many, or too few of one class.

    Args:
        folds: How many.
        counts: Training images of each class.
        classes: Their names.

    Raises:
        InputError: They are; the message says what would do.
    """
    images = sum(counts)
    if images >= TOO_MANY_IMAGES:
        raise InputError(
            f"--folds {folds}: there are {images:,} training images; expected fewer than {TOO_MANY_IMAGES:,} (a trial "
            "costs as many trainings as there are folds); leave it out: a part of so many is enough to validate on"
        )
    count, name = min((count, name) for count, name in zip(counts, classes, strict=True) if count)
    if count < folds:
        fewer = f"pass --folds {count}" if count > 1 else "leave it out"
        raise InputError(
            f"--folds {folds}: class {name!r} has {count} training image{'s' if count > 1 else ''}; expected at least "
            f"one a fold; {fewer}, or add images of it"
        )

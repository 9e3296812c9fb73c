"""Folds: cross-validation, for studies with so few images that one validation part would decide by chance.

The training images are dealt into K stratified parts of about the same size. A trial is K trainings: each validates on
one part and trains on the others, and the trial scores the mean of their K values. So each image is validated on
exactly once, by a net that has not seen it.

An example: 200 images, of which a net gets 90 % right. A validation part of 20 %, 40 images, tells its accuracy with a
standard error of sqrt(0.9 * 0.1 / 40) = 4.7 points. Five folds validate on all 200, with a standard error of about
sqrt(0.9 * 0.1 / 200) = 2.1 points, for five trainings instead of one.

Where images belong together in groups, whole groups are dealt (``search.data.groups``).

Source: R. Kohavi, "A Study of Cross-Validation and Bootstrap for Accuracy Estimation and Model Selection", IJCAI 1995.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from search.config.option import check_number
from search.data.groups import deal_groups
from search.data.splits import ANY, FOLDS, Split, SplitRule, split
from search.errors import InputError

# From this many images on, one validation part tells enough, at a fraction of the cost.
TOO_MANY_IMAGES = 1000


def fold(
    labels: npt.NDArray[np.int64],
    folds: int,
    which: int,
    seed: int,
    rule: SplitRule = ANY,
    classes: Sequence[str] = (),
) -> Split:
    """The split of one of the folds.

    Args:
        labels: Class numbers of all training images ``(N,)``; each class has at least ``folds`` images.
        folds: The number of folds.
        which: The fold to validate on, from 0; the others are trained on.
        seed: The same seed gives the same folds.
        rule: What the data says about the split; it has no validation part of its own.
        classes: The names of the classes, for messages.

    Raises:
        InputError: There are groups, and too few of them.
    """
    if rule.groups is not None:
        shares, least = [1 / folds] * folds, [1] * folds
        part = deal_groups(labels, rule.groups, shares, least, [seed, FOLDS], f"--folds {folds}", classes)
        return Split(np.flatnonzero(part != which), np.flatnonzero(part == which))
    # Only a child process needs it, which has imported most of it with Keras, so that it takes 0.05 s there.
    from sklearn.model_selection import StratifiedKFold

    parts = StratifiedKFold(folds, shuffle=True, random_state=seed).split(np.zeros(len(labels)), labels)
    train, validation = list(parts)[which]
    return Split(train, validation)


def training_split(
    labels: npt.NDArray[np.int64],
    *,
    validation: float,
    images: int | None,
    folds: int,
    which: int,
    seed: int,
    rule: SplitRule = ANY,
) -> Split:
    """What one training of a study trains and validates on: one of its folds or, without folds, its one split.

    Args:
        labels: Class numbers of all training images ``(N,)``.
        validation: See ``split``; it is not used with folds.
        images: See ``split``; it is not used with folds.
        folds: The number of folds; 0 for none.
        which: See ``fold``.
        seed: The study's seed.
        rule: What the data says about the split.
    """
    if folds:
        return fold(labels, folds, which, seed, rule)
    return split(labels, validation, images, seed, rule=rule)


def check_fold_options(folds: int, validation: float | None, images: int | None) -> None:
    """Refuse options that contradict folds, before there are any images.

    Args:
        folds: The number of folds asked for.
        validation: The validation fraction asked for; None if none was.
        images: The number of images to train on asked for; None if none was.

    Raises:
        InputError: The number of folds is out of range, or one of the others was asked for.
    """
    check_number("--folds", folds, 2, 20)
    for flag, value in (("--validation", validation), ("--images", images)):
        if value is not None:
            raise InputError(
                f"{flag} {value}: says nothing beside --folds {folds}, with which every training image is trained on "
                "and validated on; expected one of the two"
            )


def check_folds(folds: int, counts: Sequence[int], classes: Sequence[str]) -> None:
    """Refuse folds if there are too many images, or too few of a class.

    Args:
        folds: The number of folds asked for.
        counts: The number of training images of each class.
        classes: The names of the classes.

    Raises:
        InputError: There are; the message says what to ask for instead.
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

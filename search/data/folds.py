"""Folds: cross-validation, for studies with so few images that one validation part would decide by chance.

The training images are dealt into K stratified parts of about the same size. A trial is K trainings: each validates on
one part and trains on the others, and the trial scores the mean of their K values. So each image is validated on
exactly once, by a net that has not seen it.

An example: 200 images, of which a net gets 90 % right. A validation part of 20 %, 40 images, tells its accuracy with a
standard error of sqrt(0.9 * 0.1 / 40) = 4.7 points. Five folds validate on all 200, with a standard error of about
sqrt(0.9 * 0.1 / 200) = 2.1 points, for five trainings instead of one.

Where images belong together in groups, whole groups are dealt (``search.data.groups``), and so are near-duplicates
(``search.data.duplicates``): of the same picture twice, a net that was trained on one knows the other.

A study deals once, when it is made, and stores the fold of each image, a letter each: ``0120...``.

Source: R. Kohavi, "A Study of Cross-Validation and Bootstrap for Accuracy Estimation and Model Selection", IJCAI 1995.
"""

from collections.abc import Sequence
from string import ascii_lowercase, digits

import numpy as np
import numpy.typing as npt

from search.data.base import Labels
from search.data.groups import Groups, deal_groups, linked
from search.data.splits import ANY, FOLDS, Split, SplitRule, by_class, deal_race, split
from search.errors import InputError

# From this many images on, a study is not cross-validated unless asked to: one validation part tells enough.
FEW_IMAGES = 2000
# From this many images on in fewer folds, since each tells more and costs more.
FEWER_FOLDS_FROM = 1000
# The folds of few and of more images, of whole nets and of heads over a backbone, whose trainings take seconds.
WHOLE_NETS, HEADS = (5, 3), (10, 5)
# With fewer a net would be trained on half of the images.
LEAST_FOLDS = 3
# The fold of each image is stored with the study.
MOST_IMAGES = 100_000
LETTERS = digits + ascii_lowercase


def fold(
    labels: npt.NDArray[np.int64],
    folds: int,
    which: int,
    seed: int,
    rule: SplitRule = ANY,
) -> Split:
    """The split of one of the folds, in a study that has not stored which image is in which.

    Args:
        labels: Class numbers of all training images ``(N,)``; each class has at least ``folds`` images.
        folds: The number of folds.
        which: The fold to validate on, from 0; the others are trained on.
        seed: The same seed gives the same folds.
        rule: What the data says about the split; it has no validation part of its own.

    Raises:
        InputError: There are groups, and too few of them.
    """
    if rule.groups is not None:
        return _split_at(which, _deal_whole(labels, rule.groups, folds, seed))
    # Only a child process needs it, which has imported most of it with Keras, so that it takes 0.05 s there.
    from sklearn.model_selection import StratifiedKFold

    parts = StratifiedKFold(folds, shuffle=True, random_state=seed).split(np.zeros(len(labels)), labels)
    train, validation = list(parts)[which]
    return Split(train, validation)


def default_folds(images: int, over_backbone: bool) -> int:
    """The number of folds of a study of so many training images; 0 where a part is held out instead."""
    if images >= FEW_IMAGES:
        return 0
    return (HEADS if over_backbone else WHOLE_NETS)[images >= FEWER_FOLDS_FROM]


def deal_folds(
    labels: Labels,
    folds: int,
    seed: int,
    rule: SplitRule = ANY,
    twins: Labels | None = None,
    classes: Sequence[str] = (),
) -> str:
    """Deal the training images into folds, so that what belongs together stays together.

    Args:
        labels: Class numbers of all training images ``(N,)``.
        folds: The number of folds.
        seed: The same seed deals alike.
        rule: What the data says about the split; of groups whole ones are dealt.
        twins: The number of each image's cluster of near-duplicates ``(N,)``, of which whole ones are dealt; None where
            no images look alike.
        classes: The names of the classes, for messages.

    Returns:
        The fold of each image, a letter each.

    Raises:
        InputError: A class has too few images, groups or clusters.
    """
    if rule.groups is not None:
        kept = rule.groups if twins is None else joined(rule.groups, twins).astype(np.str_)
        part = _deal_whole(labels, kept, folds, seed, classes)
    else:
        first, cluster = np.arange(len(labels)), np.arange(len(labels))
        if twins is not None:
            _, first, cluster = np.unique(twins, return_index=True, return_inverse=True)
        names = classes or [str(number) for number in range(int(labels.max()) + 1)]
        counts = np.bincount(labels[first], minlength=len(names))
        check_folds(folds, counts.tolist(), names, "different training picture")
        # Dealt like cards, class by class: parts and their classes are as equal as can be.
        dealt = np.empty(len(first), np.int64)
        dealt[by_class(labels[first], [seed, FOLDS])] = np.arange(len(first)) % folds
        part = dealt[cluster]  # A cluster goes where its first image goes.
    return "".join(LETTERS[number] for number in part.tolist())


def _deal_whole(labels: Labels, groups: Groups, folds: int, seed: int, classes: Sequence[str] = ()) -> Labels:
    """The number of each image's fold ``(N,)``, where whole groups are dealt."""
    shares, least = [1 / folds] * folds, [1] * folds
    return deal_groups(labels, groups, shares, least, [seed, FOLDS], f"--folds {folds}", classes)


def _split_at(which: int, part: Labels) -> Split:
    """Validate on one fold, and train on the others."""
    return Split(np.flatnonzero(part != which), np.flatnonzero(part == which))


def joined(one: npt.NDArray[np.generic], other: npt.NDArray[np.generic]) -> Labels:
    """The finest groups of images, by number ``(N,)``, that divide none of the groups ``one`` and ``other``."""
    (first, mine), (second, theirs) = (np.unique(kind, return_inverse=True) for kind in (one, other))
    return linked(mine, len(first) + theirs, len(first) + len(second))[mine]


def read_folds(fold_of: str) -> Labels:
    """The number of each image's fold ``(N,)``; see ``deal_folds``."""
    return np.array([LETTERS.index(letter) for letter in fold_of], np.int64)


def training_split(
    labels: npt.NDArray[np.int64],
    *,
    validation: float,
    images: int | None,
    folds: int,
    which: int,
    seed: int,
    rule: SplitRule = ANY,
    fold_of: str = "",
    race: int = 0,
    race_part: int | None = None,
    race_parts: int = 1,
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
        fold_of: See ``deal_folds``; empty in a study that has not stored it.
        race: See ``split``; it is not used with folds.
        race_part: Of a training in a race, which of the parts of its images to validate on, see
            ``search.data.splits.deal_race``; None validates on the study's validation images.
        race_parts: Number of these parts.
    """
    if folds and fold_of:
        return _split_at(which, read_folds(fold_of))
    if folds:
        return fold(labels, folds, which, seed, rule)
    parts = split(labels, validation, images, seed, rule=rule, race=race)
    if race_part is None:
        return parts
    return Split(parts.train, deal_race(labels, parts.race, race_part, race_parts, seed), parts.race)


def check_folds(
    folds: int, counts: Sequence[int], classes: Sequence[str], what: str = "training image"
) -> None:
    """Refuse folds if there are too many images, or too few of a class.

    Args:
        folds: The number of folds asked for.
        counts: The number of training images of each class.
        classes: The names of the classes.
        what: What is counted, in the singular.

    Raises:
        InputError: There are; the message says what to ask for instead.
    """
    images = sum(counts)
    if images > MOST_IMAGES:
        raise InputError(
            f"--folds {folds}: there are {images:,} training images; expected at most {MOST_IMAGES:,} (a trial costs "
            "as many trainings as there are folds); leave it out: a part of so many is enough to validate on"
        )
    count, name = min((count, name) for count, name in zip(counts, classes, strict=True))
    if count < folds:
        fewer = f"pass --folds {count}" if count > 1 else "leave it out"
        raise InputError(
            f"--folds {folds}: class {name!r} has {count} {what}{'' if count == 1 else 's'}; expected at least "
            f"one a fold; {fewer}, or add images of it"
        )

"""Stratified splits of the training images: every part has the classes in the proportions of the whole.

First each class gets a quota of the part, in whole images; then as many of its images are drawn at random. The quotas
follow the method of largest remainders (A. Hamilton, 1792, for seats in a parliament): class c with n_c of n images
gets the whole number below its exact share q_c = n_c * total / n, and the images that are left go one by one to the
classes with the largest q_c - quota. In addition each class gets at least one image, and at most as many as it can
spare.

A validation part of 15 out of 100 images, 50 of class a, 33 of b and 17 of c, has the exact shares 7.5, 4.95 and 2.55.
Their whole parts, 7, 4 and 2, make 13; the two images left go to b (remainder 0.95) and c (0.55):

    >>> quotas(np.array([50, 33, 17]), 15, np.array([49, 32, 16])).tolist()
    [7, 5, 3]

Of 96, 3 and 1 images, 10 are 9.6, 0.3 and 0.1. One image for each class makes 11, and the class that has the least
claim to its last image gives it back:

    >>> quotas(np.array([96, 3, 1]), 10, np.array([95, 2, 1])).tolist()
    [8, 1, 1]

Data may rule more than that (``SplitRule``): its own validation images are taken as they are, and groups stay whole.

Every trial's child process draws its split again. This is plain NumPy, since scikit-learn takes 0.7 s to import there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from search.config.option import check_number
from search.data.base import Labels
from search.data.groups import Groups, deal_groups
from search.errors import InputError

# Each draw has its own sequence of random numbers, so that none depends on whether another was made.
TEST, VALIDATION, TRAINING, FOLDS, EARLY, RACE = range(6)
# What a training is judged by on the way: more images would cost more than they tell.
EARLY_IMAGES = 2000
# By which batch statistics are counted anew there, for the mean of late weights (``search.training.late_mean``).
STATISTICS_IMAGES = 256


class SplitRule(NamedTuple):
    """What the data itself says about how its training images may be split.

    Attributes:
        validation: The data has a validation part of its own, of so many images: the last ones of the training images.
            0 where it has none, and one is drawn.
        groups: The group of each training image ``(N,)``, which are trained on or validated on together; None where
            there are no groups.
    """

    validation: int = 0
    groups: Groups | None = None


ANY = SplitRule()


@dataclass(frozen=True)
class Split:
    """The training images in disjoint parts, each as sorted indices ``(N,)``, int64.

    Attributes:
        train: The images that weights are fitted on.
        validation: The images by which epochs are chosen and trials are pruned and ranked.
        race: The images that are set aside for the race of the best configurations: no trial is fitted on them or
            ranked by them.
    """

    train: Labels
    validation: Labels
    race: Labels = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def all(self) -> Labels:
        """The images of both parts, sorted."""
        return np.union1d(self.train, self.validation)


def split(
    labels: npt.NDArray[np.int64],
    validation: float,
    images: int | None,
    seed: int,
    classes: Sequence[str] = (),
    rule: SplitRule = ANY,
    race: int = 0,
) -> Split:
    """Draw the validation images, then those of the race, and then the images to train on from the others.

    Args:
        labels: Class numbers of all training images ``(N,)``.
        validation: The fraction of the images to validate on, stratified. They are drawn first, and do not depend on
            ``images``. Not used where the data has validation images of its own.
        images: The number of images to train on, stratified; None trains on all that are left. What is left out is used
            nowhere, so that groups need not stay whole for it.
        seed: The same seed gives the same split.
        classes: The names of the classes, for the messages.
        rule: What the data says about the split.
        race: How many images to set aside for a race, stratified, at most about half of those that are not validated
            on; whole groups, so that it may be about so many.

    Raises:
        InputError: A class has too few images, or ``images`` are more than there are or fewer than the classes.
    """
    labels = np.asarray(labels)
    if rule.validation:
        leaves = "the data's own validation part"
        held = np.arange(len(labels) - rule.validation, len(labels))
    else:
        check_number("--validation", validation, 0.01, 0.5)
        leaves = f"--validation {validation:g}"
        held = hold_out(labels, validation, [seed, VALIDATION], leaves, 2, classes, rule.groups)
    rest = np.setdiff1d(np.arange(len(labels)), held, assume_unique=True)
    aside = np.zeros(0, np.int64)
    if race:
        groups = None if rule.groups is None else rule.groups[rest]
        share = race / len(rest)
        aside = rest[hold_out(labels[rest], share, [seed, RACE], "the race", 2, classes, groups)]
        rest = np.setdiff1d(rest, aside, assume_unique=True)
    if images is None:
        return Split(rest, held, aside)
    kinds = len(np.unique(labels))
    if not kinds <= images <= len(rest):
        raise InputError(
            f"--images {images}: expected a number from {kinds} (one a class) to {len(rest)} (all training images that "
            f"{leaves} leaves); leave it out to train on all"
        )
    _, counts = np.unique(labels[rest], return_counts=True)
    chosen = _draw(labels[rest], quotas(counts, images, counts), [seed, TRAINING])
    return Split(rest[chosen], held, aside)


def hold_out(
    labels: Labels,
    fraction: float,
    seed: Sequence[int],
    flag: str,
    least: int,
    classes: Sequence[str] = (),
    groups: Groups | None = None,
) -> Labels:
    """Draw a stratified part of the images: at least one of each class, but never all of one.

    Args:
        labels: Class numbers ``(N,)``.
        fraction: The fraction of the images to draw.
        seed: The seed of the draw.
        flag: What the message says that too few images are for.
        least: The fewest images that a class may have; with groups, the fewest groups.
        classes: The names of the classes, for the message.
        groups: The group of each image ``(N,)``, of which only whole ones are drawn; None draws single images.

    Returns:
        Sorted indices ``(M,)``, int64.

    Raises:
        InputError: A class has fewer than ``least`` images or groups; the message names it.
    """
    if groups is not None:
        shares = [fraction, 1 - fraction]
        return np.flatnonzero(deal_groups(labels, groups, shares, [1, least - 1], seed, flag, classes) == 0)
    numbers, counts = np.unique(labels, return_counts=True)
    if counts.min() < least:
        number, count = int(numbers[counts.argmin()]), int(counts.min())
        name = classes[number] if classes else str(number)
        raise InputError(
            f"class {name!r} has {count} image{'s' if count > 1 else ''}, too few for {flag}: expected at least "
            f"{least} of each class; add images of it, or remove the class"
        )
    return _draw(labels, quotas(counts, round(fraction * len(labels)), counts - 1), seed)


def quotas(counts: Labels, total: int, most: Labels) -> Labels:
    """How many images of each class make up a stratified part, by the method of largest remainders.

    Args:
        counts: The number of images of each class, ``(classes,)``.
        total: The number of images of the part. It is raised to one a class, and lowered to the sum of ``most``.
        most: The most images to take of each class, ``(classes,)``.

    Returns:
        The number of images to take of each class, ``(classes,)``, int64.
    """
    total = min(max(total, len(counts)), int(most.sum()))
    exact = counts * (total / counts.sum())
    taken: Labels = np.clip(exact.astype(np.int64), 1, most)
    while (missing := total - int(taken.sum())) != 0:
        remainders = exact - taken
        if missing > 0:
            taken[np.where(taken < most, remainders, -np.inf).argmax()] += 1
        else:
            taken[np.where(taken > 1, remainders, np.inf).argmin()] -= 1
    return taken


def early_subset(labels: Labels, validation: Labels, seed: int) -> Labels:
    """The validation images that a training is judged by on the way: all of them, or ``EARLY_IMAGES``, stratified.

    Args:
        labels: Class numbers of all training images ``(N,)``.
        validation: Sorted indices of the validation images among them ``(M,)``.
        seed: The same seed gives the same images.

    Returns:
        Sorted indices among all training images, int64.
    """
    if len(validation) <= EARLY_IMAGES:
        return validation
    _, counts = np.unique(labels[validation], return_counts=True)
    return validation[_draw(labels[validation], quotas(counts, EARLY_IMAGES, counts), [seed, EARLY])]


def deal_race(labels: Labels, race: Labels, part: int, parts: int, seed: int) -> Labels:
    """One of the parts into which the race's images are dealt, stratified, each for a round of its own.

    Args:
        labels: Class numbers of all training images ``(N,)``.
        race: Sorted indices of the race's images among them ``(M,)``.
        part: Which part, from 0.
        parts: Their number.
        seed: The same seed deals alike.

    Returns:
        Sorted indices among all training images, int64.
    """
    return np.sort(race[by_class(labels[race], [seed, RACE, parts])[part::parts]])


def by_class(labels: Labels, seed: Sequence[int]) -> Labels:
    """The places of images ``(N,)``, class by class, in random order within each."""
    order = np.random.default_rng(seed).permutation(len(labels))
    return order[np.argsort(labels[order], kind="stable")]


def _draw(labels: Labels, of_each_class: Labels, seed: Sequence[int]) -> Labels:
    random = np.random.default_rng(list(seed))
    chosen = [
        random.permutation(np.flatnonzero(labels == number))[:quota]
        for number, quota in zip(np.unique(labels), of_each_class, strict=True)
    ]
    return np.sort(np.concatenate(chosen))

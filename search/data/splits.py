"""Stratified, seeded splits by index.

Plain NumPy: every trial's child draws its split anew, and importing scikit-learn there would cost 0.7 s a
trial.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.config import check_number
from search.data.source import Labels
from search.errors import InputError

# Each draw has random numbers of its own, so that none depends on whether another was made.
TEST, VALIDATION, TRAINING = range(3)


@dataclass(frozen=True)
class Split:
    """Which of the training images do what: sorted, disjoint indices, int64.

    Attributes:
        train: The images that weights are fitted on.
        validation: The images that choose, prune and rank.
    """

    train: Labels
    validation: Labels

    @property
    def all(self) -> Labels:
        """The images of either part, sorted."""
        return np.union1d(self.train, self.validation)


def split(
    labels: npt.NDArray[np.int64],
    validation: float,
    images: int | None,
    seed: int,
    classes: Sequence[str] = (),
) -> Split:
    """Draw the validation images, then (unless all are wanted) the images to train on.

    Args:
        labels: Class numbers of all training images ``(N,)``.
        validation: Fraction to validate on, stratified, at least one of each class. Drawn first: it does not
            depend on ``images``.
        images: Train on a stratified so many of the rest, exactly; None takes all.
        seed: Same seed, same split.
        classes: Names for the messages.

    Raises:
        InputError: A class has too few images, or ``images`` is more than there are or too few for the
            classes.
    """
    check_number("--validation", validation, 0.01, 0.5)
    labels = np.asarray(labels)
    held = hold_out(labels, validation, [seed, VALIDATION], f"--validation {validation:g}", 2, classes)
    rest = np.setdiff1d(np.arange(len(labels)), held, assume_unique=True)
    if images is None:
        return Split(rest, held)
    kinds = len(np.unique(labels))
    if not kinds <= images <= len(rest):
        raise InputError(
            f"--images {images}: expected a number from {kinds} (one a class) to {len(rest)} (all training "
            f"images that "
            f"--validation {validation:g} leaves); leave it out to train on all"
        )
    _, counts = np.unique(labels[rest], return_counts=True)
    chosen = _draw(labels[rest], _quotas(counts, images, counts), [seed, TRAINING])
    return Split(rest[chosen], held)


def hold_out(
    labels: Labels, fraction: float, seed: Sequence[int], flag: str, least: int, classes: Sequence[str] = ()
) -> Labels:
    """Sorted indices of a stratified ``fraction``: at least one image of each class, never all of one.

    Raises:
        InputError: A class has fewer than ``least`` images; the message names it.
    """
    numbers, counts = np.unique(labels, return_counts=True)
    if counts.min() < least:
        number, count = int(numbers[counts.argmin()]), int(counts.min())
        name = classes[number] if classes else str(number)
        raise InputError(
            f"class {name!r} has {count} image{'s' if count > 1 else ''}, too few for {flag}: expected at "
            f"least {least} "
            "of each class; add images of it, or remove the class"
        )
    return _draw(labels, _quotas(counts, round(fraction * len(labels)), counts - 1), seed)


def _quotas(counts: Labels, total: int, most: Labels) -> Labels:
    """How many of each class make up ``total``: by largest remainder, from one to ``most`` of each."""
    total = min(max(total, len(counts)), int(most.sum()))
    exact = counts * (total / counts.sum())
    quotas: Labels = np.clip(exact.astype(np.int64), 1, most)
    while (missing := total - int(quotas.sum())) != 0:
        owed = exact - quotas
        if missing > 0:
            quotas[np.where(quotas < most, owed, -np.inf).argmax()] += 1
        else:
            quotas[np.where(quotas > 1, owed, np.inf).argmin()] -= 1
    return quotas


def _draw(labels: Labels, quotas: Labels, seed: Sequence[int]) -> Labels:
    random = np.random.default_rng(list(seed))
    chosen = [
        random.permutation(np.flatnonzero(labels == number))[:quota]
        for number, quota in zip(np.unique(labels), quotas, strict=True)
    ]
    return np.sort(np.concatenate(chosen))

"""Images that occur twice, equal to the bit or nearly: what a net remembers of its training images is not skill.

Equal images of different classes contradict each other: a net cannot learn both labels, and at most one is right.
Which images are equal or look alike, ``search.data.image_hashes`` tells.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from search.data.base import Labels, Pixels
from search.data.groups import linked
from search.data.image_hashes import (
    BITS,
    NEAREST,
    SMALLEST,
    Digests,
    Hashes,
    alike,
    digests,
    hashes,
    nearest_distances,
)

# More training images are not compared with each other: all pairs of 100,000 take some five seconds of a core.
MOST_WITHIN = 100_000
# Pairs that a message has as examples.
MOST_EXAMPLES = 3


class Place(NamedTuple):
    """Which image is meant: its part, ``training`` or ``test``, and its number there."""

    part: str
    number: int


Pairs = Sequence[tuple[Place, Place]]


class Duplicates(NamedTuple):
    """The images that are there twice.

    Attributes:
        counts: ``exact``: how many test images equal a training image; ``near``: how many others look like one;
            ``within``: how many training images equal another one or, of no more than ``MOST_WITHIN``, look like one;
            ``contradictory_train`` and ``contradictory_test``: how many training and test images equal an image of
            another class, be that a training or a test image.
        examples: A few pairs of images of each kind: ``across`` (test and training), ``within``, ``contradictory``.
    """

    counts: dict[str, int]
    examples: dict[str, Pairs]


def find_duplicates(train: Pixels, test: Pixels, train_labels: Labels, test_labels: Labels) -> Duplicates:
    """Find the images that have a duplicate where there should be none.

    Near-duplicates are looked for among images of at least ``SMALLEST`` pixels a side.

    Args:
        train: Training images ``(N, H, W, C)``, uint8; may be memory-mapped.
        test: Test images ``(M, H, W, C)``, uint8; may be memory-mapped.
        train_labels: Class numbers ``(N,)``, int64.
        test_labels: Class numbers ``(M,)``, int64.
    """
    of_train, of_test = digests(train), digests(test)
    _, which, counts = np.unique(of_train, return_inverse=True, return_counts=True)
    exact, twins = np.isin(of_test, of_train), counts[which] > 1
    near = np.zeros_like(exact)
    hashed = tested = np.zeros(0, np.uint64)
    if min(train.shape[1:3]) >= SMALLEST:
        hashed, tested = hashes(train), hashes(test)
        near = nearest_distances(tested, hashed) <= NEAREST
        if len(train) <= MOST_WITHIN:
            twins |= nearest_distances(hashed, hashed, itself=False) <= NEAREST
    contradictory, pairs = _contradictions(
        np.concatenate([of_train, of_test]), np.concatenate([train_labels, test_labels]), len(train)
    )
    across = [
        (
            Place("test", index),
            Place("training", _partner(of_test[index], tested[index : index + 1], of_train, hashed)),
        )
        for index in np.flatnonzero(exact | near)[:MOST_EXAMPLES].tolist()
    ]
    return Duplicates(
        {
            "exact": int(exact.sum()),
            "near": int((near & ~exact).sum()),
            "within": int(twins.sum()),
            "contradictory_train": int(contradictory[: len(train)].sum()),
            "contradictory_test": int(contradictory[len(train) :].sum()),
        },
        {"across": across, "within": _twin_pairs(twins, of_train, hashed), "contradictory": pairs},
    )


def _contradictions(
    digest: Digests, labels: Labels, train_images: int
) -> tuple[npt.NDArray[np.bool_], Pairs]:
    """Which images equal one of another class, of the training images and behind them the test images; and examples."""
    _, which = np.unique(digest, return_inverse=True)
    lowest, highest = np.full(len(which), labels.max()), np.full(len(which), labels.min())
    np.minimum.at(lowest, which, labels)
    np.maximum.at(highest, which, labels)
    contradictory = (lowest != highest)[which]

    def place(index: int) -> Place:
        return Place("training", index) if index < train_images else Place("test", index - train_images)

    pairs = []
    for group in list(dict.fromkeys(which[contradictory].tolist()))[:MOST_EXAMPLES]:
        first, *others = np.flatnonzero(which == group).tolist()
        pairs.append((place(first), place(next(other for other in others if labels[other] != labels[first]))))
    return contradictory, pairs


def _twin_pairs(twins: npt.NDArray[np.bool_], digest: Digests, hashed: Hashes) -> Pairs:
    """A few pairs of training images that look alike, each once."""
    pairs: dict[tuple[int, int], None] = {}
    for index in np.flatnonzero(twins).tolist():
        if len(pairs) == MOST_EXAMPLES:
            break
        other = _partner(digest[index], hashed[index : index + 1], digest, hashed, index)
        pairs[min(index, other), max(index, other)] = None
    return [(Place("training", one), Place("training", other)) for one, other in pairs]


def _partner(own: bytes, own_hash: Hashes, among: Digests, hashed: Hashes, itself: int | None = None) -> int:
    """The number of the image among others that is equal, or else nearest; never ``itself``."""
    equal = [index for index in np.flatnonzero(among == own).tolist() if index != itself]
    if equal:
        return int(equal[0])
    distances = np.bitwise_count(own_hash ^ hashed)
    if itself is not None:
        distances[itself] = BITS
    return int(distances.argmin())


def twin_clusters(images: Pixels, most: int) -> Labels | None:
    """Number the clusters of images that are equal or look alike; what looks like one of a cluster is in it.

    Where the largest cluster has more than ``most`` images, these are hardly one picture, but pictures of one kind,
    such as radiographs. Then only equal images are one.

    Args:
        images: ``(N, H, W, C)``, uint8; may be memory-mapped.
        most: The most images of a cluster of near-duplicates.

    Returns:
        The cluster of each image ``(N,)``; None where each is alone.
    """
    _, equal = np.unique(digests(images), return_inverse=True)
    cluster = np.asarray(equal, np.int64)
    if min(images.shape[1:3]) >= SMALLEST and len(images) <= MOST_WITHIN:
        one, other = alike(hashes(images))
        joined = linked(cluster[one], cluster[other], len(images))[cluster]
        if np.bincount(joined).max() <= most:
            cluster = joined
    return None if np.bincount(cluster).max() == 1 else cluster


def duplicate_notes(
    counts: Mapping[str, int], train_images: int, test_images: int, examples: Mapping[str, str] | None = None
) -> list[str]:
    """Lines for people about the images that are there twice; none if there are none.

    Args:
        counts: See ``Duplicates``; data prepared by older versions have not all of them.
        train_images: The number of training images.
        test_images: The number of test images.
        examples: See ``example_words``.
    """
    found = {"contradictory_train": 0, "contradictory_test": 0, **counts}
    such_as = {kind: f"such as {words}" for kind, words in (examples or {}).items()}
    notes, parts = [], []
    if count := found["exact"] + found["near"]:
        equal = f"{found['exact']:,} of them equal to one" if found["exact"] else "none of them equal to one"
        of_these = "; ".join(filter(None, (such_as.get("across"), equal)))
        parts.append(f"{count:,} of {test_images:,} test images look like a training image ({of_these})")
    if found["within"]:
        parts.append(
            f"{found['within']:,} of {train_images:,} training images look like another"
            f"{_in_brackets(such_as, 'within')}"
        )
    if parts:
        notes.append(
            f"warning: near-duplicates: {', '.join(parts)}: what a net scores on such images is partly memory; keep "
            "each picture once"
        )
    if found["contradictory_train"] or found["contradictory_test"]:
        notes.append(
            "warning: contradictory labels: the same picture is there under two classes or more, in "
            f"{found['contradictory_train']:,} of {train_images:,} training images and "
            f"{found['contradictory_test']:,} of {test_images:,} test images{_in_brackets(such_as, 'contradictory')}: "
            "at most one label is right; keep the picture in that class alone"
        )
    return notes


def _in_brackets(words: Mapping[str, str], kind: str) -> str:
    return f" ({words[kind]})" if kind in words else ""


def example_words(examples: Mapping[str, Pairs], name: Callable[[Place], str]) -> dict[str, str]:
    """Examples of each kind in words: ``a.png and b.png, c.png and d.png``.

    Args:
        examples: See ``Duplicates``.
        name: What a person knows an image by.
    """
    return {
        kind: ", ".join(f"{name(one)} and {name(other)}" for one, other in pairs)
        for kind, pairs in examples.items()
        if pairs
    }

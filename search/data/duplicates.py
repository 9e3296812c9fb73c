"""Images that occur twice, equal to the bit or nearly: what a net remembers of its training images is not skill.

Equal images of different classes contradict each other: a net cannot learn both labels, and at most one is right.

Equal images have equal SHA-256 digests of their pixels. Near-duplicates are found by a perceptual hash, which changes
little when a picture is saved again, blurred or brightened. It looks at the coarse shapes alone, which are the lowest
frequencies of the picture's cosine transform, and of these only at the signs.

In symbols: let c_1, ..., c_64 be the coefficients of the brightness's two-dimensional cosine transform with the lowest
frequencies u + v, without the mean c_0. The hash h has the bits h_i = [c_i > 0]. Two images are near-duplicates if
their hashes differ in at most 8 of the 64 bits.

An example of the distance: the hashes 0b1011 and 0b0010 differ in the bits of 0b1011 xor 0b0010 = 0b1001, which are 2.
The signs of unrelated pictures agree by chance, so that they differ in about 32 bits; were all 64 independent, a pair
would come within 8 with the probability 3e-10.

Measured on CIFAR-10 (as JPEG files; pairs of a test and a training image): at least 92 % of the pairs at each distance
up to 8 have the same class, at 9 it is 80 %, at 12 46 %. Copies saved as JPEG of quality 40, blurred, brightened or
with noise are within 8 in over 98 % of cases.

Source: C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010 (there each coefficient is
compared with the median instead of zero), https://www.phash.org/docs/pubs/thesis_zauner.pdf.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from search.data.base import Labels, Pixels

# The largest distance of near-duplicates, in bits.
NEAREST = 8
# Smaller pictures, in pixels a side, have too few shapes: 61 % of scikit-learn's digits (8x8) are within 8 bits of
# another one, although each was drawn by hand.
SMALLEST = 32
LUMA = (0.299, 0.587, 0.114)
BITS = 64
# Along each side; the 64 coefficients with the lowest u + v have no higher ones.
FREQUENCIES = 11
BLOCK_BYTES = 1 << 22
BLOCK_PAIRS = 1 << 20
# More training images are not compared with each other: all pairs of 100,000 take some five seconds of a core.
MOST_WITHIN = 100_000
# Pairs that a message has as examples.
MOST_EXAMPLES = 3
Hashes = npt.NDArray[np.uint64]
Digests = npt.NDArray[np.bytes_]


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
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    _, equal = np.unique(digests(images), return_inverse=True)
    cluster = np.asarray(equal, np.int64)
    if min(images.shape[1:3]) >= SMALLEST and len(images) <= MOST_WITHIN:
        one, other = _alike(hashes(images))
        links = coo_array((np.ones(len(one)), (cluster[one], cluster[other])), shape=(len(images),) * 2)
        alike = connected_components(links, directed=False)[1][cluster]
        if np.bincount(alike).max() <= most:
            cluster = np.asarray(alike, np.int64)
    return None if np.bincount(cluster).max() == 1 else cluster


def _alike(hashed: Hashes) -> tuple[Labels, Labels]:
    """The numbers of all pairs of near-duplicates, each pair in both orders and each image with itself."""
    step = max(1, BLOCK_PAIRS // len(hashed))
    found = [
        np.nonzero(np.bitwise_count(hashed[at : at + step, np.newaxis] ^ hashed) <= NEAREST)
        for at in range(0, len(hashed), step)
    ]
    rows = [one + number * step for number, (one, _) in enumerate(found)]
    return np.concatenate(rows), np.concatenate([other for _, other in found])


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


def digests(images: Pixels) -> Digests:
    """The SHA-256 of each image's pixels, ``(N,)``, in hexadecimal."""
    return np.array([hashlib.sha256(image.tobytes()).hexdigest() for image in images], "S64")


def hashes(images: Pixels) -> Hashes:
    """The perceptual hashes ``(N,)``, uint64, of images ``(N, H, W, C)``, uint8."""
    count, height, width, channels = images.shape
    rows, columns = _cosines(height), _cosines(width)
    weights = np.asarray(LUMA if channels == 3 else [1.0], np.float32)
    # One matrix product takes the brightness and the cosines along a row.
    across = (columns[:, :, np.newaxis] * weights).reshape(FREQUENCIES, -1).T
    down, right = np.mgrid[:FREQUENCIES, :FREQUENCIES]
    lowest = np.lexsort((down.ravel(), (down + right).ravel()))[1 : BITS + 1]  # Without the mean.
    found = np.empty(count, np.uint64)
    step = max(1, BLOCK_BYTES // images[0].size)
    for start in range(0, count, step):
        block = np.asarray(images[start : start + step], np.float32).reshape(-1, height, width * channels)
        frequencies = rows @ (block @ across)
        bits = np.ascontiguousarray(frequencies.reshape(len(block), -1)[:, lowest] > 0)
        found[start : start + step] = np.packbits(bits, axis=1).view(np.uint64)[:, 0]
    return found


def nearest_distances(hashed: Hashes, among: Hashes, itself: bool = True) -> npt.NDArray[np.uint8]:
    """The number of bits in which each hash differs from the nearest of others.

    Args:
        hashed: The hashes, ``(M,)``.
        among: The others, ``(N,)``.
        itself: False if both are the same array, in which no hash counts as its own neighbour.

    Returns:
        The distances ``(M,)``, uint8.
    """
    distances = np.empty(len(hashed), np.uint8)
    step = max(1, BLOCK_PAIRS // len(among))
    for start in range(0, len(hashed), step):
        block: npt.NDArray[Any] = hashed[start : start + step, np.newaxis]
        bits = np.bitwise_count(block ^ among)
        if not itself:
            places = np.arange(len(block))
            bits[places, start + places] = BITS
        distances[start : start + step] = bits.min(axis=1)
    return distances


def _cosines(side: int) -> npt.NDArray[np.float32]:
    """The matrix ``(FREQUENCIES, side)`` of a cosine transform of ``side`` values, for the lowest frequencies."""
    angles = np.pi * (np.arange(side) + 0.5) * np.arange(FREQUENCIES)[:, np.newaxis] / side
    return np.cos(angles).astype(np.float32)

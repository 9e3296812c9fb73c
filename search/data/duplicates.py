"""Images that are there twice, to the bit or nearly: what a net remembers of its training images is not skill.

The hash is the signs of an image's 64 lowest cosine frequencies. On CIFAR-10 (as JPEG files; pairs of a test and a
training image) at least 92 % of the pairs at each distance up to 8 have the same class, at 9 it is 80 %, at 12 46 %;
copies saved as JPEG of quality 40, blurred, brightened or with noise are within 8 in over 98 % of cases.
"""

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from search.data.source import Pixels

NEAREST = 8
# Smaller pictures have too little in them: of scikit-learn's digits (8x8), each drawn by hand, 61 % are within 8.
SMALLEST = 32
LUMA = (0.299, 0.587, 0.114)
BITS = 64
FREQUENCIES = 11  # as many, each way, as the 64 lowest diagonals reach
BLOCK_BYTES = 1 << 22
BLOCK_PAIRS = 1 << 20
# All pairs of 100,000 images take some five seconds on one core.
MOST_WITHIN = 100_000
Hashes = npt.NDArray[np.uint64]


def count_duplicates(train: Pixels, test: Pixels) -> dict[str, int]:
    """How many images have a duplicate where there should be none; a block at a time, from memory maps.

    Args:
        train: ``(N, H, W, C)``, uint8; validation images are drawn from them.
        test: ``(M, H, W, C)``, uint8.

    Returns:
        ``exact``: test images equal to a training image; ``near``: others that look like one; ``within``: training
        images that equal or look like another one, of no more than ``MOST_WITHIN``. Images smaller than ``SMALLEST``
        are compared to the bit alone.
    """
    known, asked = digests(train), digests(test)
    _, which, times = np.unique(known, return_inverse=True, return_counts=True)
    exact, twins = np.isin(asked, known), times[which] > 1
    near = np.zeros_like(exact)
    if min(train.shape[1:3]) >= SMALLEST:
        hashed = hashes(train)
        near = nearest(hashes(test), hashed) <= NEAREST
        if len(train) <= MOST_WITHIN:
            twins |= nearest(hashed, hashed, itself=False) <= NEAREST
    return {"exact": int(exact.sum()), "near": int((near & ~exact).sum()), "within": int(twins.sum())}


def duplicates_note(found: dict[str, int], train_images: int, test_images: int) -> str:
    """A line for a person; empty where there is nothing to say."""
    said = []
    if count := found["exact"] + found["near"]:
        said.append(
            f"{count:,} of {test_images:,} test images look like a training image ({found['exact']:,} equal one)"
        )
    if found["within"]:
        said.append(f"{found['within']:,} of {train_images:,} training images look like another")
    if not said:
        return ""
    return (
        f"warning: near-duplicates: {', '.join(said)}: what a net scores on such images is partly memory; keep each "
        "picture once"
    )


def digests(images: Pixels) -> npt.NDArray[np.bytes_]:
    """A digest of each image's pixels, ``(N,)``, in hexadecimal."""
    return np.array([hashlib.sha256(image.tobytes()).hexdigest() for image in images], "S64")


def hashes(images: Pixels) -> Hashes:
    """Perceptual hashes ``(N,)``, uint64, of images ``(N, H, W, C)``."""
    count, height, width, channels = images.shape
    rows, columns = _cosines(height), _cosines(width)
    weights = np.asarray(LUMA if channels == 3 else [1.0], np.float32)
    # Brightness and the cosines along a row in one product.
    across = (columns[:, :, np.newaxis] * weights).reshape(FREQUENCIES, -1).T
    down, right = np.mgrid[:FREQUENCIES, :FREQUENCIES]
    lowest = np.lexsort((down.ravel(), (down + right).ravel()))[1 : BITS + 1]  # not the mean
    found = np.empty(count, np.uint64)
    step = max(1, BLOCK_BYTES // images[0].size)
    for start in range(0, count, step):
        block = np.asarray(images[start : start + step], np.float32).reshape(-1, height, width * channels)
        frequencies = rows @ (block @ across)
        bits = np.ascontiguousarray(frequencies.reshape(len(block), -1)[:, lowest] > 0)
        found[start : start + step] = np.packbits(bits, axis=1).view(np.uint64)[:, 0]
    return found


def nearest(hashed: Hashes, among: Hashes, itself: bool = True) -> npt.NDArray[np.uint8]:
    """How many bits each of ``hashed`` ``(M,)`` differs from the nearest of ``among`` ``(N,)``: ``(M,)``, uint8.

    Args:
        hashed: Whose neighbours are wanted.
        among: Who they may be.
        itself: False where both are the same array, in which none is its own neighbour.
    """
    found = np.empty(len(hashed), np.uint8)
    step = max(1, BLOCK_PAIRS // len(among))
    for start in range(0, len(hashed), step):
        block: npt.NDArray[Any] = hashed[start : start + step, np.newaxis]
        bits = np.bitwise_count(block ^ among)
        if not itself:
            places = np.arange(len(block))
            bits[places, start + places] = BITS
        found[start : start + step] = bits.min(axis=1)
    return found


def _cosines(side: int) -> npt.NDArray[np.float32]:
    """The lowest ``FREQUENCIES`` of the cosine transform of ``side`` values, ``(FREQUENCIES, side)``."""
    angles = np.pi * (np.arange(side) + 0.5) * np.arange(FREQUENCIES)[:, np.newaxis] / side
    return np.cos(angles).astype(np.float32)

"""Augmentation, outside the model, so that the exported file holds none of it."""

from typing import NamedTuple

import numpy as np


class Draw(NamedTuple):
    """What happens to each image of a batch.

    Attributes:
        mirrored: ``(N,)``, bool: left to right.
        down: ``(N,)``, int32: first row taken, counted in an image with ``reach`` reflected pixels on each side.
        right: ``(N,)``, int32: first column, likewise.
        reach: The furthest shift, pixels.
    """

    mirrored: np.ndarray
    down: np.ndarray
    right: np.ndarray
    reach: int


def draw(mirrored: np.ndarray, side: int, strength: float, random: np.random.Generator) -> Draw:
    """Draw shifts: uniform, in whole pixels, up to ``strength / 16`` of ``side``.

    That is 2 pixels at 32x32 and strength 1, as in airbench (https://github.com/KellerJordan/cifar10-airbench).
    """
    reach = round(strength * side / 16)
    down, right = random.integers(0, 2 * reach + 1, (2, len(mirrored)), dtype=np.int32)
    return Draw(mirrored, down, right, reach)


def augment(images: np.ndarray, drawn: Draw) -> np.ndarray:
    """Mirror and shift a batch, filling by reflection.

    Args:
        images: ``(N, H, W, C)``, uint8; not changed.
        drawn: What to do to each.

    Returns:
        A new batch of the same shape and dtype.
    """
    images = images.copy()
    images[drawn.mirrored] = images[drawn.mirrored][:, :, ::-1]
    reach = drawn.reach
    if reach == 0:
        return images
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), "reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, images.shape[1:3], axis=(1, 2))
    chosen = windows[np.arange(len(images)), drawn.down, drawn.right]
    return np.ascontiguousarray(np.moveaxis(chosen, 1, -1))


def mirrored_in(epoch: int, count: int, seed: int) -> np.ndarray:
    """Which of ``count`` images are mirrored in ``epoch``: a random half in one, the other half in the next.

    Alternating covers both views of every image in two epochs where a coin needs more (airbench, section 3.6).

    Returns:
        ``(count,)``, bool.
    """
    first: np.ndarray = np.random.default_rng((seed, 7)).random(count) < 0.5
    return first ^ (epoch % 2 == 1)

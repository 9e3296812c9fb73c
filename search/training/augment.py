"""Augmentation on the host: outside the model, so that the exported file holds none of it."""

import numpy as np


def augment(
    images: np.ndarray, mirrored: np.ndarray, strength: float, random: np.random.Generator
) -> np.ndarray:
    """Mirror and shift a batch.

    Shifts are uniform, in whole pixels, up to ``strength / 16`` of the shorter side, filled by reflection
    (2 pixels at 32x32 and strength 1, as in airbench, https://github.com/KellerJordan/cifar10-airbench).

    Args:
        images: ``(N, H, W, C)``, uint8; not changed.
        mirrored: ``(N,)``, bool: which ones to mirror.
        strength: 0 is off.
        random: Source of the shifts.

    Returns:
        A new batch of the same shape and dtype.
    """
    images = images.copy()
    images[mirrored] = images[mirrored][:, :, ::-1]
    count, height, width, _ = images.shape
    reach = round(strength * min(height, width) / 16)
    if reach == 0:
        return images
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), "reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    down, right = random.integers(0, 2 * reach + 1, (2, count))
    return np.ascontiguousarray(np.moveaxis(windows[np.arange(count), down, right], 1, -1))


def mirrored_in(epoch: int, count: int, seed: int) -> np.ndarray:
    """Which of ``count`` images are mirrored in ``epoch``: a random half in one, the other half in the next.

    Alternating covers both views of every image in two epochs where a coin needs more (airbench, section 3.6).

    Returns:
        ``(count,)``, bool.
    """
    first: np.ndarray = np.random.default_rng((seed, 7)).random(count) < 0.5
    return first ^ (epoch % 2 == 1)

"""Augmentation, outside the model, so that the exported file holds none of it.

Small images are mirrored and moved by whole pixels (``augment``), as fast as their training needs it. Photographs are
also turned, zoomed and given more or less contrast (``photograph``), one by one (Pillow), which takes 0.05 ms for an
image of 28x28 and 0.7 for one of 128x128 on one core. All that can be computed for a batch at once is.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image

# The most at strength 1, either way; all grow with the strength.
TURN = np.pi / 12
ZOOM = 0.15
SHIFT = 0.1
CONTRAST = 0.25
VALUES = np.arange(256, dtype=np.float32)


class Draw(NamedTuple):
    """What is done to each image of a batch.

    Attributes:
        mirrored: Whether the image is mirrored left to right, ``(N,)``, bool.
        down: First row taken, ``(N,)``, int32, counted in an image with ``reach`` reflected pixels on each side.
        right: First column taken, likewise.
        reach: The furthest shift, pixels.
    """

    mirrored: np.ndarray
    down: np.ndarray
    right: np.ndarray
    reach: int


def draw(mirrored: np.ndarray, side: int, strength: float, random: np.random.Generator) -> Draw:
    """Draw shifts uniformly, in whole pixels, up to ``strength / 16`` of ``side``.

    That is 2 pixels at 32x32 and strength 1, as in airbench (https://github.com/KellerJordan/cifar10-airbench).
    """
    reach = round(strength * side / 16)
    down, right = random.integers(0, 2 * reach + 1, (2, len(mirrored)), dtype=np.int32)
    return Draw(mirrored, down, right, reach)


def augment(images: np.ndarray, drawn: Draw) -> np.ndarray:
    """Mirror and shift a batch; what comes in from outside is the image's reflection.

    Args:
        images: ``(N, H, W, C)``, uint8; not changed.
        drawn: What is done to each image.

    Returns:
        A new batch of the same shape and dtype.
    """
    images = _mirror(images, drawn.mirrored)
    reach = drawn.reach
    if reach == 0:
        return images
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), "reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, images.shape[1:3], axis=(1, 2))
    chosen = windows[np.arange(len(images)), drawn.down, drawn.right]
    return np.ascontiguousarray(np.moveaxis(chosen, 1, -1))


def mirrored_in(epoch: int, count: int, seed: int) -> np.ndarray:
    """Which of ``count`` images are mirrored in ``epoch``: a random half in one epoch, the other half in the next.

    Alternating shows both views of every image in two epochs, where a coin needs more (airbench, section 3.6).

    Returns:
        ``(count,)``, bool.
    """
    first: np.ndarray = np.random.default_rng((seed, 7)).random(count) < 0.5
    return first ^ (epoch % 2 == 1)


class Views(NamedTuple):
    """How each photograph of a batch is seen.

    Attributes:
        mirrored: Whether it is mirrored left to right, before all else, ``(N,)``, bool.
        turn: How far it is turned counter-clockwise, radians, ``(N,)``, float64.
        zoom: How near it is seen, above 1 is nearer, ``(N,)``, float64.
        down: How far it moves down, as a fraction of its height, ``(N,)``, float64.
        right: How far it moves to the right, as a fraction of its width, ``(N,)``, float64.
        contrast: Its contrast, where 1 leaves it and 0 would be grey, ``(N,)``, float64.
    """

    mirrored: np.ndarray
    turn: np.ndarray
    zoom: np.ndarray
    down: np.ndarray
    right: np.ndarray
    contrast: np.ndarray


def draw_views(mirrored: np.ndarray, strength: float, random: np.random.Generator) -> Views:
    """Draw everything but ``mirrored`` uniformly; zoom and contrast in their logarithms.

    Args:
        mirrored: Whether each photograph is mirrored, ``(N,)``, bool.
        strength: At 0 nothing changes; at 1 up to 15 degrees, 16 % nearer or farther, a tenth of a side, 28 % contrast.
        random: Where the draws come from.
    """
    turn, zoom, down, right, contrast = strength * random.uniform(-1, 1, (5, len(mirrored)))
    zoom, contrast = np.exp(ZOOM * zoom), np.exp(CONTRAST * contrast)
    return Views(mirrored, TURN * turn, zoom, SHIFT * down, SHIFT * right, contrast)


def photograph(images: np.ndarray, views: Views) -> np.ndarray:
    """Show each photograph of a batch as ``views`` has it; what comes in from outside is its reflection.

    Args:
        images: ``(N, H, W, C)``, uint8; not changed.
        views: How each is seen.

    Returns:
        A new batch of the same shape and dtype.
    """
    size = (images.shape[2], images.shape[1])  # width and height, as Pillow has them
    start, back, beyond = _ways_back(views, size)
    columns, rows = (np.pad(np.arange(n), most, "reflect") for n, most in zip(size, beyond, strict=True))
    mirrored = _mirror(images, views.mirrored)
    if images.shape[3] == 1:
        mirrored = mirrored[..., 0]  # Pillow's grey images have no axis of channels.
    seen = np.empty_like(images)
    for index, ((x, y), (across, down)) in enumerate(zip(start + beyond, back, strict=True)):
        padded = mirrored[index].take(columns, axis=1, mode="clip").take(rows, axis=0, mode="clip")
        way = (*across, x, *down, y)
        picture = Image.fromarray(padded).transform(
            size, Image.Transform.AFFINE, way, Image.Resampling.BILINEAR
        )
        pixels = picture.tobytes().translate(_contrasts(picture, views.contrast[index]))
        seen[index] = np.frombuffer(pixels, np.uint8).reshape(images.shape[1:])
    return seen


def _mirror(images: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    images = images.copy()
    images[mirrored] = images[mirrored][:, :, ::-1]
    return images


def _ways_back(views: Views, sides: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where in an image each of its views' pixels come from.

    Returns:
        The place of each view's upper left corner in its image, (across, down), ``(N, 2)``; what a step in the view is
        in the image, ``(N, 2, 2)``; and how far, in whole pixels, the views reach beyond the images' sides, ``(2,)``.
    """
    size = np.array(sides)
    cosine, sine = np.cos(views.turn) / views.zoom, np.sin(views.turn) / views.zoom
    back = np.moveaxis(np.array([[cosine, -sine], [sine, cosine]]), 2, 0)  # rows count downwards
    middle = size * (0.5 + np.stack([views.right, views.down], axis=1))
    start = size / 2 - (back @ middle[:, :, np.newaxis])[:, :, 0]
    corners = start[:, :, np.newaxis] + back @ (size[:, np.newaxis] * np.array([[0, 1, 0, 1], [0, 0, 1, 1]]))
    outside = np.maximum(-corners.min(axis=2), corners.max(axis=2) - size).max(axis=0)
    return start, back, np.maximum(0, np.ceil(outside)).astype(int) + 1  # one for the interpolation


def _contrasts(picture: Image.Image, contrast: float) -> bytes:
    """What each of the 256 values becomes where the mean grey stays and all else is nearer to it or farther away."""
    grey = int(np.asarray(picture.convert("L")).mean() + 0.5)
    return bytes(np.clip(grey + np.float32(contrast) * (VALUES - grey), 0, 255).astype(np.uint8))

"""Augmentation of photographs: mirrored, turned, zoomed, moved, with more or less contrast; outside the model.

``augment`` moves small images by whole pixels, as fast as their training needs it; this takes about a millisecond for
each image of 128x128 (Pillow), where one step of training takes thirty.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageEnhance

# The most at strength 1, either way; all grow with the strength.
TURN = np.pi / 12
ZOOM = 0.15
SHIFT = 0.1
CONTRAST = 0.25


class Views(NamedTuple):
    """How each photograph of a batch is seen.

    Attributes:
        mirrored: ``(N,)``, bool: left to right, before all else.
        turn: ``(N,)``, float64: counter-clockwise, radians.
        zoom: ``(N,)``, float64: above 1 is nearer.
        down: ``(N,)``, float64: how far the picture moves, a fraction of its height.
        right: ``(N,)``, float64: likewise of its width.
        contrast: ``(N,)``, float64: 1 leaves it, 0 would be grey.
    """

    mirrored: np.ndarray
    turn: np.ndarray
    zoom: np.ndarray
    down: np.ndarray
    right: np.ndarray
    contrast: np.ndarray


def draw_views(mirrored: np.ndarray, strength: float, random: np.random.Generator) -> Views:
    """Draw everything but ``mirrored``, uniformly; zoom and contrast in their logarithms.

    Args:
        mirrored: ``(N,)``, bool.
        strength: 0 changes nothing; at 1 up to 15 degrees, 16 % nearer or farther, a tenth of the side, 28 % contrast.
        random: Where the draws come from.
    """
    turn, zoom, down, right, contrast = strength * random.uniform(-1, 1, (5, len(mirrored)))
    zoom, contrast = np.exp(ZOOM * zoom), np.exp(CONTRAST * contrast)
    return Views(mirrored, TURN * turn, zoom, SHIFT * down, SHIFT * right, contrast)


def photograph(images: np.ndarray, views: Views) -> np.ndarray:
    """See each image of a batch as ``views`` says; what comes in from outside is the picture's reflection.

    Args:
        images: ``(N, H, W, C)``, uint8; not changed.
        views: Of each.

    Returns:
        A new batch of the same shape and dtype.
    """
    seen = np.empty_like(images)
    for index, image in enumerate(images):
        mirrored, turn, zoom, down, right, contrast = (values[index] for values in views)
        moved = _move(image[:, ::-1] if mirrored else image, turn, zoom, down, right)
        pixels = np.asarray(ImageEnhance.Contrast(moved).enhance(float(contrast)))
        seen[index] = pixels.reshape(image.shape)
    return seen


def _move(image: np.ndarray, turn: float, zoom: float, down: float, right: float) -> Image.Image:
    size = np.array(image.shape[1::-1])  # width and height, as Pillow has them
    cosine, sine = np.cos(turn) / zoom, np.sin(turn) / zoom
    back = np.array([[cosine, -sine], [sine, cosine]])  # from the view to the image; rows count downwards
    start = size / 2 - back @ (size * (0.5 + np.array([right, down])))
    corners = start[:, np.newaxis] + back @ (size[:, np.newaxis] * np.array([[0, 1, 0, 1], [0, 0, 1, 1]]))
    outside = np.maximum(-corners.min(axis=1), corners.max(axis=1) - size)
    beyond = np.maximum(0, np.ceil(outside)).astype(int) + 1  # one for the interpolation
    padded = np.pad(image, ((beyond[1],) * 2, (beyond[0],) * 2, (0, 0)), "reflect")
    picture = Image.fromarray(padded[:, :, 0] if image.shape[-1] == 1 else padded)
    x, y = start + beyond
    coefficients = (*back[0], x, *back[1], y)
    width, height = size.tolist()
    return picture.transform((width, height), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)

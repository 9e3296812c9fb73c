"""How an image gets the size of a net's input: stretched, letterboxed, or cut from the middle."""

from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from search.data.source import Pixels

STRETCH = "stretch"
BILINEAR = Image.Resampling.BILINEAR


class Sizing(NamedTuple):
    """What a user wants of the images' size.

    Attributes:
        side: Resize to squares of this side, pixels; None keeps the size that all of them have.
        way: One of ``search.config.RESIZES``: see ``resize``.
        enlarge: Whether images that all have one, smaller size are resized, too; a net over a backbone does that by
            itself, on the fly.
    """

    side: int | None = None
    way: str = STRETCH
    enlarge: bool = True

    def request(self) -> dict[str, Any]:
        """Plain values for a source's request; what was once the only way is not said: old caches stay found."""
        way = {} if self.way == STRETCH else {"resize": self.way}
        return {"image_size": self.side, **way, **({} if self.enlarge else {"enlarge": False})}

    def of(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that images of one size shall get."""
        if self.side is None:
            return height, width
        # What enlarges on the fly stretches: of other proportions that would be another picture than was asked for.
        undistorted = height == width or self.way == STRETCH
        if not self.enlarge and undistorted and max(height, width) <= self.side:
            return height, width
        return self.side, self.side


def resize(image: Image.Image, height: int, width: int, way: str = STRETCH) -> Image.Image:
    """Bring an image to a size; one of that size is left as it is, to the bit.

    Args:
        image: Grey or RGB.
        height: Wanted, pixels.
        width: Wanted, pixels.
        way: ``stretch`` gives up the aspect; ``fit`` keeps it and all of the picture, with black bars on two sides;
            ``crop`` keeps it and fills the size with the picture's middle.
    """
    size = (width, height)
    if image.size == size:
        return image
    if way == "fit":
        return ImageOps.pad(image, size, BILINEAR, color=0 if image.mode == "L" else (0, 0, 0))
    if way == "crop":
        return ImageOps.fit(image, size, BILINEAR)
    return image.resize(size, BILINEAR)


def as_pixels(image: Image.Image) -> Pixels:
    """Pixels ``(H, W, C)`` of a grey or RGB image."""
    pixels: Pixels = np.asarray(image, dtype=np.uint8)
    return pixels[:, :, np.newaxis] if pixels.ndim == 2 else pixels

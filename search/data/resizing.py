"""How an image gets the size of a net's input: it is stretched, fitted with bars, or cropped to its middle."""

from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from search.data.base import Pixels
from spaces.contract import sides

STRETCH = "stretch"
BILINEAR = Image.Resampling.BILINEAR


class Sizing(NamedTuple):
    """The size that images are to get.

    Attributes:
        side: The size that they become, see ``spaces.contract.sides``; None keeps the size that all of them have.
        method: How to resize; see ``resize``.
        enlarge: Whether images of one size that is smaller are resized too. A net over a backbone does that itself.
    """

    side: int | str | None = None
    method: str = STRETCH
    enlarge: bool = True

    def request(self) -> dict[str, Any]:
        """Plain values for a source's request.

        The default method is left out: before there were others it had no name, and old caches are to be found.
        """
        method = {} if self.method == STRETCH else {"resize": self.method}
        return {"image_size": self.side, **method, **({} if self.enlarge else {"enlarge": False})}

    def of(self, height: int, width: int) -> tuple[int, int]:
        """The height and width that images get which all have this height and width."""
        if self.side is None:
            return height, width
        # A net that enlarges its images stretches them, which would distort those of other proportions.
        high, wide = sides(self.side)
        undistorted = height * wide == width * high or self.method == STRETCH
        if not self.enlarge and undistorted and height <= high and width <= wide:
            return height, width
        return high, wide


def resize(image: Image.Image, height: int, width: int, method: str = STRETCH) -> Image.Image:
    """Resize an image; one that has the size already is returned as it is, to the bit.

    Args:
        image: A grey or RGB image.
        height: Height of the result, in pixels.
        width: Width of the result, in pixels.
        method: ``stretch`` changes the proportions; ``fit`` keeps them and all of the picture, and adds black bars;
            ``crop`` keeps them and takes the picture's middle.
    """
    size = (width, height)
    if image.size == size:
        return image
    if method == "fit":
        # Pillow leaves nothing of a picture so long that its shorter side is rounded to 0.
        if round(width * image.height / image.width) == 0:
            image = image.resize((width, 1), BILINEAR)
        elif round(height * image.width / image.height) == 0:
            image = image.resize((1, height), BILINEAR)
        return ImageOps.pad(image, size, BILINEAR, color=0 if image.mode == "L" else (0, 0, 0))
    if method == "crop":
        return ImageOps.fit(image, size, BILINEAR)
    return image.resize(size, BILINEAR)


def as_pixels(image: Image.Image) -> Pixels:
    """The pixels ``(H, W, C)``, uint8, of a grey or RGB image."""
    pixels: Pixels = np.asarray(image, dtype=np.uint8)
    return pixels[:, :, np.newaxis] if pixels.ndim == 2 else pixels

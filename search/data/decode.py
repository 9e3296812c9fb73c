"""How an image file becomes uint8 pixels: the same function serves training and prediction."""

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from search.data.base import Pixels, Say
from search.data.deep_files import Deep, deep, eight_bits, measure_deep
from search.data.image_files import CannotOpen, UnreadableImage, open_image
from search.data.pillow_faults import mend, refuse_damaged
from search.data.pixel_range import REFUSED, Misfit, Values
from search.data.resizing import STRETCH, as_pixels, resize
from search.data.threads import map_in_threads
from search.errors import first_line

ORIENTATION_TAG = 0x0112
# For each value of that EXIF tag, what brings the picture upright.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# TIFF's tags of the size as it is stored; whether Pillow says that or the upright one depends on its version.
TIFF_SIZE = (256, 257)
# Pixels of a large image. One such image a core could fill the memory, so that they are decoded one at a time.
LARGE = 1 << 24
_large_image = threading.Lock()
# Under this name a data set's preprocessing has what becomes of images of more than 8 bits.
DEPTH = "deeper_than_8_bits"


class Header(NamedTuple):
    """What is known of an image file before its pixels are decoded.

    Attributes:
        height: Height of the upright image, in pixels.
        width: Width of the upright image, in pixels.
        grey: Whether the image has no colours.
        deep: What is known of an image of more than 8 bits a pixel; None for others.
    """

    height: int
    width: int
    grey: bool
    deep: Deep | None = None


def preprocessing(
    height: int, width: int, channels: int, method: str = STRETCH, depth: str = REFUSED
) -> dict[str, Any]:
    """What ``decode`` does with these arguments, in plain values for an export's ``preprocessing.json``."""
    return {
        "height": height,
        "width": width,
        "channels": channels,
        "resize": method,
        **({"bars": "black"} if method == "fit" else {}),
        "interpolation": "bilinear, antialiased (Pillow)",
        "exif_rotation": True,
        "transparency": "on white",
        "dtype": "uint8",
        "range": [0, 255],
        DEPTH: depth,
    }


def decode(
    path: str | Path,
    height: int,
    width: int,
    channels: int,
    method: str = STRETCH,
    depth: str | None = REFUSED,
) -> Pixels:
    """Decode one file into the pixels of a net's input.

    The image is turned upright by its EXIF tag, laid on white where it is transparent, reduced to 8 bits, made grey or
    RGB, and resized. Of an animation, it is the first picture; of a PNG, the one that programs without animations
    show.

    Args:
        path: A file in any format that Pillow reads.
        height: Height of the result, in pixels.
        width: Width of the result, in pixels.
        channels: 1 for grey, 3 for RGB.
        method: How to resize; see ``search.data.resizing.resize``.
        depth: The range of images of more than 8 bits: ``refused``, or a key of ``search.data.pixel_range.WHITE``. None
            guesses it for each image, as was done before it was decided for a data set.

    Returns:
        Pixels ``(height, width, channels)``, uint8.

    Raises:
        UnreadableImage: The file cannot be read or decoded, or is far too large; the message names it.
    """
    with _unreadable(path), open_image(path) as image:
        mend(image)
        refuse_damaged(image)
        return _pixels(image, deep(image), height, width, channels, method, depth)


def draft_side(height: int, width: int) -> int:
    """The side in pixels to which the JPEG decoder may reduce a large photograph, which is several times faster."""
    return 2 * max(height, width)


def decode_picture(
    picture: Image.Image, name: str, height: int, width: int, channels: int, method: str, depth: str | None
) -> Pixels:
    """As ``decode``, of a picture that somebody has opened and keeps; ``name`` is what messages call it."""
    with _unreadable(name):
        # A copy is loaded, and no longer tells of what kind the file was.
        name_of_file = getattr(picture, "filename", "")
        mend(picture)
        refuse_damaged(picture)
        found, copy = deep(picture), picture.copy()
        picture.filename = name_of_file  # type: ignore[attr-defined]
        return _pixels(copy, found, height, width, channels, method, depth)


def _pixels(
    image: Image.Image,
    found: Deep | None,
    height: int,
    width: int,
    channels: int,
    method: str,
    depth: str | None,
) -> Pixels:
    side = draft_side(height, width)
    image.draft(None, (side, side))  # None keeps the mode.
    with _alone_if_large(image):
        image.load()
        # Not before: Pillow turns a TIFF upright while it loads it, and forgets the tag.
        orientation = orientation_of(image)
        upright = image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image
        ready = _opaque(eight_bits(upright, found, depth)).convert("L" if channels == 1 else "RGB")
        return as_pixels(resize(ready, height, width, method))


def read_header(path: str | Path) -> Header:
    """Read the size of an image file, and whether it is grey.

    Raises:
        UnreadableImage: As from ``decode``.
    """
    with _unreadable(path), open_image(path) as image:
        mend(image)
        found = deep(image)
        width, height = image.size
        if image.format == "TIFF":
            width, height = (image.tag_v2[tag] for tag in TIFF_SIZE)  # type: ignore[attr-defined]
        if orientation_of(image) >= 5:
            width, height = height, width
        return Header(height, width, _is_grey(image), found)


def read_values(path: str, found: Deep) -> Values:
    """Decode a file of more than 8 bits a pixel to see what its values are.

    Args:
        path: The file.
        found: What its header said of it.

    Raises:
        UnreadableImage: As from ``decode``.
    """
    with _unreadable(path), open_image(path) as image, _alone_if_large(image):
        mend(image)
        image.load()
        return measure_deep(image, found, path)


def orientation_of(image: Image.Image) -> int:
    """How an image is turned, by its EXIF tag: a key of ``UPRIGHT``, or 1 for one that is upright."""
    # A broken EXIF block is common in files whose pixels are fine, and so is one that names no way to turn them.
    try:
        found = int(image.getexif().get(ORIENTATION_TAG, 1))
    except Exception:
        return 1
    return found if found in UPRIGHT else 1


def decode_all(paths: Sequence[str], method: str, depth: str, out: Pixels, say: Say) -> dict[str, str]:
    """Decode files in parallel.

    Args:
        paths: The files.
        method: How to resize; see ``search.data.resizing.resize``.
        depth: As in ``decode``.
        out: The array to write to, ``(len(paths), H, W, C)``, uint8.
        say: Takes lines for people.

    Returns:
        The files that cannot be decoded, and why.
    """
    height, width, channels = out.shape[1:]

    def decode_one(index: int) -> None:
        out[index] = decode(paths[index], height, width, channels, method, depth)

    return map_in_threads(decode_one, paths, "decoded", say)[1]


@contextmanager
def _unreadable(path: str | Path) -> Iterator[None]:
    """Within the block, raise what goes wrong with a file as ``UnreadableImage``, which names it."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # Pillow's plugins raise nearly anything on a damaged file.
        raise UnreadableImage(path, _reason(error)) from error


def _alone_if_large(image: Image.Image) -> AbstractContextManager[Any]:
    return _large_image if image.width * image.height > LARGE else nullcontext()


def _is_grey(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        # As RGB, Pillow would warn of transparency.
        colours = np.asarray(image.convert("RGBA"))[:, :, :3]
        return bool((colours == colours[:, :, :1]).all())
    return image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode not in ("RGBA", "LA", "PA", "RGBa") and "transparency" not in image.info:
        return image
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, (CannotOpen, Misfit)):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "this file may not be read (permission denied)"
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or a damaged one"
    if isinstance(error, Image.DecompressionBombError):  # Pillow raises it before it decodes anything.
        pixels, limit = re.findall(r"\d+", str(error))[:2]
        return f"too large to be decoded: {int(pixels):,} pixels, over the limit of {int(limit):,}"
    return f"a damaged image ({first_line(error)})"

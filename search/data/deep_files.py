"""Image files with more than 8 bits a pixel, as Pillow gives them.

Pillow keeps all bits of grey images (its modes ``I``, ``I;16`` and ``F``), but only the high byte of colours. It scales
by itself where a file names its white (a PGM's largest value, JPEG 2000's bits).
"""

import re
from typing import NamedTuple

import numpy as np
from PIL import Image

from search.data.base import Pixels
from search.data.pillow_faults import WHITE_IS, decoder
from search.data.pixel_range import (
    FULL,
    REFUSED,
    WHITE,
    Misfit,
    Values,
    check_fits,
    describe,
    measure,
    to_pixels,
)

# The formats whose deeper pixels Pillow was seen to read right.
KNOWN = ("PNG", "TIFF", "PPM", "JPEG2000", "SGI")
# JPEG 2000's first two markers, and where after them the bits of the first channel are.
CODESTREAM, PRECISION = b"\xff\x4f\xff\x51", 42
FIX = "save it as 8 bits, or grey and not transparent"


class Deep(NamedTuple):
    """What is known of a deeper file before its pixels are decoded.

    Attributes:
        kind: What messages call such files, such as ``grey PNG``.
        grey: Whether Pillow gives all bits; of colours it gives the high byte.
        declared: Whether Pillow scales to 16 bits by the white that the file names.
        inverted: Whether zero is white.
        transparent: The value that is transparent, if one is.
    """

    kind: str
    grey: bool
    declared: bool = False
    inverted: bool = False
    transparent: int | None = None


def deep(image: Image.Image) -> Deep | None:
    """Tell whether a file that is open, but not loaded, has more than 8 bits a pixel that a decision is needed for.

    Raises:
        Misfit: Pillow would give wrong pixels of it.
    """
    codec, rawmode, largest = decoder(image)
    white = _named_white(image, codec, largest)
    grey = image.mode.startswith("I") or image.mode == "F"
    declared = white not in (0, WHITE[FULL])
    if not grey and (declared or not (re.search(r";16[BLN]$", rawmode) or white)):
        return None
    # A picture without a format was made by the caller, who knows its numbers.
    kind = f"{'float' if image.mode == 'F' else 'grey' if grey else 'colour'} {image.format or 'picture'}"
    if image.format not in (*KNOWN, None):
        raise Misfit(f"more than 8 bits a pixel in the format {image.format}: save it as PNG or TIFF")
    transparent = image.info.get("transparency")
    if transparent is not None and not grey:
        raise Misfit(f"a transparent colour among 16-bit ones, which Pillow mistakes: {FIX}")
    inverted = image.format == "TIFF" and image.tag_v2.get(WHITE_IS) == 0  # type: ignore[attr-defined]
    return Deep(kind, grey, declared, inverted, transparent)


def measure_deep(image: Image.Image, found: Deep, name: str) -> Values:
    """The values of a deeper file that is loaded.

    Args:
        image: The loaded image.
        found: What ``deep`` said of it.
        name: What messages call it.
    """
    if found.grey:
        values = measure(np.asarray(image), name)
    else:
        # The high byte stands for the whole value: both tell alike whether all 16 bits are used. Where Pillow rounds,
        # a byte of 64 may be 16,383, the most of 14 bits.
        bands = [np.asarray(image.getchannel(band), np.int64) for band in image.getbands() if band != "A"]
        values = measure(((np.stack(bands) << 8) - 1).clip(0), name)
    if found.declared:
        return values._replace(high=WHITE[FULL], above=(values.nonzero + 2,) * len(values.above))
    return values


def eight_bits(image: Image.Image, found: Deep | None, name: str | None) -> Image.Image:
    """Bring a loaded image to 8 bits, which most have.

    Args:
        image: The loaded image, perhaps turned upright.
        found: What ``deep`` said of it.
        name: The range of the data set's deeper images: ``refused``, or a key of ``search.data.pixel_range.WHITE``.
            None guesses it for each image, as was done before it was decided for a data set.

    Raises:
        Misfit: The image is not in that range.
    """
    if name is None:
        return _guess(image)
    if found is None:
        return image
    if name == REFUSED:
        raise Misfit(
            f"more than 8 bits a pixel ({found.kind}), where the training images have 8: save it as 8 bits"
        )
    if not found.grey:
        if name != FULL:
            raise Misfit(
                f"16-bit colours, of which only the high byte can be read, where the training images have "
                f"{describe(name)}: save it as 8 bits"
            )
        return image
    values = np.asarray(image)
    check_fits(measure(values), name, least=False)
    pixels: Pixels = to_pixels(values, name)
    if found.inverted:
        pixels = 255 - pixels
    if found.transparent is not None:
        pixels = np.where(values == found.transparent, np.uint8(255), pixels)
    return Image.fromarray(pixels)


def _guess(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # It has 16 bits a pixel; Pillow widens some such formats to 32.
        values = np.asarray(image).astype(np.int64).clip(0, 65535) >> 8
    elif image.mode == "F":
        floats = np.nan_to_num(np.asarray(image))
        values = np.rint(floats * (255 if floats.max() <= 1 else 1)).clip(0, 255)
    else:
        return image
    return Image.fromarray(values.astype(np.uint8))


def _named_white(image: Image.Image, codec: str, largest: int) -> int:
    """The largest value that a file can hold, if it names one over 255; 0 otherwise."""
    if codec == "jpeg2k":
        largest = (1 << _precision(image)) - 1
    return largest if largest > 255 else 0


def _precision(image: Image.Image) -> int:
    file = image.fp  # type: ignore[attr-defined]
    place = file.tell()
    file.seek(0)
    head = file.read(1 << 16)
    file.seek(place)
    start = head.find(CODESTREAM)
    return (head[start + PRECISION] & 0x7F) + 1 if 0 <= start < len(head) - PRECISION else 16

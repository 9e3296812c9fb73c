"""What a user passes for an array, from a notebook, made an array of NumPy; what that would change is refused."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from search.data.base import Pixels
from search.data.decode import UPRIGHT, decode_picture, orientation_of
from search.data.pixel_range import REFUSED
from search.data.resizing import STRETCH
from search.errors import InputError, first_line

# The modes of Pillow whose values are grey or red, green and blue; those of a palette or of HSV look the same.
PLAIN_MODES = {"1": 1, "L": 1, "RGB": 3}


def as_array(part: Any, name: str) -> npt.NDArray[Any]:
    """An array, or several images or labels, as NumPy has it.

    Args:
        part: An array, or what NumPy can make one of; Pillow images among it become what their files would become.
        name: What messages call it.

    Raises:
        InputError: NumPy cannot read it or has no numbers or names of it, a mask hides some of it, or Pillow images are
            not grey or RGB, upright and opaque.
    """
    if isinstance(part, Image.Image):
        raise InputError(
            f"{name} is a single Pillow image: expected an array, or a list of one image for each label"
        )
    refuse_mask(part, name)
    if _is_sequence(part):
        part = [_item(part, place, name) for place in range(len(part))]
    try:
        array = np.asarray(part)
    except MemoryError:
        raise
    except ValueError as error:
        raise InputError(
            f"{name} cannot be made an array ({first_line(error)}); expected rows of one length"
        ) from None
    except Exception as error:  # Tensors of other libraries raise errors of their own.
        raise InputError(
            f"{name} cannot be made an array ({first_line(error)}); expected one that NumPy can read, which of a "
            "PyTorch tensor is tensor.detach().cpu().numpy()"
        ) from None
    try:
        memoryview(array.data)
    except ValueError:
        # Only NumPy's own numbers and names can be laid open: no dates, and no numbers of ml_dtypes.
        raise InputError(
            f"{name} holds {array.dtype}: expected numbers, or names; pass .astype(np.float32) or .astype(str) of it"
        ) from None
    return array


def refuse_mask(given: Any, name: str) -> None:
    """Refuse an array with a mask, which NumPy drops without a word wherever it makes another array of it.

    Raises:
        InputError: It has one.
    """
    if isinstance(given, np.ma.MaskedArray):
        raise InputError(
            f"{name} is a masked array, whose mask would be lost; pass what is to be used, without it"
        )


def _is_sequence(given: Any) -> bool:
    """Whether this holds items one by one, as a list does, or a column of Hugging Face's data sets, and is no array."""
    has = [hasattr(given, name) for name in ("__len__", "__getitem__", "__array__")]
    return has == [True, True, False] and not isinstance(given, (str, bytes, bytearray, memoryview, Mapping))


def _item(given: Any, place: int, name: str) -> Any:
    try:
        item = given[place]
    except (LookupError, TypeError) as error:
        raise InputError(
            f"{name} is of type {type(given).__name__}, which has no item {place} ({type(error).__name__}): expected "
            "an array, or a list of one image for each label"
        ) from None
    refuse_mask(item, f"{name}[{place}]")
    return _picture(item, f"{name}[{place}]") if isinstance(item, Image.Image) else item


def _picture(picture: Image.Image, name: str) -> Pixels:
    """The pixels of a picture as of its file, at its own size: ``(H, W, 1 or 3)``, uint8."""
    turned = orientation_of(picture) in UPRIGHT
    transparent = "transparency" in picture.info
    if picture.mode not in PLAIN_MODES or turned or transparent:
        what = (
            "turned by its EXIF tag"
            if turned
            else "transparent"
            if transparent
            else f"of mode {picture.mode}"
        )
        instead = "ImageOps.exif_transpose(image).convert('RGB')"
        if picture.mode.startswith(("I", "F")):  # Its range is more than 8 bits have.
            instead = "numpy.asarray(ImageOps.exif_transpose(image))"
        raise InputError(
            f"{name} is a Pillow image {what}: expected grey or RGB (mode L or RGB), upright and opaque; pass "
            f"{instead} of each, or the folder of their files"
        )
    channels = PLAIN_MODES[picture.mode]
    return decode_picture(picture, name, picture.height, picture.width, channels, STRETCH, REFUSED)

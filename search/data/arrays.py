"""Images as arrays, from a notebook; every source that is not a folder ends up here too."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from search.data.array_labels import class_numbers
from search.data.base import Labels, Loaded, Part, Pixels, Say
from search.data.class_order import wanted_request
from search.data.given_arrays import as_array
from search.data.groups import named
from search.data.image_hashes import digests
from search.data.pixel_range import (
    REFUSED,
    RULE,
    Misfit,
    Values,
    check_fits,
    decide,
    describe,
    measure,
    merge,
    to_pixels,
)
from search.data.resizing import Sizing, as_pixels, resize
from search.errors import InputError

Array = npt.NDArray[Any]
BLOCK = 1024
# Ranges of arrays that are no deeper than 8 bits.
BOOLEAN, EIGHT = "booleans", "8 bits"


class Arrays(NamedTuple):
    """Training and test images with their labels, as the user gave them."""

    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array


@dataclass(frozen=True)
class ArraySource:
    """Arrays from a notebook; the images are ``(N, H, W)`` or ``(N, H, W, C)``."""

    arrays: Arrays
    sizing: Sizing
    name: str = "arrays"
    wanted: Sequence[str] = ()

    def request(self) -> dict[str, Any]:
        """A hash of the arrays' content, since nothing else identifies them."""
        digest = hashlib.sha256()
        for array in self.arrays:
            digest.update(f"{array.dtype.str} {array.shape}".encode())
            # An object array holds addresses, not values.
            digest.update(
                repr(array.tolist()).encode() if array.dtype == object else np.ascontiguousarray(array).data
            )
        return {
            "kind": "arrays",
            "content": digest.hexdigest(),
            "range_rule": RULE,
            **self.sizing.request(),
            **wanted_request(self.wanted),
        }

    def read(self, say: Say) -> Loaded:
        """Check the shapes, values and labels."""
        return load_arrays(self.arrays, "data (arrays)", self.sizing, wanted=self.wanted)


def array_source(data: Sequence[Any], sizing: Sizing, wanted: Sequence[str] = ()) -> ArraySource:
    """The source of arrays that a user passed.

    Args:
        data: ``(x_train, y_train, x_test, y_test)``, or two pairs as Keras's loaders return them.
        sizing: How to resize the images.
        wanted: The classes of a study that is to find its images again; see ``search.data.class_order.in_order``.

    Raises:
        InputError: ``data`` is neither, or one of the four cannot be used; see ``search.data.given_arrays.as_array``.
    """
    if not isinstance(data, (tuple, list)):  # An array of four images, too, can be taken apart into four.
        raise InputError(
            f"data of type {type(data).__name__}: expected the four arrays (x_train, y_train, x_test, y_test), or a "
            "name or path"
        )
    if len(data) == 2 and all(isinstance(part, (tuple, list)) and len(part) == 2 for part in data):
        data = [*data[0], *data[1]]
    if len(data) != 4:
        raise InputError(
            f"data with {len(data)} parts: expected the four arrays (x_train, y_train, x_test, y_test), or a name or "
            "path"
        )
    arrays = Arrays(
        *(as_array(part, f"data (arrays): {name}") for part, name in zip(data, Arrays._fields, strict=True))
    )
    return ArraySource(arrays, sizing, wanted=wanted)


def load_arrays(
    arrays: Arrays,
    what: str,
    sizing: Sizing,
    classes: Sequence[str] = (),
    flip: bool | None = None,
    wanted: Sequence[str] = (),
) -> Loaded:
    """Check arrays and describe them as a source's images.

    Args:
        arrays: The arrays as given; whatever is not uint8 is brought to 0 to 255 by one range for both parts.
        what: What messages call them.
        sizing: How to resize the images.
        classes: The names of the classes, in label order; by default the labels themselves.
        flip: As in ``Loaded``; by default colour images may be mirrored, and grey ones not.
        wanted: As in ``array_source``.

    Raises:
        InputError: The shapes, values or labels are not those of images and classes.
    """
    x_train = check_images(arrays.x_train, f"{what}: x_train")
    x_test = check_images(arrays.x_test, f"{what}: x_test")
    if x_train.shape[1:] != x_test.shape[1:]:
        raise InputError(
            f"{what}: images of x_train are {_size(x_train)}, of x_test {_size(x_test)}: expected one size for both"
        )
    name = _range(x_train, x_test, what)
    y_train, y_test, names = class_numbers(arrays.y_train, arrays.y_test, what, wanted)
    _check_lengths(x_train, y_train, f"{what}: x_train", "y_train")
    _check_lengths(x_test, y_test, f"{what}: x_test", "y_test")
    channels = x_train.shape[3]
    height, width = sizing.of(*x_train.shape[1:3])
    pixels = () if name in (BOOLEAN, EIGHT) else (f"{what}: pixels are taken as {describe(name)}",)
    return Loaded(
        classes=tuple(classes) or names,
        height=height,
        width=width,
        channels=channels,
        flip=channels == 3 if flip is None else flip,
        train=Part(y_train, partial(_fill, x_train, name, sizing.method)),
        test=Part(
            y_test, partial(_fill, x_test, name, sizing.method), digests=partial(_digests, x_test, name)
        ),
        method=sizing.method,
        depth=REFUSED if name in (BOOLEAN, EIGHT) else name,
        notes=(*pixels, *_missing(y_test, tuple(classes) or names, what)),
    )


def _missing(labels: Labels, classes: Sequence[str], what: str) -> list[str]:
    """A warning of the classes that there are no test images of."""
    there = np.bincount(labels, minlength=len(classes))
    missing = [name for name, count in zip(classes, there, strict=True) if not count]
    return [f"warning: {what}: y_test has no images of {named(missing)}"] if missing else []


def check_images(images: Array, name: str) -> Array:
    """Images as ``(N, H, W, C)``.

    Raises:
        InputError: They have another shape, or are no numbers.
    """
    if images.dtype.kind not in "buif":
        raise InputError(
            f"{name} holds {images.dtype}: expected numbers from 0 to 255, all images of one size"
        )
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        hint = "; move the channels to the end" if images.ndim == 4 and images.shape[1] in (1, 3) else ""
        raise InputError(
            f"{name} has shape {images.shape}: expected (images, height, width) or (images, height, width, 1 or 3)"
            f"{hint}"
        )
    if 0 in images.shape:
        raise InputError(f"{name} has shape {images.shape}: expected at least one image")
    return images


def _range(x_train: Array, x_test: Array, what: str) -> str:
    """The range of both parts: found from the training images, and held against the test images."""
    if x_train.dtype == bool or x_test.dtype == bool:
        if x_train.dtype != x_test.dtype:
            raise InputError(
                f"{what}: x_train holds {x_train.dtype}, x_test {x_test.dtype}: expected one type for both"
            )
        return BOOLEAN
    try:
        name = EIGHT if x_train.dtype == np.uint8 else decide(_values(x_train))
    except Misfit as error:
        raise InputError(f"{what}: x_train holds {x_train.dtype}, {error}") from None
    try:
        if x_test.dtype == np.uint8:
            if name != EIGHT:
                raise Misfit(f"8 bits: expected {describe(name)}")
        else:
            check_fits(_values(x_test), name)
    except Misfit as error:
        raise InputError(
            f"{what}: x_test holds {x_test.dtype}, {error} as in x_train; scale both alike"
        ) from None
    return name


def _values(images: Array) -> Values:
    return merge(measure(images[start : start + BLOCK]) for start in range(0, len(images), BLOCK))


def _check_lengths(images: Array, labels: Labels, x_name: str, y_name: str) -> None:
    if len(images) != len(labels):
        raise InputError(
            f"{x_name} has {len(images)} images, but {y_name} {len(labels)} labels: expected one each"
        )


def _fill(images: Array, name: str, method: str, out: Pixels, say: Say) -> None:
    height, width = out.shape[1:3]
    for start in range(0, len(images), BLOCK):
        pixels = _eight_bits(images[start : start + BLOCK], name)
        if pixels.shape[1:3] == (height, width):
            out[start : start + BLOCK] = pixels
            continue
        for index, image in enumerate(pixels, start):
            picture = Image.fromarray(image[:, :, 0] if image.shape[-1] == 1 else image)
            out[index] = as_pixels(resize(picture, height, width, method))


def _eight_bits(block: Array, name: str) -> Pixels:
    if block.dtype == bool:
        return block * np.uint8(255)
    return block if block.dtype == np.uint8 else to_pixels(block, name)


def _digests(images: Array, name: str) -> list[bytes]:
    """Of the pixels of each image at its own size."""
    blocks = (images[start : start + BLOCK] for start in range(0, len(images), BLOCK))
    return [digest for block in blocks for digest in digests(_eight_bits(block, name)).tolist()]


def _size(images: Array) -> str:
    return "x".join(str(side) for side in images.shape[1:])

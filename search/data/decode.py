"""The one way in which a file becomes uint8 pixels, for training and for prediction alike."""

import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from search.data.sizing import STRETCH, as_pixels, resize
from search.data.source import Pixels, Say
from search.errors import InputError

# What to do for each value of the EXIF tag, so that the picture stands as its photographer held the camera.
ORIENTATION_TAG = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
CHUNK = 64
# Pixels of a large image. As many of these at once as there are cores could fill the memory: they are decoded in turn.
LARGE = 1 << 24
_turn = threading.Lock()
SECONDS_BETWEEN_LINES = 10.0
Result = TypeVar("Result")


class Header(NamedTuple):
    """What can be told of an image file before decoding its pixels; the size is that of the upright image."""

    height: int
    width: int
    grey: bool


def preprocessing(height: int, width: int, channels: int, way: str = STRETCH) -> dict[str, Any]:
    """What ``decode`` does with these arguments, in words for an export's ``preprocessing.json``."""
    return {
        "height": height,
        "width": width,
        "channels": channels,
        "resize": way,
        **({"bars": "black"} if way == "fit" else {}),
        "interpolation": "bilinear, antialiased (Pillow)",
        "exif_rotation": True,
        "transparency": "on white",
        "dtype": "uint8",
        "range": [0, 255],
    }


def decode(path: str | Path, height: int, width: int, channels: int, way: str = STRETCH) -> Pixels:
    """Decode one file into pixels of a net's input.

    The image is turned upright by its EXIF tag, laid on white where it is transparent, reduced to 8 bits,
    made grey or RGB, and brought to the size asked for. Of an animation the first picture is taken.

    Args:
        path: A file of any format that Pillow reads.
        height: Wanted, pixels.
        width: Wanted, pixels.
        channels: 1 for grey, 3 for RGB.
        way: How to bring it to that size: see ``search.data.sizing.resize``.

    Returns:
        uint8 pixels ``(height, width, channels)``.

    Raises:
        InputError: The file cannot be read or decoded, or is absurdly large; the message names it.
    """
    try:
        with Image.open(path) as image:
            orientation = _orientation(image)
            # Lets the JPEG decoder drop detail early: large photographs decode several times faster.
            side = 2 * max(height, width)
            image.draft(None, (side, side))  # None keeps the mode
            with _turn if image.width * image.height > LARGE else nullcontext():
                image.load()
                upright = image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image
                ready = _opaque(_eight_bits(upright)).convert("L" if channels == 1 else "RGB")
                return as_pixels(resize(ready, height, width, way))
    except Exception as error:  # Pillow's plugins raise nearly anything on a damaged file
        raise InputError(
            f"{path}: {_reason(error)}; remove or replace this file to go on without it"
        ) from error


def read_header(path: str | Path) -> Header:
    """Read an image file's size and whether it is grey.

    Raises:
        InputError: As from ``decode``.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            if _orientation(image) >= 5:
                width, height = height, width
            return Header(height, width, _is_grey(image))
    except Exception as error:
        raise InputError(
            f"{path}: {_reason(error)}; remove or replace this file to go on without it"
        ) from error


def decode_all(paths: Sequence[str], way: str, out: Pixels, say: Say) -> None:
    """Decode files, in parallel, into ``out`` of shape ``(len(paths), H, W, C)``; ``way`` as in ``decode``.

    Raises:
        InputError: Files that cannot be decoded: the first is named, the others counted.
    """
    height, width, channels = out.shape[1:]

    def place(index: int) -> None:
        out[index] = decode(paths[index], height, width, channels, way)

    for_each(place, len(paths), "decoded", say)


def for_each(work: Callable[[int], Result], count: int, done: str, say: Say) -> list[Result]:
    """Call ``work`` for 0 to ``count - 1`` on a few threads (Pillow lets go of the GIL while it decodes).

    Raises:
        InputError: Raised by ``work``: the first one's text, and how many more there were.
    """
    Image.init()  # registering Pillow's plugins from several threads at once is not safe

    def some(start: int) -> tuple[int, list[Result], list[str]]:
        results: list[Result] = []
        errors: list[str] = []
        for index in range(start, min(start + CHUNK, count)):
            try:
                results.append(work(index))
            except InputError as error:
                errors.append(str(error))
        return start, results, errors

    finished: dict[int, tuple[list[Result], list[str]]] = {}
    said = time.monotonic()
    pool = ThreadPoolExecutor(min(32, cores()))
    try:
        for future in as_completed([pool.submit(some, start) for start in range(0, count, CHUNK)]):
            start, results, errors = future.result()
            finished[start] = results, errors
            if time.monotonic() - said > SECONDS_BETWEEN_LINES:
                said = time.monotonic()
                say(f"  {done} {min(len(finished) * CHUNK, count):,} of {count:,} images")
    finally:
        pool.shutdown(cancel_futures=True)
    in_order = [finished[start] for start in sorted(finished)]
    if wrong := [text for _, errors in in_order for text in errors]:
        raise InputError(wrong[0] + (f" ({len(wrong) - 1} more such files)" if len(wrong) > 1 else ""))
    return [result for results, _ in in_order for result in results]


def cores() -> int:
    """Cores that this process may use, which under Slurm, taskset or in a container are fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _orientation(image: Image.Image) -> int:
    # A broken EXIF block is common in files whose pixels are fine.
    try:
        return int(image.getexif().get(ORIENTATION_TAG, 1))
    except Exception:
        return 1


def _is_grey(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        colours = np.asarray(image.convert("RGB"))
        return bool((colours == colours[:, :, :1]).all())
    return image.mode in ("1", "L", "LA", "F") or image.mode.startswith("I")


def _eight_bits(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits a pixel; Pillow widens some such formats to 32
        values = np.asarray(image).astype(np.int64).clip(0, 65535) >> 8
    elif image.mode == "F":
        floats = np.nan_to_num(np.asarray(image))
        values = np.rint(floats * (255 if floats.max() <= 1 else 1)).clip(0, 255)
    else:
        return image
    return Image.fromarray(values.astype(np.uint8))


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode not in ("RGBA", "LA", "PA", "RGBa") and "transparency" not in image.info:
        return image
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "this file may not be read (permission denied)"
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or a damaged one"
    if isinstance(
        error, Image.DecompressionBombError
    ):  # Pillow's own guard, asked before anything is decoded
        pixels, limit = re.findall(r"\d+", str(error))[:2]
        return f"too large to be decoded: {int(pixels):,} pixels, over the limit of {int(limit):,}"
    words = (str(error).splitlines() or [type(error).__name__])[0]
    return f"a damaged image ({words})"

"""Training pictures that an export keeps, with what its net makes of them, so that the most alike can be shown.

``examples.npz`` holds pictures of the training images that the weights were fitted on, small, as JPEG, and of each the
features that the net's last layer decides by. Alike are images whose features point the same way: the cosine of two
features ``u`` and ``v``, each divided by its length, is ``u . v``, 1 for the same direction and 0 for none in common.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from search.data.base import Labels, Pixels
from search.data.export_arrays import read_arrays, spoilt

FILE = "examples.npz"
JPEG_QUALITY = 85


@dataclass(frozen=True)
class Examples:
    """Training images as an export keeps them.

    Attributes:
        features: Of each, of length 1, ``(N, F)``, float32.
        labels: Of each the number of its class, ``(N,)``, int64.
        names: Of each the path of its file inside the data's folder; empty where images have numbers alone.
        pictures: Of each a JPEG file.
    """

    features: npt.NDArray[np.float32]
    labels: Labels
    names: tuple[str, ...]
    pictures: tuple[bytes, ...]

    def nearest(self, features: npt.NDArray[np.float32], most: int) -> list[tuple[int, float]]:
        """The examples most alike to an image.

        Args:
            features: The image's, ``(F,)``.
            most: How many.

        Returns:
            Of each its number and the cosine, the most alike first.
        """
        cosines = self.features @ unit(features[np.newaxis])[0]
        found = (-cosines).argsort(kind="stable")[:most]
        return [(int(place), float(cosines[place])) for place in found]


def unit(features: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Features ``(N, F)``, each divided by its length."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)


def write_examples(
    path: Path,
    features: npt.NDArray[np.float32],
    labels: Labels,
    names: Sequence[str],
    pictures: Sequence[Pixels],
) -> None:
    """Write ``examples.npz``; ``pictures`` are ``(H, W, 1 or 3)``, uint8, of any size, the others see ``Examples``."""
    files = [_jpeg(pixels) for pixels in pictures]
    np.savez(
        path,
        # Directions need no more than 16 bits.
        features=unit(features).astype(np.float16),
        labels=labels,
        names=np.array(names, np.str_),
        pictures=np.frombuffer(b"".join(files), np.uint8),
        ends=np.cumsum([len(file) for file in files], dtype=np.int64),
    )


def read_examples(folder: Path, classes: int) -> Examples | None:
    """Read the examples of an export; None where it holds none.

    Args:
        folder: Of the export.
        classes: How many the model has.

    Raises:
        InputError: The file is spoilt.
    """
    path = folder / FILE
    found = read_arrays(
        path,
        lambda stored: (
            stored["features"].astype(np.float32),
            stored["labels"].astype(np.int64),
            stored["names"].tolist(),
            stored["ends"].tolist(),
            stored["pictures"].tobytes(),
        ),
    )
    if found is None:
        return None
    features, labels, names, ends, whole = found
    pictures = tuple(whole[start:end] for start, end in zip([0, *ends], ends, strict=False))
    counts = {len(features), len(labels), len(pictures), len(names) or len(labels)}
    if len(counts) != 1 or not len(labels) or not 0 <= labels.min() <= labels.max() < classes:
        raise spoilt(path, "its parts do not belong together")
    return Examples(features, labels, tuple(names), pictures)


def _jpeg(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(
        file, "JPEG", quality=JPEG_QUALITY
    )
    return file.getvalue()

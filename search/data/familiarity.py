"""Whether an image is anything like the training images, by the features that a pretrained backbone gives of it.

A net names a class for whatever it is shown, and may be sure of it: of five kinds of clothes, a hand is a hat. What it
was never shown is told by its features: the cosine of two images' features is high for pictures of one kind. Likeness
is the mean cosine to the three most alike training images. An image is unlike where that is less than it is for all but
one in a hundred of the training images, each compared with the others.

An example: of 400 training images the likeness to the three most alike others is at least 0.62 for 396. An image with a
likeness of 0.5 is unlike the training images; of new images of their kind, about one in a hundred is called so.

Measured on pooled features of EfficientNet-Lite0, five random fifths held out: of 245 ants and bees against 1,192
photographs of clothes, 99.3 % of the clothes are found and 0.8 % of held-out ants and bees called unlike; of the
clothes against ants and bees 100 % and 1.2 %.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from search.data.examples import unit
from search.data.export_arrays import read_arrays, spoilt

FILE = "familiarity.npz"
# Training images that are compared with, and the quantile of their own likeness that is the least.
MOST, NEAREST, QUANTILE = 1000, 3, 0.01


@dataclass(frozen=True)
class Familiarity:
    """What images are compared with.

    Attributes:
        features: Of training images, each of length 1, ``(N, F)``, float32.
        least: The likeness below which an image is unlike these.
    """

    features: npt.NDArray[np.float32]
    least: float

    def unlike(self, features: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Whether each of some images is unlike the training images, by its features ``(M, F)``."""
        return likeness(unit(features) @ self.features.T) < self.least


def likeness(cosines: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The mean of the highest few cosines of each row, ``(M,)``."""
    return np.asarray(np.sort(cosines, axis=1)[:, -NEAREST:].mean(axis=1), np.float32)


def measure_familiarity(features: npt.NDArray[Any]) -> Familiarity | None:
    """What other images are to be compared with.

    Args:
        features: Of training images, ``(N, F)``.

    Returns:
        None of too few images.
    """
    if len(features) <= NEAREST:
        return None
    known = unit(np.asarray(features, np.float32)).astype(np.float16).astype(np.float32)  # As it is stored.
    cosines = known @ known.T
    np.fill_diagonal(cosines, -1.0)
    return Familiarity(known, float(np.quantile(likeness(cosines), QUANTILE)))


def write_familiarity(path: Path, found: Familiarity) -> None:
    """Write ``familiarity.npz``."""
    np.savez(path, features=found.features.astype(np.float16), least=np.float64(found.least))


def read_familiarity(folder: Path) -> Familiarity | None:
    """Read that of an export; None where it holds none.

    Raises:
        InputError: The file is spoilt.
    """
    path = folder / FILE
    found = read_arrays(path, lambda stored: (stored["features"].astype(np.float32), float(stored["least"])))
    if found is None:
        return None
    features, least = found
    if features.ndim != 2 or not len(features) or not np.isfinite(features).all() or not -1 <= least <= 1:
        raise spoilt(path, "its numbers are no likeness")
    return Familiarity(features, least)

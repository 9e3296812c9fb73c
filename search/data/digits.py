"""scikit-learn's 1,797 handwritten digits of 8x8 pixels, which need no download."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from search.data.arrays import Arrays, load_arrays
from search.data.base import Loaded, Say
from search.data.resizing import Sizing
from search.data.splits import TEST, hold_out

DIGITS = "digits"


@dataclass(frozen=True)
class DigitsSource:
    """The digits, of which a stratified part is set aside as test images."""

    sizing: Sizing
    test: float
    seed: int
    name: str = DIGITS

    def request(self) -> dict[str, Any]:
        """How the images are resized and split; they themselves never change."""
        return {"kind": DIGITS, **self.sizing.request(), "test": self.test, "seed": self.seed}

    def read(self, say: Say) -> Loaded:
        """Scale the grey values from 0 to 16 to 0 to 255, and set the test images aside."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
        labels = digits.target.astype(np.int64)
        held = hold_out(labels, self.test, [self.seed, TEST], f"--test {self.test:g}", 3)
        rest = np.setdiff1d(np.arange(len(labels)), held, assume_unique=True)
        arrays = Arrays(images[rest], labels[rest], images[held], labels[held])
        return load_arrays(arrays, "--data digits", self.sizing, flip=False)

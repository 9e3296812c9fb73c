"""An export as it lies on disk."""

import shlex
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.exporting.shown import export_html
from search.formatting import percent
from search.prediction.output import Prediction
from search.prediction.predict import predict_images

if TYPE_CHECKING:
    import keras
    import numpy as np


@dataclass(frozen=True, repr=False)
class Export:
    """An export as it lies on disk.

    Attributes:
        folder: The folder of all its files.
        summary: What its ``summary.json`` holds.
        report: Its classification report, as a person reads it.
        confusion_matrix: Counts of the test images, ``(true classes, predicted classes)``, int64.
        labels: Class names, in the order of the matrix and of the model's outputs.
    """

    folder: Path
    summary: dict[str, Any]
    report: str
    confusion_matrix: "np.ndarray"
    labels: list[str]

    def __repr__(self) -> str:
        """The same in a line; the matrix of many classes is a page."""
        accuracy = percent(self.summary["test_accuracy"])
        return f"<export of trial {self.summary['trial']}: test accuracy {accuracy}; in {self.folder}>"

    def model(self) -> "keras.Model":
        """Load the model, and with it Keras.

        Returns:
            The model: raw pixels ``(N, H, W, C)``, 0 to 255, to logits ``(N, classes)``.
        """
        import keras

        return keras.models.load_model(self.folder / "model.keras")

    def predict(self, images: Any) -> list[Prediction]:
        """Classify images, and load Keras for that.

        Args:
            images: An array ``(N, H, W)``, ``(N, H, W, C)`` or ``(H, W, C)``, files, folders or Pillow images; see
                ``search.predict_images``.

        Returns:
            One prediction an image: its ``label``, ``confidence`` and ``probabilities``.

        Raises:
            InputError: There are no images, or an array is not as the training images were.
        """
        return predict_images(self.folder, images)

    @property
    def how_to_try(self) -> str:
        """The commands that classify pictures with it, in words, for the folder that one is in."""
        folder = self.folder
        with suppress(ValueError, OSError):  # It lies elsewhere, or the folder that one is in is gone.
            folder = folder.absolute().relative_to(Path.cwd())
        where = shlex.quote(str(folder))
        return (
            f"try it: python -m search.predict --model {where} PICTURES, or in a browser: "
            f"python -m search.demo --model {where}"
        )

    def _repr_html_(self) -> str:
        """Figures, confusion matrix and curves, as a notebook shows them under a cell."""
        return export_html(self.folder, self.summary)

"""An export as it lies on disk."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras
    import numpy as np


@dataclass(frozen=True)
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

    def model(self) -> "keras.Model":
        """Load the model, and with it Keras.

        Returns:
            The model: raw pixels ``(N, H, W, C)``, 0 to 255, to logits ``(N, classes)``.
        """
        import keras

        return keras.models.load_model(self.folder / "model.keras")

"""``predictions.csv``: one line a test image, in the order of the prepared test images."""

import csv
from collections.abc import Sequence
from pathlib import Path

from search.evaluation.scores import Scores


def write_predictions(path: Path, scores: Scores, classes: Sequence[str]) -> None:
    """Index of the image, true class, predicted class and the probability given to the predicted one."""
    rows = zip(scores.labels.tolist(), scores.predicted.tolist(), scores.confidence.tolist(), strict=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "true", "predicted", "confidence"])
        for index, (label, predicted, confidence) in enumerate(rows):
            writer.writerow([index, classes[label], classes[predicted], f"{confidence:.6f}"])

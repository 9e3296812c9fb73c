"""The form of ``predictions.csv`` and ``out_of_fold.csv``: what a net answers for each image."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

from search.metrics.classification import Scores


def write_answers(path: Path, scores: Scores, name: Callable[[int], str], classes: Sequence[str]) -> None:
    """Write a line an image: its name, true class, predicted class, and the probability of the latter.

    Args:
        path: The file.
        scores: Of the images.
        name: What an image is called, by its place among them.
        classes: Names of the classes.
    """
    rows = zip(scores.labels.tolist(), scores.predicted.tolist(), scores.confidence.tolist(), strict=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "true", "predicted", "confidence"])
        for index, (label, predicted, confidence) in enumerate(rows):
            writer.writerow([name(index), classes[label], classes[predicted], f"{confidence:.6f}"])

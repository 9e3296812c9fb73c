"""Everything of an export beside its model, written from the one pass of predictions."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from search.data import split
from search.evaluation.card import write_card
from search.evaluation.confirm_picture import write_race
from search.evaluation.curves import write_curves
from search.evaluation.matrix import write_matrix_csv, write_matrix_png
from search.evaluation.pictures import write_mistakes, write_samples
from search.evaluation.predictions import write_predictions
from search.evaluation.report import write_report
from search.evaluation.scored import Scored
from search.evaluation.scores import Integers
from search.evaluation.summary import Training, write_json
from search.evaluation.words import often

if TYPE_CHECKING:
    from search.config import StudyConfig
    from search.data import Dataset
    from search.evaluation.make import Wanted


def trained_on(dataset: "Dataset", config: "StudyConfig", refit: bool) -> Integers:
    """Indices of the training images that the exported weights were fitted on, ``(N,)``."""
    _, labels = dataset.train()
    if refit:
        return np.arange(len(labels))
    return split(labels, config.validation, config.images, config.seed).train


def write_files(
    folder: Path, wanted: "Wanted", training: Training, scored: Scored, summary: dict[str, Any]
) -> str:
    """Everything beside the model, from the one pass of predictions; the classification report as text."""
    config, test = wanted.loaded.config, scored.test
    name = f"{config.study}, trial {wanted.trial.number}"
    if training.refit:
        name += ", refit on all training images"
    elif wanted.race:
        name += ", trained anew"
    write_json(folder / "summary.json", summary)
    write_json(folder / "labels.json", list(config.classes))
    write_json(folder / "preprocessing.json", wanted.loaded.dataset().preprocessing)
    write_matrix_csv(folder / "confusion_matrix.csv", test.confusion_matrix, config.classes)
    count = summary["times_test_scored"]
    title = f"{name}\ntest accuracy {test.accuracy:.4f} (test images scored {often(count)})"
    write_matrix_png(folder / "confusion_matrix.png", test.confusion_matrix, config.classes, title)
    write_curves(folder / "curves.png", training.history, training.kept, name)
    write_predictions(folder / "predictions.csv", scored.calibrated, config.classes)
    write_mistakes(folder / "mistakes.png", scored.mistakes, scored.calibrated, config.classes, count)
    if wanted.race:
        write_race(folder / "confirm.png", wanted.race, training.refit)
    dataset = wanted.loaded.dataset()
    write_samples(
        folder / "samples.png", dataset, trained_on(dataset, config, training.refit), config.classes
    )
    write_card(folder / "model_card.md", wanted.loaded, summary, test)
    return write_report(folder, test, config.classes, count)

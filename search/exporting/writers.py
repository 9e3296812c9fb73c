"""The files of an export beside its model, all made from the one pass of predictions.

A new file of an export is one more function here, called by ``write_files``, and its name in ``folder``.
"""

import csv
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from search.data import split
from search.exporting.child_training import TrainingResult
from search.exporting.choice import candidates
from search.exporting.model_card import write_card
from search.exporting.preference import gap_words
from search.exporting.race import Race, Racer
from search.exporting.scoring_result import ScoringResult
from search.exporting.sentences import ledger_sentence, others_sentence
from search.exporting.summary import how_trained
from search.formatting import figure, often, percent
from search.metrics.class_figures import class_report
from search.metrics.classification import Integers, Scores
from search.plotting.confusion_matrix import write_matrix_csv, write_matrix_png
from search.plotting.cost import Marks, axes_that_vary, write_costs
from search.plotting.curves import write_curves
from search.plotting.image_grid import write_mistakes, write_samples
from search.plotting.race import RacerLine, write_race
from search.study.prices import Prices, default_number, in_one_view, of_what

if TYPE_CHECKING:
    from search.config.study_config import StudyConfig
    from search.data import Dataset
    from search.exporting.request import ExportRequest


def write_files(
    folder: Path,
    request: "ExportRequest",
    training: TrainingResult,
    scored: ScoringResult,
    summary: dict[str, Any],
) -> str:
    """Write everything beside the model.

    Args:
        folder: The export's.
        request: What is exported.
        training: The training of the exported weights.
        scored: Their scores.
        summary: See ``search.exporting.summary.summarise``.

    Returns:
        The classification report, as a person reads it.
    """
    config, dataset, test = request.loaded.config, request.loaded.dataset(), scored.test
    name = ", ".join(filter(None, (config.study, f"trial {request.trial.number}", how_trained(summary))))
    scorings = summary["times_test_scored"]
    write_json(folder / "summary.json", summary)
    write_json(folder / "labels.json", list(config.classes))
    write_json(folder / "preprocessing.json", dataset.preprocessing)
    write_matrix_csv(folder / "confusion_matrix.csv", test.confusion_matrix, config.classes)
    title = f"{name}\ntest accuracy {percent(test.accuracy)} (test images scored {often(scorings)})"
    write_matrix_png(folder / "confusion_matrix.png", test.confusion_matrix, config.classes, title)
    write_curves(folder / "curves.png", training.history, training.kept_epoch, name, unit=training.unit)
    write_answers(folder / "predictions.csv", scored.calibrated, scored.name, config.classes)
    mistaken = [scored.name(index) for index in scored.mistakes.indices.tolist()] if scored.names else []
    calibrated = scored.calibrated
    write_mistakes(folder / "mistakes.png", *scored.mistakes, calibrated, config.classes, scorings, mistaken)
    if found := scored.out_of_fold:
        write_answers(folder / "out_of_fold.csv", found.scores, found.name, config.classes)
    if request.race:
        draw_race(folder / "confirm.png", request.race, training.refit)
    draw_costs(folder / "cost.png", request)
    chosen = trained_on(dataset, config, training.refit)
    write_samples(folder / "samples.png", dataset, chosen, config.classes)
    write_card(folder / "model_card.md", request.loaded, summary, test)
    others = summary.get("times_scored_by_others", 0)
    return write_classification_report(folder, test, config.classes, scorings, others)


def trained_on(dataset: "Dataset", config: "StudyConfig", refit: bool) -> Integers:
    """Indices ``(N,)`` of the training images that the exported weights were fitted on."""
    _, labels = dataset.train()
    if refit:
        return np.arange(len(labels))
    settings = (config.validation, config.images, config.seed)
    return split(labels, *settings, rule=dataset.rule(), race=config.race_images).train


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` for people and programs; letters outside ASCII stay as they are."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_answers(path: Path, scores: Scores, name: Callable[[int], str], classes: Sequence[str]) -> None:
    """Write ``predictions.csv`` or ``out_of_fold.csv``: a line an image, in the order of the prepared images.

    A line has its name, its true class, the predicted class, and the probability of the latter.

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


def write_classification_report(
    folder: Path, scores: Scores, classes: Sequence[str], times_test_scored: int, by_others: int = 0
) -> str:
    """Write ``classification_report.txt`` and ``.json``: precision, recall and F1 of each class, by scikit-learn.

    Args:
        folder: For both files.
        scores: Of the test images.
        classes: Names.
        times_test_scored: How often the test images have been scored, this time included.
        by_others: How many of these times were those of other studies of the same images.

    Returns:
        The text, as a person reads it.
    """
    # All classes are named: one without a test image, or never predicted, keeps its line.
    text, values = class_report(scores.confusion_matrix, classes)
    text += f"\n{ledger_sentence(times_test_scored)}\n"
    if by_others:
        text += f"{others_sentence(by_others)}\n"
    values["times_test_scored"] = times_test_scored
    (folder / "classification_report.txt").write_text(text, encoding="utf-8")
    (folder / "classification_report.json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    return text


def draw_costs(path: Path, request: "ExportRequest") -> None:
    """Draw ``cost.png``: what the study's finished trials scored and cost; nothing where they all cost the same."""
    loaded = request.loaded
    nets = Prices(loaded).of(candidates(loaded))
    if axes_that_vary(nets):
        default = default_number(loaded.optuna.get_trials(deepcopy=False))
        config = loaded.config
        marks = Marks(default, request.trial.number, of_what(config), in_one_view(config))
        title = f"{config.study}: what the finished trials score in validation, and cost"
        write_costs(path, nets, marks, config.metric, title)


def draw_race(path: Path, race: Race, refit: bool) -> None:
    """Draw ``confirm.png``: each configuration's values over the seeds, their mean, and its value in the search.

    Args:
        path: The picture's file.
        race: The race.
        refit: Whether the winner was trained once more for the export; if not, the exported weights are marked.
    """
    lines = [
        RacerLine(
            _label(race, racer, refit),
            racer.trial.value if racer.is_complete else None,
            [math.nan if run.value is None else run.value for run in racer.runs],
            racer.mean,
            racer.deviation,
            bool(racer.eliminated),
        )
        for racer in race.racers
    ]
    title = f"{race.config.study}: the best configurations trained again, all with the same seeds"
    ringed = None if refit else list(race.racers).index(race.winner)
    write_race(path, lines, race.seeds, race.config.metric, title, ringed)


def _label(race: Race, racer: Racer, refit: bool) -> str:
    """A configuration's name and figures, for the legend."""
    text = f"trial {racer.trial.number}"
    if racer.mean is not None:
        text += f": mean {figure(race.config.metric, racer.mean)}"
    if racer.deviation is not None:
        text += f" ± {gap_words(race.config.metric, racer.deviation)}"
    if racer is race.winner:
        return f"{text}, the winner" if refit else f"{text}, exported (ringed)"
    return f"{text}, dropped out after round {len(racer.runs)}" if racer.eliminated else text

"""Each writer alone, from made-up scores."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.exporting.writers import write_answers, write_classification_report
from search.metrics.classification import Scores
from search.plotting.confusion_matrix import write_matrix_csv, write_matrix_png
from search.plotting.curves import write_curves


def some(classes: int, count: int) -> Scores:
    random = np.random.default_rng(0)
    labels = np.arange(count, dtype=np.int64) % classes
    logits = random.normal(size=(count, classes)).astype(np.float32)
    logits[np.arange(count), labels] += 2
    return Scores(labels, logits)


@pytest.mark.parametrize(("classes", "least", "most"), [(2, 400, 900), (10, 700, 1300), (100, 2000, 4000)])
def test_matrix_png_grows_with_the_classes(tmp_path: Path, classes: int, least: int, most: int) -> None:
    scores = some(classes, 4 * classes)
    names = [f"class {index}" for index in range(classes)]
    write_matrix_png(tmp_path / "matrix.png", scores.confusion_matrix, names, "test accuracy")

    with Image.open(tmp_path / "matrix.png") as picture:
        assert least < min(picture.size) <= max(picture.size) < most


def test_matrix_png_of_hundreds_of_classes_stays_a_picture(tmp_path: Path) -> None:
    scores = some(260, 520)  # Just too many for counts that can be read.
    write_matrix_png(tmp_path / "matrix.png", scores.confusion_matrix, [str(i) for i in range(260)], "many")

    with Image.open(tmp_path / "matrix.png") as picture:
        assert max(picture.size) < 7000


def test_matrix_png_takes_names_that_look_like_mathematics(tmp_path: Path) -> None:
    names = ["$100_bill$", "a name that is far too long to be written beside a small matrix"]
    write_matrix_png(tmp_path / "matrix.png", np.array([[3, 1], [0, 4]]), names, "odd names")

    with Image.open(tmp_path / "matrix.png") as picture:
        assert min(picture.size) > 400


def test_matrix_csv_has_names_and_counts(tmp_path: Path) -> None:
    write_matrix_csv(tmp_path / "matrix.csv", np.array([[3, 1], [0, 4]]), ["cat, tabby", 'the "dog"'])

    with (tmp_path / "matrix.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["true \\ predicted", "cat, tabby", 'the "dog"'],
            ["cat, tabby", "3", "1"],
            ['the "dog"', "0", "4"],
        ]


def test_report_names_a_class_that_has_no_image(tmp_path: Path) -> None:
    scores = Scores(np.array([0, 1], dtype=np.int64), np.eye(3, dtype=np.float32)[:2])
    text = write_classification_report(tmp_path, scores, ["ants", "bees", "wasps"], 1)

    assert "wasps" in text
    found = json.loads((tmp_path / "classification_report.json").read_text())
    assert (found["accuracy"], found["macro avg"]["f1-score"], found["wasps"]["f1-score"]) == (1, 1, None)


def test_report_says_how_often_the_test_images_were_scored(tmp_path: Path) -> None:
    text = write_classification_report(tmp_path, some(2, 10), ["ants", "bees"], 3)

    assert text.endswith("have been scored 3 times (this one included).\n")
    assert text == (tmp_path / "classification_report.txt").read_text()
    assert json.loads((tmp_path / "classification_report.json").read_text())["times_test_scored"] == 3


def test_report_says_how_many_scorings_were_those_of_other_studies(tmp_path: Path) -> None:
    text = write_classification_report(tmp_path, some(2, 10), ["ants", "bees"], 3, by_others=2)
    assert text.endswith("2 of these scorings were made by other studies of the same images.\n")


def test_answers_give_the_confidence_of_the_predicted_class(tmp_path: Path) -> None:
    logits = np.log(np.array([[0.75, 0.25], [0.1, 0.9]], dtype=np.float32))
    scores = Scores(np.array([1, 1], dtype=np.int64), logits)
    write_answers(tmp_path / "predictions.csv", scores, ["a,b", "c"].__getitem__, ["ants", "bees"])

    with (tmp_path / "predictions.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["image", "true", "predicted", "confidence"],
            ["a,b", "bees", "ants", "0.750000"],
            ["c", "bees", "bees", "0.900000"],
        ]


@pytest.mark.parametrize("validated", [[0.9, 0.7, 0.8], []])
def test_curves_are_drawn_with_or_without_validation(tmp_path: Path, validated: list[float]) -> None:
    lists = {"val_loss": validated, "val_accuracy": validated}
    history = {"loss": [1.0, 0.5, 0.2], "accuracy": [0.5, 0.7, 0.9], **lists}
    write_curves(tmp_path / "curves.png", history, 2, "some study, trial 1")

    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (1430, 572)


def test_curves_of_a_single_epoch_are_drawn(tmp_path: Path) -> None:
    history = {"loss": [1.0], "accuracy": [0.5], "val_loss": [1.1], "val_accuracy": [0.4]}
    write_curves(tmp_path / "curves.png", history, 1, "one epoch")

    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (1430, 572)

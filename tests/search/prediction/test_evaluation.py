import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, classification_report, confusion_matrix

from search.errors import InputError
from search.prediction.evaluation import (
    count_confusions,
    present_classes,
    report_accuracy,
    scorable,
    show_scores,
    true_classes,
    unsure_sentence,
)
from search.prediction.output import Prediction

LABELS = ["ants", "bees", "wasps", "flies"]
PAIRS = [("ants", "ants")] * 5 + [("ants", "bees")] * 2 + [("bees", "bees")] * 3 + [("bees", "flies")]


def answers() -> list[Prediction]:
    return [Prediction(f"{index}.png", said, 0.9, truth=true) for index, (true, said) in enumerate(PAIRS)]


def test_unsure_ones_are_counted_apart_from_the_others() -> None:
    said = [replace(one, confidence=0.5 if one.image in ("0.png", "5.png") else 0.9) for one in answers()]
    assert unsure_sentence(said, 0.6).startswith(
        "unsure (confidence below 0.6): 2 of 11 images, of which 1 would be right; of the others, 77.8 % of 9 images"
    )
    assert unsure_sentence(said, 0.95).endswith("11 of 11 images, of which 8 would be right")
    assert unsure_sentence(said, 0.1).startswith(
        "unsure (confidence below 0.1): 0 of 11 images; of the others, 72.7 %"
    )


def test_truth_is_the_folder_directly_below_the_one_given(tmp_path: Path) -> None:
    files = [tmp_path / "ants" / "a.png", tmp_path / "bees" / "deep" / "b.png", tmp_path / "c.png"]

    assert true_classes([tmp_path], files, LABELS, None) == ["ants", "bees", None]


def test_truth_is_no_folder_above_the_one_given(tmp_path: Path) -> None:
    (tmp_path / "ants").mkdir()
    inside = tmp_path / "ants"

    assert true_classes([inside, inside / "b.png"], [inside / "a.png", inside / "b.png"], LABELS, None) == [
        None,
        None,
    ]


def test_matrix_of_images_without_a_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"c\.png lies in no folder named as a class; .* \(ants, bees, wasps, flies\)"
    ):
        true_classes([tmp_path], [tmp_path / "c.png"], LABELS, tmp_path / "m.png")


def test_scores_are_those_of_scikit_learn() -> None:
    truth, said = zip(*PAIRS, strict=True)
    stream = io.StringIO()
    show_scores(answers(), LABELS, stream)

    assert f"{100 * accuracy_score(truth, said):.1f} % of 11 images" in stream.getvalue()
    theirs = classification_report(truth, said, digits=4, zero_division=np.nan).replace("nan", "  -")
    for line in theirs.splitlines():
        assert line.strip() in stream.getvalue()


def test_matrix_is_that_of_scikit_learn_in_the_models_order() -> None:
    truth, said = zip(*PAIRS, strict=True)

    assert (count_confusions(answers(), LABELS, LABELS) == confusion_matrix(truth, said, labels=LABELS)).all()


def test_classes_that_are_neither_true_nor_said_are_left_out() -> None:
    assert present_classes(answers(), LABELS) == ["ants", "bees", "flies"]


def test_matrix_of_many_classes_is_left_to_the_picture() -> None:
    names = [f"class {index}" for index in range(40)]
    stream = io.StringIO()
    show_scores([Prediction("a.png", name, 0.9, truth=name) for name in names], names, stream)

    assert "confusion matrix: 40 classes are drawn by --matrix FILE.png" in stream.getvalue()


def test_class_names_are_no_markup() -> None:
    stream = io.StringIO()
    show_scores([Prediction("a.png", "[red]", 0.9, truth="[red]")], ["[red]", "b"], stream)

    assert stream.getvalue().count("[red]") >= 3


def test_unreadable_images_are_not_scored() -> None:
    unreadable = Prediction("b.png", error="no such file", truth="ants")

    assert scorable([*answers(), unreadable]) == answers()
    assert scorable([*answers(), Prediction("c.png", "ants", 0.9)]) == []


def test_matrix_that_cannot_be_written_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"--matrix .*m\.png: cannot be written \(Not a directory\)"):
        report_accuracy(answers(), LABELS, tmp_path / "file" / "m.png", io.StringIO())

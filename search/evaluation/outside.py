"""Images from outside whose folders say what they are: accuracy, report and confusion matrix of an export on them."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from search.errors import InputError
from search.evaluation.answers import Prediction
from search.evaluation.fit import percent
from search.evaluation.matrix import write_matrix_png
from search.evaluation.scores import Integers, wilson

# A matrix of more classes is wider than a terminal: its picture has it.
PRINTED_CLASSES = 12


def known_truths(
    given: Sequence[Path], files: Sequence[Path], labels: Sequence[str], matrix: Path | None
) -> list[str | None]:
    """The true class of each file: the folder that it lies in, directly below one of those given, if so named.

    Args:
        given: What the user named, files and folders.
        files: What was found there.
        labels: The model's classes.
        matrix: Where a confusion matrix is to be drawn; it needs all of them.

    Raises:
        InputError: A matrix is asked for, and an image has no true class.
    """
    known, folders = set(labels), [path for path in given if path.is_dir()]

    def truth(file: Path) -> str | None:
        inside = (file.relative_to(folder).parts for folder in folders if file.is_relative_to(folder))
        return next((parts[0] for parts in inside if len(parts) > 1 and parts[0] in known), None)

    truths = [truth(file) for file in files]
    if matrix is not None and None in truths:
        raise InputError(
            f"--matrix {matrix}: {files[truths.index(None)]} lies in no folder named as a class; expected folders "
            f"whose subfolders are classes of the model ({', '.join(labels[:5])}{', ...' if labels[5:] else ''})"
        )
    return truths


def judge(answers: Sequence[Prediction], labels: Sequence[str], matrix: Path | None, stream: TextIO) -> None:
    """Print, and draw, how right the answers are, where the folders say what all the images are.

    Args:
        answers: With their true classes.
        labels: The model's classes.
        matrix: A picture's file, if one is asked for.
        stream: Gets accuracy, report and matrix; a line on why there are none goes to standard error.
    """
    if note := why_not_scored(answers):
        print(note, file=sys.stderr)
    if not (scored := to_score(answers)):
        return
    show_scores(scored, labels, stream)
    if matrix is not None:
        write_outside_matrix(matrix, scored, labels)


def why_not_scored(answers: Sequence[Prediction]) -> str:
    """Why some images have a true class and are not scored all the same; empty where all have one, or none."""
    without = [answer.image for answer in answers if answer.truth is None]
    if not without or len(without) == len(answers):
        return ""
    return (
        f"not scored: {len(without):,} of {len(answers):,} images lie in no folder named as a class of the model "
        f"({without[0]}); give only folders whose subfolders are classes"
    )


def to_score(answers: Sequence[Prediction]) -> list[Prediction]:
    """The answers to score: those that could be read, where each image has a true class; otherwise none."""
    if any(answer.truth is None for answer in answers):
        return []
    return [answer for answer in answers if answer.label is not None]


def matrix_of(answers: Sequence[Prediction], labels: Sequence[str], classes: Sequence[str]) -> Integers:
    """Counts, ``(true classes, predicted classes)``, int64, of answers that have a true class.

    Args:
        answers: All of one of ``classes``, true and predicted.
        labels: The model's classes.
        classes: Those that the matrix shall have.
    """
    from sklearn.metrics import confusion_matrix

    truth, said = [answer.truth for answer in answers], [answer.label for answer in answers]
    whole = np.asarray(confusion_matrix(truth, said, labels=list(labels)), np.int64)
    shown = [labels.index(name) for name in classes]
    return whole[np.ix_(shown, shown)]


def classes_of(answers: Sequence[Prediction], labels: Sequence[str]) -> list[str]:
    """The classes that are true or said of any image: of the model's others a report has nothing to say."""
    present = {answer.truth for answer in answers} | {answer.label for answer in answers}
    return [label for label in labels if label in present]


def show_scores(answers: Sequence[Prediction], labels: Sequence[str], stream: TextIO) -> None:
    """Print accuracy, report and confusion matrix of ``to_score``'s answers."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
    from sklearn.metrics import classification_report

    truth, said = [answer.truth for answer in answers], [answer.label for answer in answers]
    classes = classes_of(answers, labels)
    console = Console(file=stream, highlight=False)
    if not console.is_terminal:  # A file or a pipe has no width to keep to.
        console.width = 40 + sum(len(name) + 8 for name in classes)
    console.print(accuracy_sentence(answers), soft_wrap=True)
    report: Any = classification_report(truth, said, labels=classes, digits=4, zero_division=0)
    console.print(Text(report), soft_wrap=True)
    if len(classes) > PRINTED_CLASSES:
        console.print(
            f"confusion matrix: {len(classes)} classes are drawn by --matrix FILE.png", soft_wrap=True
        )
        return
    table = Table("true \\ said", title="confusion matrix", title_justify="left")
    for name in classes:
        table.add_column(Text(name), justify="right")
    for name, row in zip(classes, matrix_of(answers, labels, classes), strict=True):
        table.add_row(Text(name), *map(str, row.tolist()))
    console.print(table)


def accuracy_sentence(answers: Sequence[Prediction]) -> str:
    """How many were classified right, with its 95 % interval."""
    right = sum(answer.label == answer.truth for answer in answers)
    low, high = wilson(right, len(answers))
    return (
        f"{percent(right / len(answers))} of {len(answers):,} images are classified right "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f}, Wilson)"
    )


def write_outside_matrix(path: Path, answers: Sequence[Prediction], labels: Sequence[str]) -> None:
    """The confusion matrix of ``to_score``'s answers as a picture."""
    classes = classes_of(answers, labels)
    write_matrix_png(
        path, matrix_of(answers, labels, classes), classes, accuracy_sentence(answers).replace(" (", "\n(")
    )

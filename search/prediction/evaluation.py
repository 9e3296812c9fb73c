"""How right an export is about images from outside whose folders name their classes."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from search.errors import InputError
from search.formatting import accuracy_words, count
from search.metrics.class_figures import class_report
from search.metrics.classification import Integers, wilson
from search.plotting.confusion_matrix import write_matrix_png
from search.prediction.output import Prediction, Shown

# A matrix of more classes is wider than a terminal; its picture has it.
PRINTED_CLASSES = 12


def true_classes(
    given: Sequence[Path], files: Sequence[Path], labels: Sequence[str], matrix: Path | None
) -> list[str | None]:
    """The true class of each file: the name of its folder, directly below a folder that the user named.

    Args:
        given: The files and folders that the user named.
        files: The image files found there.
        labels: The model's classes.
        matrix: Picture of a confusion matrix, for which every file needs a true class; None for none.

    Returns:
        One entry a file; None where the folder is not named as a class.

    Raises:
        InputError: A matrix is requested, and an image has no true class.
    """
    known, folders = set(labels), [path for path in given if path.is_dir()]

    def true_class(file: Path) -> str | None:
        inside = (file.relative_to(folder).parts for folder in folders if file.is_relative_to(folder))
        return next((parts[0] for parts in inside if len(parts) > 1 and parts[0] in known), None)

    truths = [true_class(file) for file in files]
    if matrix is not None and None in truths:
        raise InputError(
            f"--matrix {matrix}: {files[truths.index(None)]} lies in no folder named as a class; expected folders "
            f"whose subfolders are classes of the model ({', '.join(labels[:5])}{', ...' if labels[5:] else ''})"
        )
    return truths


def report_accuracy(
    predictions: Sequence[Prediction],
    labels: Sequence[str],
    matrix: Path | None,
    stream: TextIO,
    unsure: float | None = None,
) -> None:
    """Print, and draw, how many predictions are right, where the folders name the classes of all images.

    Args:
        predictions: With their true classes.
        labels: The model's classes.
        matrix: Picture of the confusion matrix; None for none.
        stream: Gets accuracy, report and matrix. A line on why there are none goes to standard error.
        unsure: See ``search.prediction.output.Shown``.

    Raises:
        InputError: The picture cannot be written.
    """
    if note := why_not_scored(predictions):
        print(note, file=sys.stderr)
    if not (scored := scorable(predictions)):
        return
    show_scores(scored, labels, stream)
    if unsure is not None:
        print(unsure_sentence(scored, unsure), file=stream)
    if matrix is not None:
        classes = present_classes(scored, labels)
        title = accuracy_sentence(scored).replace(" (", "\n(")
        try:
            write_matrix_png(matrix, count_confusions(scored, labels, classes), classes, title)
        except OSError as error:
            raise InputError(
                f"--matrix {matrix}: cannot be written ({error.strerror}); name another place"
            ) from None


def why_not_scored(predictions: Sequence[Prediction]) -> str:
    """Why images with a true class are not scored: others have none. Empty where all have one, or none has."""
    without = [prediction.image for prediction in predictions if prediction.truth is None]
    if not without or len(without) == len(predictions):
        return ""
    return (
        f"not scored: {len(without):,} of {len(predictions):,} images lie in no folder named as a class of the model "
        f"({without[0]}); give only folders whose subfolders are classes"
    )


def scorable(predictions: Sequence[Prediction]) -> list[Prediction]:
    """The predictions of all images that could be read; none where an image has no true class."""
    if any(prediction.truth is None for prediction in predictions):
        return []
    return [prediction for prediction in predictions if prediction.label is not None]


def present_classes(predictions: Sequence[Prediction], labels: Sequence[str]) -> list[str]:
    """The model's classes that are true or predicted for any image; a report has nothing to say of the others."""
    present = {prediction.truth for prediction in predictions} | {
        prediction.label for prediction in predictions
    }
    return [label for label in labels if label in present]


def count_confusions(
    predictions: Sequence[Prediction], labels: Sequence[str], classes: Sequence[str]
) -> Integers:
    """The confusion matrix: counts, ``(true classes, predicted classes)``, int64.

    Args:
        predictions: Of images whose true and predicted classes are among ``classes``.
        labels: The model's classes.
        classes: Those that the matrix shall have.
    """
    from sklearn.metrics import confusion_matrix

    truths, predicted = zip(*((one.truth, one.label) for one in predictions), strict=True)
    whole = np.asarray(confusion_matrix(truths, predicted, labels=list(labels)), np.int64)
    shown = [labels.index(name) for name in classes]
    return whole[np.ix_(shown, shown)]


def show_scores(predictions: Sequence[Prediction], labels: Sequence[str], stream: TextIO) -> None:
    """Print accuracy, classification report and confusion matrix of scorable predictions."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    classes = present_classes(predictions, labels)
    console = Console(file=stream, highlight=False)
    if not console.is_terminal:  # A file or a pipe has no width to keep to.
        console.width = 40 + sum(len(name) + 8 for name in classes)
    console.print(accuracy_sentence(predictions), soft_wrap=True)
    matrix = count_confusions(predictions, labels, classes)
    console.print(Text(class_report(matrix, classes)[0]), soft_wrap=True)
    if len(classes) > PRINTED_CLASSES:
        console.print(
            f"confusion matrix: {len(classes)} classes are drawn by --matrix FILE.png", soft_wrap=True
        )
        return
    table = Table("true \\ predicted", title="confusion matrix", title_justify="left")
    for name in classes:
        table.add_column(Text(name), justify="right")
    for name, row in zip(classes, matrix, strict=True):
        table.add_row(Text(name), *map(str, row.tolist()))
    console.print(table)


def accuracy_sentence(predictions: Sequence[Prediction]) -> str:
    """How many were classified right, with a 95 % interval."""
    right, images = sum(prediction.is_right for prediction in predictions), len(predictions)
    return accuracy_words(right / images, wilson(right, images), images)


def unsure_sentence(predictions: Sequence[Prediction], unsure: float) -> str:
    """Of how many images the model is unsure, and how many of the others, and of these, are right."""
    shown = Shown((), unsure=unsure)
    sure = [one for one in predictions if not shown.is_unsure(one)]
    rest = [one for one in predictions if shown.is_unsure(one)]
    said = f"unsure (confidence below {unsure:g}): {len(rest):,} of {count(len(predictions), 'image')}"
    if rest:
        said += f", of which {sum(one.is_right for one in rest):,} would be right"
    return f"{said}; of the others, {accuracy_sentence(sure)}" if sure else said

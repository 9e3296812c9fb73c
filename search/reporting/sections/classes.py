"""The sections on classes: confusion matrix, figures of each class, and the most confident mistakes with pictures."""

from collections.abc import Sequence

import numpy as np

from search.formatting import count, percent
from search.metrics.class_figures import class_figures, confusions, mean_of_defined
from search.metrics.classification import MOST_MISTAKES, Integers
from search.reporting.elements import Block, Cell, Matrix, MatrixCell, Rows, Section, Table, Text
from search.reporting.facts import Facts
from search.reporting.formatting import (
    DASH,
    accuracy_interval,
    decimal_or_dash,
    percent_or_dash,
    percent_or_finite,
)
from search.reporting.pictures import png_picture

# A table of more classes is hard to look through; the PNG is not.
MOST_IN_A_TABLE = 20
SHADES = 6
MOST_PAIRS = 15
# A longer table of classes is collapsed.
MOST_OPEN = 40
NO_EXPORT = "This needs an export, in which the test images are scored: there is none."


def matrix_section(facts: Facts) -> Section:
    """Which class was taken for which."""
    title = "Confusion matrix"
    if facts.exported is None:
        return Section("confusion", title, [Text(NO_EXPORT, "note")])
    rows, classes = facts.exported.matrix(), facts.config.classes
    if not rows or len(rows) != len(classes):
        return Section("confusion", title, [Text("The export has no confusion matrix.", "note")])
    matrix = np.asarray(rows, np.int64)
    right, images = int(matrix.trace()), int(matrix.sum())
    blocks: list[Block] = [
        Text(
            f"{right:,} of {images:,} test images are on the diagonal. Rows are true classes, columns predicted ones; "
            "below each count, and in the strength of its colour, is its share of the true class."
        )
    ]
    if len(classes) <= MOST_IN_A_TABLE:
        shaded = [[_cell(value, sum(row)) for value in row] for row in rows]
        blocks.append(Matrix(f"Confusion matrix of {images:,} test images", classes, shaded))
    elif picture := png_picture(
        facts.exported.picture("confusion_matrix.png"),
        "The confusion matrix as a picture; the pairs that were confused most often are in the table below it, and "
        "every count is in the export's confusion_matrix.csv.",
        "All classes; the counts are in the export's confusion_matrix.csv",
    ):
        blocks.append(picture)
    blocks.append(_pairs(matrix, classes))
    return Section("confusion", title, blocks)


def _pairs(matrix: Integers, classes: Sequence[str]) -> Block:
    """The pairs of classes that are confused most often."""
    pairs, of_class = confusions(matrix), matrix.sum(axis=1)
    if not pairs:
        return Text("No test image was taken for another class.")
    rows: Rows = [
        [classes[true], classes[predicted], f"{images:,}", percent_or_dash(images / of_class[true])]
        for true, predicted, images in pairs[:MOST_PAIRS]
    ]
    shown = f"{len(rows)} of {len(pairs):,} pairs" if len(pairs) > len(rows) else "all pairs"
    head = ["true class", "taken for", "images", "of the true class"]
    return Table(f"Most frequent confusions ({shown})", head, rows, text_columns=(1,))


def _cell(value: int, of: int) -> MatrixCell:
    return MatrixCell(value, percent(value / of) if value else "", _shade(value, of))


def _shade(value: int, of: int) -> int:
    # In proportion, as in the picture; what is there at all differs from what is not.
    return 0 if not value else max(1, round(SHADES * value / of))


def classes_section(facts: Facts) -> Section:
    """Precision, recall and F1 of each class."""
    title = "Each class"
    matrix = None if facts.exported is None else facts.exported.matrix()
    if not matrix or len(matrix) != len(facts.config.classes):
        why = NO_EXPORT if facts.exported is None else "The export has no confusion matrix."
        return Section("classes", title, [Text(why, "note")])
    images, figures = np.sum(matrix, axis=1), class_figures(matrix)
    rows: Rows = [
        _class_row(name, int(images[place]), [figure[place] for figure in figures], is_class=True)
        for place, name in enumerate(facts.config.classes)
    ]
    for words, weights in (("mean over classes", None), ("weighted by images", images)):
        means = [float(mean_of_defined(figure, weights)) for figure in figures]
        rows.append(_class_row(words, int(images.sum()), means, is_class=False))
    head = ["class", "test images", "precision", "recall", "95 % interval of recall", "F1"]
    caption = "Precision, recall and F1 of each class, on the test images"
    return Section("classes", title, [Table(caption, head, rows, collapsed=len(rows) > MOST_OPEN)])


def _class_row(words: str, images: int, figures: Sequence[float], *, is_class: bool) -> list[Cell]:
    """A row of the table of classes: of one class, or of a mean over those that have the figure."""
    precision, recall = map(percent_or_finite, figures[:2])
    interval = accuracy_interval(figures[1], images) if is_class else DASH
    return [words, f"{images:,}", precision, recall, interval, decimal_or_dash(figures[2])]


def mistakes_section(facts: Facts) -> Section:
    """The mistakes that the net was most confident of."""
    title = "Mistakes"
    if facts.exported is None:
        return Section("mistakes", title, [Text(NO_EXPORT, "note")])
    predictions = facts.exported.predictions()
    if predictions is None:
        return Section("mistakes", title, [Text("The export has no predictions.", "note")])
    wrong = sorted((row for row in predictions if row[1] != row[2]), key=lambda row: -row[3])
    blocks: list[Block] = [
        Text(
            f"{count(len(wrong), 'mistake')} on {len(predictions):,} test images"
            + ("; shown are those that the net was most confident of." if wrong else ".")
        )
    ]
    if not wrong:
        return Section("mistakes", title, blocks)
    worst = wrong[:MOST_MISTAKES]
    first = "; ".join(
        f"{true} taken for {predicted} ({percent_or_dash(confidence)})"
        for _, true, predicted, confidence in worst[:5]
    )
    picture = png_picture(
        facts.exported.picture("mistakes.png"),
        "Test images that were misclassified, the most confident first, with true class, predicted class and "
        f"confidence: {first}{'; the table below lists all that are shown' if len(worst) > 5 else ''}.",
        "The most confident mistakes, with true class, predicted class and confidence",
    )
    if picture:
        blocks.append(picture)
    rows: Rows = [
        [number, true, predicted, percent_or_dash(confidence)]
        for number, true, predicted, confidence in worst
    ]
    head = ["test image", "true class", "predicted class", "confidence"]
    # Images that were arrays have numbers, all others the paths of their files.
    texts = (1, 2) if all(row[0].isdecimal() for row in worst) else (0, 1, 2)
    blocks.append(Table("The same mistakes as a table", head, rows, text_columns=texts, collapsed=True))
    return Section("mistakes", title, blocks)

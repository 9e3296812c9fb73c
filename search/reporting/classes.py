"""What happened to each class: confusion matrix, per-class figures, and the most confident mistakes with pictures."""

import base64
import struct
from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from search.reporting.blocks import Block, Matrix, Picture, Rows, Section, Table, Text
from search.reporting.exported import Exported
from search.reporting.figures import NONE, count, decimal, fraction, of_count
from search.reporting.study import Facts

# With more classes a table of all pairs is no picture any more; the PNG is.
MOST_IN_A_TABLE = 20
SHADES = 6
MOST_PAIRS = 15
MOST_UNFOLDED = 40
MOST_MISTAKES = 24
NOTHING = "This needs an export, in which the test images are scored: there is none."


def matrix_section(facts: Facts) -> Section:
    """Which class was taken for which."""
    title = "Confusion matrix"
    if facts.exported is None:
        return Section("confusion", title, [Text(NOTHING, "note")])
    matrix, classes = facts.exported.matrix(), facts.config.classes
    if not matrix or len(matrix) != len(classes):
        return Section("confusion", title, [Text("The export has no confusion matrix.", "note")])
    right, images = sum(row[index] for index, row in enumerate(matrix)), sum(map(sum, matrix))
    blocks: list[Block] = [
        Text(
            f"{right:,} of {images:,} test images are on the diagonal. Rows are true classes, columns what the net "
            "said; the larger its part of the true class, the stronger is a cell's colour."
        )
    ]
    if len(classes) <= MOST_IN_A_TABLE:
        rows = [[(value, _shade(value, sum(row))) for value in row] for row in matrix]
        blocks.append(Matrix(f"Confusion matrix of {images:,} test images", classes, rows))
    elif picture := png(
        facts.exported,
        "confusion_matrix.png",
        "The confusion matrix as a picture; the pairs that were confused most often are in the table below it, and "
        "every count is in the export's confusion_matrix.csv.",
        "All classes; the counts are in the export's confusion_matrix.csv",
    ):
        blocks.append(picture)
    blocks.append(_pairs(matrix, classes))
    return Section("confusion", title, blocks)


def _shade(value: int, of: int) -> int:
    # By square root, as the picture has it: a confusion of a few in a hundred is what a reader looks for.
    return 0 if not value else max(1, round(SHADES * sqrt(value / of)))


def _pairs(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> Block:
    pairs = [
        (value, true, said)
        for true, row in enumerate(matrix)
        for said, value in enumerate(row)
        if value and true != said
    ]
    if not pairs:
        return Text("No test image was taken for another class.")
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    rows = [
        [classes[true], classes[said], f"{value:,}", fraction(value / sum(matrix[true]))]
        for value, true, said in pairs[:MOST_PAIRS]
    ]
    shown = f"the {len(rows)} of {len(pairs):,} pairs" if len(pairs) > len(rows) else "all pairs"
    head = ["true class", "taken for", "images", "of the true class"]
    return Table(f"Most frequent confusions ({shown})", head, rows, words=(1,))


def classes_section(facts: Facts) -> Section:
    """Precision, recall and F1 of each class."""
    title = "Each class"
    found = None if facts.exported is None else facts.exported.classification()
    if found is None:
        return Section(
            "classes",
            title,
            [Text(NOTHING if facts.exported is None else "The export has no report by class.", "note")],
        )
    rows: Rows = []
    for name in facts.config.classes:
        figures = _figures_of(found, name)
        images = int(figures.get("support", 0))
        interval = of_count(figures.get("recall"), images)
        precision, recall, f1 = (decimal(figures.get(key)) for key in ("precision", "recall", "f1-score"))
        rows.append([name, f"{images:,}", precision, recall, interval, f1])
    for name, words in (("macro avg", "mean over classes"), ("weighted avg", "weighted by images")):
        if figures := _figures_of(found, name):
            precision, recall, f1 = (decimal(figures.get(key)) for key in ("precision", "recall", "f1-score"))
            rows.append([words, f"{int(figures.get('support', 0)):,}", precision, recall, NONE, f1])
    head = ["class", "test images", "precision", "recall", "95 % interval of recall", "F1"]
    caption = "Precision, recall and F1 of each class, on the test images"
    return Section("classes", title, [Table(caption, head, rows, folded=len(rows) > MOST_UNFOLDED)])


def _figures_of(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Of one class; a class that is called ``accuracy`` has none there (scikit-learn)."""
    figures = found.get(name)
    return figures if isinstance(figures, dict) else {}


def mistakes_section(facts: Facts) -> Section:
    """What the net was surest of and wrong about."""
    title = "Mistakes"
    if facts.exported is None:
        return Section("mistakes", title, [Text(NOTHING, "note")])
    predictions = facts.exported.predictions()
    if predictions is None:
        return Section("mistakes", title, [Text("The export has no predictions.", "note")])
    wrong = sorted((row for row in predictions if row[1] != row[2]), key=lambda row: -row[3])
    blocks: list[Block] = [
        Text(
            f"{count(len(wrong), 'mistake')} on {len(predictions):,} test images"
            + ("; shown are those that the net was surest of." if wrong else ".")
        )
    ]
    worst = wrong[:MOST_MISTAKES]
    told = "; ".join(f"{true} taken for {said} ({fraction(sure)})" for _, true, said, sure in worst[:5])
    picture = png(
        facts.exported,
        "mistakes.png",
        f"Test images that were classified wrong, surest first, with true class, predicted class and confidence: {told}"
        f"{'; the table below lists all that are shown' if len(worst) > 5 else ''}.",
        "The most confident mistakes, with what is true, what the net said and how sure it was",
    )
    if wrong and picture:
        blocks.append(picture)
    if wrong:
        rows = [[number, true, said, fraction(sure)] for number, true, said, sure in worst]
        head = ["test image", "true class", "predicted class", "confidence"]
        blocks.append(Table("The same mistakes as a table", head, rows, words=(1, 2), folded=True))
    return Section("mistakes", title, blocks)


def png(exported: Exported, name: str, alt: str, caption: str) -> Picture | None:
    """One of the export's pictures; None where it has none that fits into a page."""
    data = exported.picture(name)
    return None if data is None else picture_of(data, alt, caption)


def picture_of(data: bytes, alt: str, caption: str) -> Picture | None:
    """A PNG for the page; None where it is no PNG."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 24:
        return None
    width, height = struct.unpack(">II", data[16:24])
    return Picture(base64.b64encode(data).decode("ascii"), alt, caption, width, height)

"""What an exported model predicts for images, and how that is printed."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from search.formatting import escaped, percent

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


# The answer to an image of which the model is less sure than is asked for, and the name of the field that says so.
UNSURE = "unsure"
UNLIKE = "nothing like the training images"


@dataclass(frozen=True)
class Prediction:
    """What the model predicts for one image.

    Attributes:
        image: The file, as it was given; of an array its place among the images, such as ``images[3]``.
        label: The likeliest class; None for a file that could not be read.
        confidence: Its probability, 0 to 1; None for a file that could not be read.
        error: Why the file could not be read; empty otherwise.
        truth: The file's true class, where its folder is named as one; None otherwise.
        unlike: Whether it is nothing like the training images; None where the export cannot tell.
        labels: The model's classes.
        probabilities: That of each class, in the order of ``labels``, ``(classes,)``, float64; None for a file that
            could not be read.
    """

    image: str
    label: str | None = None
    confidence: float | None = None
    error: str = ""
    truth: str | None = None
    unlike: bool | None = None
    labels: Sequence[str] = field(default=(), repr=False, compare=False)
    probabilities: "npt.NDArray[np.float64] | None" = field(default=None, repr=False, compare=False)

    def top(self, count: int) -> list[tuple[str, float]]:
        """The likeliest classes with their probabilities, the likeliest first; none of a file that was not read."""
        if self.probabilities is None:
            return []
        likeliest = (-self.probabilities).argsort(kind="stable")[:count]
        return [(self.labels[place], float(self.probabilities[place])) for place in likeliest]

    def by_class(self) -> dict[str, float]:
        """The probability of each class by its name; none of a file that could not be read."""
        return (
            {}
            if self.probabilities is None
            else dict(zip(self.labels, self.probabilities.tolist(), strict=True))
        )

    @property
    def is_right(self) -> bool:
        """Whether the predicted class is the true one."""
        return self.label == self.truth


@dataclass(frozen=True)
class Shown:
    """What is shown of the probabilities.

    Attributes:
        labels: The model's classes.
        proba: Whether that of every class is.
        top: How many of the likeliest classes are, with theirs.
        unsure: The confidence, 0 to 1, below which an answer is called unsure; None calls none so.
    """

    labels: Sequence[str]
    proba: bool = False
    top: int = 0
    unsure: float | None = None

    def is_unsure(self, prediction: Prediction) -> bool:
        """Whether a prediction of a file that could be read is called unsure."""
        return self.unsure is not None and (prediction.confidence or 0.0) < self.unsure


def show_table(predictions: Sequence[Prediction], shown: Shown) -> None:
    """Print a table with a row for each file that could be read."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("image", "class", "confidence")
    most = len(shown.labels) if shown.proba else shown.top
    if most:
        table.add_column("probabilities")
    rows = [
        [
            each.image,
            (UNSURE if shown.is_unsure(each) else str(each.label)) + (f" ({UNLIKE})" if each.unlike else ""),
            percent(each.confidence or 0.0),
            *([", ".join(f"{name} {percent(p)}" for name, p in each.top(most))] if most else []),
        ]
        for each in predictions
        if each.label is not None
    ]
    console = Console()
    if not console.is_terminal:  # A file or a pipe has no width to keep to: no name is cut or folded.
        console = Console(width=40 + max((len("".join(row)) for row in rows), default=0))
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def show_csv(predictions: Sequence[Prediction], shown: Shown) -> None:
    """Print CSV with a line for each file; the column ``error`` says why one could not be read.

    After the five columns of every line come two for each of the likeliest classes, ``class_1`` and ``confidence_1``
    onwards, and then one for each class, ``p_`` and its name; ``unsure`` is there where that is asked for, and
    ``unlike`` where the export can tell.
    """
    head = ["image", "class", "confidence", "error", "true"]
    head += [f"{column}_{place}" for place in range(1, shown.top + 1) for column in ("class", "confidence")]
    head += [f"p_{label}" for label in shown.labels] if shown.proba else []
    head += [UNSURE] if shown.unsure is not None else []
    knows = any(each.unlike is not None for each in predictions)
    head += ["unlike"] if knows else []
    print(_csv_line(head))
    for each in predictions:
        confidence = "" if each.confidence is None else f"{each.confidence:.6f}"
        row = [escaped(each.image), each.label or "", confidence, escaped(each.error), each.truth or ""]
        for name, p in each.top(shown.top):
            row += [name, f"{p:.6f}"]
        if shown.proba:
            row += [f"{p:.6f}" for p in each.by_class().values()]
        row += [""] * (len(head) - len(row))
        if shown.unsure is not None and each.label is not None:
            row[head.index(UNSURE, 5)] = str(shown.is_unsure(each)).lower()
        if each.unlike is not None:
            row[-1] = str(each.unlike).lower()
        print(_csv_line(row))


def _csv_line(cells: Sequence[str]) -> str:
    """A row of CSV without its end; the writer quotes a carriage return only where the end has one, too."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue().removesuffix("\r\n")


def show_json(predictions: Sequence[Prediction], shown: Shown) -> None:
    """Print a JSON list of objects with ``image``, ``class``, ``confidence``, ``error`` and ``true``.

    On request each has ``top``, a list of objects with ``class`` and ``confidence``, and ``probabilities``, by class;
    of a file that could not be read these are empty. On request it has ``unsure``, and ``unlike`` where the export can
    tell, which are null of such a file.
    """
    knows = any(each.unlike is not None for each in predictions)
    rows = [
        {
            "image": escaped(each.image),
            "class": each.label,
            "confidence": each.confidence,
            "error": escaped(each.error),
            "true": each.truth,
            **(
                {"top": [{"class": name, "confidence": p} for name, p in each.top(shown.top)]}
                if shown.top
                else {}
            ),
            **({"probabilities": each.by_class()} if shown.proba else {}),
            **(
                {UNSURE: None if each.label is None else shown.is_unsure(each)}
                if shown.unsure is not None
                else {}
            ),
            **({"unlike": each.unlike} if knows else {}),
        }
        for each in predictions
    ]
    print(json.dumps(rows, indent=2, ensure_ascii=False))

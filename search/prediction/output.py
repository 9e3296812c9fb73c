"""What an exported model predicts for image files, and how that is printed."""

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Prediction:
    """What the model predicts for one file.

    Attributes:
        image: The file, as it was given.
        label: The likeliest class; None for a file that could not be read.
        confidence: Its probability, 0 to 1; None for a file that could not be read.
        error: Why the file could not be read; empty otherwise.
        truth: The file's true class, where its folder is named as one; None otherwise.
    """

    image: str
    label: str | None = None
    confidence: float | None = None
    error: str = ""
    truth: str | None = None

    @property
    def is_right(self) -> bool:
        """Whether the predicted class is the true one."""
        return self.label == self.truth


def show_table(predictions: Sequence[Prediction]) -> None:
    """Print a table with a row for each file that could be read."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:  # A file or a pipe has no width to keep to: no name is cut or folded.
        console = Console(width=40 + max(len(each.image) + len(each.label or "") for each in predictions))
    table = Table("image", "class", "confidence")
    for each in predictions:
        if each.label is not None:
            table.add_row(Text(each.image), Text(each.label), f"{100 * (each.confidence or 0):.2f} %")
    console.print(table)


def show_csv(predictions: Sequence[Prediction]) -> None:
    """Print CSV with a line for each file; the column ``error`` says why one could not be read."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["image", "class", "confidence", "error", "true"])
    for each in predictions:
        confidence = "" if each.confidence is None else f"{each.confidence:.6f}"
        writer.writerow([each.image, each.label or "", confidence, each.error, each.truth or ""])


def show_json(predictions: Sequence[Prediction]) -> None:
    """Print a JSON list of objects with ``image``, ``class``, ``confidence``, ``error`` and ``true``."""
    names = {"label": "class", "truth": "true"}
    rows = [{names.get(name, name): value for name, value in asdict(each).items()} for each in predictions]
    print(json.dumps(rows, indent=2, ensure_ascii=False))

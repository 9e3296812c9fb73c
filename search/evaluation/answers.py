"""What an exported model says of image files, and how that is printed."""

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Prediction:
    """What the model says of one file.

    Attributes:
        image: The file, as it was given.
        label: The likeliest class; None for a file that could not be read.
        confidence: Its probability, 0 to 1; None for a file that could not be read.
        error: Why it could not be read; empty otherwise.
        truth: Its true class, where its folder is named as one; None otherwise.
    """

    image: str
    label: str | None = None
    confidence: float | None = None
    error: str = ""
    truth: str | None = None


def show_table(answers: Sequence[Prediction]) -> None:
    """One row a file that could be read."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:  # A file or a pipe has no width to keep to: no name is cut or folded.
        console = Console(width=40 + max(len(answer.image) + len(answer.label or "") for answer in answers))
    table = Table("image", "class", "confidence")
    for answer in answers:
        if answer.label is not None:
            table.add_row(Text(answer.image), Text(answer.label), f"{100 * (answer.confidence or 0):.2f} %")
    console.print(table)


def show_csv(answers: Sequence[Prediction]) -> None:
    """One line a file, with the reason in the column ``error`` of one that could not be read."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["image", "class", "confidence", "error", "true"])
    for answer in answers:
        confidence = "" if answer.confidence is None else f"{answer.confidence:.6f}"
        writer.writerow([answer.image, answer.label or "", confidence, answer.error, answer.truth or ""])


def show_json(answers: Sequence[Prediction]) -> None:
    """A list of objects ``image``, ``class``, ``confidence``, ``error``, ``true``."""
    names = {"label": "class", "truth": "true"}
    rows = [{names.get(name, name): value for name, value in asdict(answer).items()} for answer in answers]
    print(json.dumps(rows, indent=2, ensure_ascii=False))

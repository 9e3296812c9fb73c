"""How an export shows itself in a notebook: figures, confusion matrix and curves, in one piece of HTML."""

import base64
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from search.exporting.backbone import whole_parameters
from search.exporting.summary import how_trained
from search.formatting import percent, percent_range, plain_value, si_units
from search.study.prices import in_views
from search.templates.loader import environment

CURVES = "curves.png"
PICTURES = {
    "confusion_matrix.png": "Confusion matrix of the test images; its counts are in .confusion_matrix",
    CURVES: "Loss and accuracy by epoch, on training and on validation images",
}


def export_html(folder: Path, summary: Mapping[str, Any]) -> str:
    """An export as HTML that needs nothing else; names from outside are escaped.

    Args:
        folder: The export's folder; a picture that is gone is left out.
        summary: What its ``summary.json`` holds.
    """
    trained = how_trained(summary)
    # Of one epoch there is no curve to see.
    pictures = {name: alt for name, alt in PICTURES.items() if name != CURVES or summary.get("epochs") != 1}
    return (
        environment()
        .get_template("export_shown.html")
        .render(
            name=f"{summary['study']}, trial {summary['trial']}{f', {trained}' if trained else ''}",
            headline=f"{percent(summary['test_accuracy'])} of {summary['test_images']:,} test images are right",
            figures=list(_figures(folder, summary)),
            pictures=pictures_html(folder, pictures),
            words=summary.get("words", ()),
        )
    )


def pictures_html(folder: Path, pictures: Mapping[str, str]) -> str:
    """Pictures of a folder as elements that hold their bytes; one that is not there is left out.

    Args:
        folder: Where they lie.
        pictures: What each shows, by the name of its file.
    """
    return "".join(
        f'<img src="data:image/png;base64,{base64.b64encode((folder / name).read_bytes()).decode("ascii")}" '
        f'alt="{escape(alt)}" style="max-width: min(100%, 42rem); height: auto; background: #ffffff">'
        for name, alt in pictures.items()
        if (folder / name).is_file()
    )


def _figures(folder: Path, summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    low, high = summary["test_accuracy_interval"]
    yield "test accuracy, 95 % interval", f"{percent_range(low, high)} %"
    yield "macro F1", f"{summary['macro_f1']:.4f}"
    if (accuracy := summary.get("validation_accuracy")) is not None:
        yield "validation accuracy", percent(accuracy)
    if summary.get("parameters"):
        cost = (
            f", {si_units(summary['flops'], 'FLOP')} an image{in_views(summary)}"
            if summary.get("flops")
            else ""
        )
        time = f", {summary['milliseconds']:g} ms in batches" if summary.get("milliseconds") else ""
        yield "parameters", f"{si_units(whole_parameters(summary))}{cost}{time}"
    yield (
        "configuration",
        ", ".join(f"{name}={plain_value(value)}" for name, value in summary["params"].items()),
    )
    here = Path.cwd()
    yield "folder", str(folder.relative_to(here) if folder.is_relative_to(here) else folder)

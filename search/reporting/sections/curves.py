"""The section on learning curves: the training of the configuration that the report is about, epoch by epoch."""

from collections.abc import Mapping
from typing import Any

from search.plotting.curves import describe_history
from search.plotting.study import draw_training
from search.reporting.elements import Block, Chart, Charts, Rows, Section, Table, Text
from search.reporting.facts import Facts
from search.reporting.formatting import DASH, decimal_or_dash
from search.reporting.pictures import png_picture
from search.reporting.trial_facts import TrialFacts

GAP = (
    "Training figures are measured with what augmentation, dropout and label smoothing there is, validation figures "
    "without: the gap between the two is not the overfitting."
)
SHOWN = ("loss", "val_loss", "accuracy", "val_accuracy", "val_macro_f1", "seconds")


def curves_section(facts: Facts) -> Section:
    """The curves of the search's trial, and those of the exported weights where they were trained otherwise."""
    title, trial = "Learning curves", facts.subject
    if trial is None:
        return Section("curves", title, [Text("No trial has finished yet.", "note")])
    history, kept = trial.recorded.get("history") or {}, int(trial.recorded.get("kept_epoch") or 0)
    unit = facts.config.unit
    blocks: list[Block] = [Text(f"The curves of trial {trial.number} were not recorded.", "note")]
    if history.get("loss") and kept:
        blocks = [Text(_at_once(trial, history, unit))]
        if len(history["loss"]) > 1:
            blocks = [_drawings(trial, history, kept, unit), _epochs(trial, history, unit)]
        if facts.config.folds:
            blocks.append(Text("These are means over the trial's folds.", "note"))
        blocks.append(Text(GAP, "note"))
    if facts.exported is not None and (how := facts.exported.how_trained):
        if facts.exported.summary.get("epochs") == 1:
            blocks.append(Text(f"The exported weights, {how}, were trained for one {unit}, too.", "note"))
            return Section("curves", title, blocks)
        picture = png_picture(
            facts.exported.picture("curves.png"),
            f"Loss and accuracy of the exported weights, {how}, by epoch.",
            f"The exported weights: {how}; above are those of the search",
        )
        blocks += [picture] if picture else []
    return Section("curves", title, blocks)


def _at_once(trial: TrialFacts, history: Mapping[str, Any], unit: str) -> str:
    """What a training of one epoch came to: a drawing would have two points."""
    words = " ".join(
        f"{name.capitalize()}: {describe_history(history, name, 1, unit).replace(f' in {unit} 1', '') or DASH}."
        for name in ("loss", "accuracy")
    )
    return f"Trial {trial.number} was trained for one {unit}, so that there is no curve. {words}"


def _drawings(trial: TrialFacts, history: Mapping[str, Any], kept: int, unit: str) -> Charts:
    charts = []
    for quantity in ("loss", "accuracy"):
        words = f"{describe_history(history, quantity, kept, unit) or DASH}."
        label = f"{quantity.capitalize()} of trial {trial.number} by {unit}. {words}"
        svg = draw_training(history, quantity, kept, label, unit)
        charts.append(Chart(svg, f"{quantity}: {words}", wide=False))
    return Charts(charts)


def _epochs(trial: TrialFacts, history: Mapping[str, Any], unit: str) -> Table:
    # The study's metric too, if it is none of these.
    known = [
        name for name in (*SHOWN[:-1], *sorted(set(history) - set(SHOWN)), SHOWN[-1]) if history.get(name)
    ]
    rows: Rows = []
    for epoch in range(len(history["loss"])):
        figures = (history[name][epoch] if epoch < len(history[name]) else None for name in known)
        rows.append([epoch + 1, *map(decimal_or_dash, figures)])
    head = [unit, *(name.replace("val_", "validation ").replace("_", " ") for name in known)]
    return Table(f"Trial {trial.number}, {unit} by {unit}", head, rows, collapsed=True)

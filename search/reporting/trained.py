"""The training of the configuration that the report is about, epoch by epoch."""

from collections.abc import Mapping
from typing import Any

from search.reporting.blocks import Block, Chart, Charts, Rows, Section, Table, Text
from search.reporting.charts import draw_training
from search.reporting.classes import png
from search.reporting.figures import NONE, decimal
from search.reporting.study import Facts, Trial

SHOWN = ("loss", "val_loss", "accuracy", "val_accuracy", "val_macro_f1", "seconds")


def curves_section(facts: Facts) -> Section:
    """Learning curves, of the search's trial and of the exported weights, where those are others."""
    title, trial = "Learning curves", facts.shown
    if trial is None:
        return Section("curves", title, [Text("No trial has finished yet.", "note")])
    history, kept = trial.said.get("history") or {}, int(trial.said.get("kept_epoch") or 0)
    blocks: list[Block] = [Text(f"The curves of trial {trial.number} were not recorded.", "note")]
    if history.get("loss") and kept:
        blocks = [_drawings(trial, history, kept), _epochs(trial, history)]
        if facts.config.folds:
            blocks.append(Text("These are means over the trial's folds.", "note"))
        blocks.append(
            Text(
                "Training figures are measured with augmentation, dropout and label smoothing on, validation figures "
                "without: the gap between the two curves is not the overfitting.",
                "note",
            )
        )
    if facts.exported is not None and (how := facts.exported.trained_anew):
        picture = png(
            facts.exported,
            "curves.png",
            f"Loss and accuracy of the exported weights, {how}, by epoch.",
            f"The exported weights: {how}; above are those of the search",
        )
        blocks += [picture] if picture else []
    return Section("curves", title, blocks)


def _drawings(trial: Trial, history: Mapping[str, Any], kept: int) -> Charts:
    charts = []
    for quantity in ("loss", "accuracy"):
        words = _ends(history, quantity, kept)
        label = f"{quantity.capitalize()} of trial {trial.number} by epoch. {words}"
        drawn = draw_training(history, quantity, kept, label)
        charts.append(Chart(drawn, f"{quantity}: {words}", wide=False))
    return Charts(charts)


def _epochs(trial: Trial, history: Mapping[str, Any]) -> Table:
    known = [name for name in SHOWN if history.get(name)]
    rows: Rows = []
    for epoch in range(len(history["loss"])):
        figures = (history[name][epoch] if epoch < len(history[name]) else None for name in known)
        rows.append([epoch + 1, *map(decimal, figures)])
    head = ["epoch", *(name.replace("val_", "validation ").replace("_", " ") for name in known)]
    return Table(f"Trial {trial.number}, epoch by epoch", head, rows, folded=True)


def _ends(history: Mapping[str, Any], quantity: str, kept: int) -> str:
    said = []
    for name, key in (("training", quantity), ("validation", f"val_{quantity}")):
        values = history.get(key) or []
        if 0 < kept <= len(values):
            first, last = decimal(values[0]), decimal(values[kept - 1])
            said.append(f"{name} {first} in epoch 1, {last} in epoch {kept}")
    return "; ".join(said or [NONE]) + "."

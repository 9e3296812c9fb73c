"""A sweep in the report: its cells, whether they differ, and its two pictures."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from search.evaluation.sweep_pictures import write_sweep_curves, write_sweep_values
from search.evaluation.sweep_runs import Cells, Run, finished_cells, read_runs
from search.evaluation.sweep_verdict import judge
from search.reporting.blocks import Block, Section, Table, Text
from search.reporting.classes import picture_of
from search.reporting.figures import NONE, fraction, large, plain
from search.reporting.study import Facts
from search.snapshot import duration


def sweep_section(facts: Facts) -> Section:
    """What the cells came to; call it for a sweep alone."""
    sweep = facts.sweep or {}
    varied = list(sweep["vary"])
    cells = finished_cells(read_runs(facts.frozen, varied))
    images = sum(facts.counts.get("validation", ()))
    blocks: list[Block] = []
    if images:
        blocks.append(
            Text(judge({name: [run.best for run in runs] for name, runs in cells.items()}, images).sentence)
        )
    else:
        blocks.append(
            Text(
                "Whether the cells differ by more than noise needs the study's images, which are not on this host.",
                "note",
            )
        )
    fixed = ", ".join(
        f"{name}={plain(value)}" for name, value in sweep["params"].items() if name not in varied
    )
    blocks.append(
        Text(
            f"Varied: {', '.join(varied)}; all else as in {sweep['base'] or 'the space itself'} ({fixed}).",
            "note",
        )
    )
    if cells:
        blocks.append(_cells(cells, varied))
        blocks += _pictures(facts, cells, varied)
    for left in sweep.get("left_out", []):
        blocks.append(Text(f"Left out: {left['values']}: {left['why']}.", "note"))
    return Section("sweep", "The sweep", blocks)


def _cells(cells: Cells, varied: Sequence[str]) -> Table:
    rows = []
    for runs in cells.values():
        best = [run.best for run in runs]
        rows.append(
            [
                *(plain(runs[0].values[name]) for name in varied),
                str(len(runs)),
                fraction(mean(best)),
                f"{fraction(min(best))} to {fraction(max(best))}" if len(best) > 1 else NONE,
                ", ".join(str(run.best_epoch) for run in runs),
                duration(mean(float(run.said.get("seconds", 0.0)) for run in runs)),
                _size(runs[0], "parameters", ""),
                _size(runs[0], "flops", "FLOP"),
            ]
        )
    head = [
        *varied,
        "runs",
        "best validation accuracy, mean",
        "lowest to highest",
        "best epochs",
        "training a run",
        "parameters",
        "an image",
    ]
    return Table("Each finished cell", head, rows)


def _size(run: Run, name: str, unit: str) -> str:
    return large(float(run.said[name]), unit).strip() if name in run.said else NONE


def _pictures(facts: Facts, cells: Cells, varied: Sequence[str]) -> list[Block]:
    study = facts.config.study
    words = "the figures are in the table of cells above"
    with tempfile.TemporaryDirectory() as folder:
        values, curves = Path(folder) / "values.png", Path(folder) / "curves.png"
        write_sweep_values(values, cells, varied, study)
        write_sweep_curves(curves, cells, study)
        made = [
            picture_of(
                values.read_bytes(),
                f"Best validation accuracy, training time and parameters by {', '.join(varied)}; {words}.",
                "By the varied value",
            ),
            picture_of(
                curves.read_bytes(),
                f"Training and validation accuracy of every run by epoch; {words}.",
                "All curves, the best epoch of each run marked",
            ),
        ]
    return [picture for picture in made if picture is not None]

"""The section on a sweep: its cells, whether they differ, and its two pictures."""

from collections.abc import Mapping, Sequence
from statistics import mean

from search.formatting import duration, plain_value
from search.metrics.significance import compare_cells
from search.plotting.sweep import write_sweep_curves, write_sweep_values
from search.reporting.elements import Block, Rows, Section, Table, Text
from search.reporting.facts import Facts
from search.reporting.formatting import DASH, percent_or_dash, recorded_size
from search.reporting.pictures import drawn, png_picture
from search.reporting.sweep_runs import SweepRun, finished_cells, read_runs
from search.study.prices import of_what, operations_words


def sweep_section(facts: Facts) -> Section:
    """What the cells came to; for a study that is a sweep."""
    sweep = facts.sweep or {}
    varied = list(sweep["vary"])
    cells = finished_cells(read_runs(facts.frozen, varied))
    images = sum(facts.counts.get("validation", ()))
    verdict = Text(
        "Whether the cells differ by more than noise needs the study's images, which are not on this host.",
        "note",
    )
    if images:
        verdict = Text(
            compare_cells(
                {name: [run.accuracy for run in runs] for name, runs in cells.items()}, images
            ).sentence
        )
    fixed = ", ".join(
        f"{name}={plain_value(value)}" for name, value in sweep["params"].items() if name not in varied
    )
    base = sweep["base"] or "the space itself"
    blocks: list[Block] = [
        verdict,
        Text(f"Varied: {', '.join(varied)}; all else as in {base} ({fixed}).", "note"),
    ]
    if cells:
        blocks += [_cells(facts, cells, varied), *_pictures(facts, cells, varied)]
    for left in sweep.get("left_out", []):
        blocks.append(Text(f"Left out: {left['values']}: {left['why']}.", "note"))
    return Section("sweep", "The sweep", blocks)


def _cells(facts: Facts, cells: Mapping[str, Sequence[SweepRun]], varied: Sequence[str]) -> Table:
    rows: Rows = []
    for runs in cells.values():
        scored = [run.accuracy for run in runs]
        rows.append(
            [
                *(plain_value(runs[0].values[name]) for name in varied),
                str(len(runs)),
                percent_or_dash(mean(scored)),
                f"{percent_or_dash(min(scored))} to {percent_or_dash(max(scored))}"
                if len(scored) > 1
                else DASH,
                ", ".join(str(run.kept_epoch) for run in runs),
                duration(mean(float(run.recorded.get("seconds", 0.0)) for run in runs)),
                recorded_size(runs[0].recorded, "parameters"),
                recorded_size(runs[0].recorded, "flops", "FLOP"),
            ]
        )
    head = [
        *varied,
        "runs",
        "validation accuracy, mean",
        "lowest to highest",
        "kept epochs",
        "training a run",
        " ".join(filter(None, ("parameters", of_what(facts.config)))),
        operations_words(facts.config),
    ]
    return Table("Each finished cell", head, rows)


def _pictures(facts: Facts, cells: Mapping[str, Sequence[SweepRun]], varied: Sequence[str]) -> list[Block]:
    study, where = facts.config.study, "the figures are in the table of cells above"
    pictures = [
        png_picture(
            drawn(lambda path: write_sweep_values(path, cells, varied, study, of_what(facts.config))),
            f"Validation accuracy, training time and parameters by {', '.join(varied)}; {where}.",
            "By the varied value",
        ),
        png_picture(
            drawn(lambda path: write_sweep_curves(path, cells, study)),
            f"Training and validation accuracy of every run by epoch; {where}.",
            "All curves, the epoch of each run whose weights are kept marked",
        ),
    ]
    return [picture for picture in pictures if picture is not None]

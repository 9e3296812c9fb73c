"""``sweep_curves.png``: all curves of a sweep; ``sweep.png``: accuracy, time and parameters by the varied value."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.cells import describe
from search.evaluation.sweep_runs import Cells, Run, rank

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_NAMED = 40  # In a legend; with more cells it would outgrow the picture.
# Quotients of neighbours that differ by less than this make a geometric row.
GEOMETRIC = 1.2


def write_sweep_curves(path: Path, cells: Cells, title: str) -> None:
    """Training and validation accuracy by epoch, a colour a cell, a line a run; each run's best epoch is marked."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = Figure(figsize=(13, 5.6), dpi=130, layout="constrained")
    panels = figure.subplots(1, 2)
    for colour, (name, runs) in zip(_colours(len(cells)), cells.items(), strict=True):
        for run in runs:
            for axes, key in zip(panels, ("accuracy", "val_accuracy"), strict=True):
                _curve(axes, run, key, colour, name if run is runs[0] else None)
    for axes, name in zip(
        panels, ("training accuracy", "validation accuracy (a scale of its own)"), strict=True
    ):
        axes.set_title(name, fontsize=11)
        axes.set_xlabel("epoch")
        axes.set_xlim(0.5, max(len(run.history["accuracy"]) for runs in cells.values() for run in runs) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.grid(alpha=0.25)
    if len(cells) <= MOST_NAMED:
        handles, names = panels[1].get_legend_handles_labels()
        columns = 1 + (len(cells) - 1) // 20
        figure.legend(handles, names, loc="outside right center", fontsize=9, ncols=columns)
    figure.suptitle(
        f"{title}: accuracy by epoch; circles mark the best validation epoch of each run", fontsize=12
    )
    figure.savefig(path)


def write_sweep_values(path: Path, cells: Cells, varied: Sequence[str], title: str) -> None:
    """Best validation accuracy (each run, the mean, and the spread of repeats), time and parameters by the value.

    The parameter with the most values runs along the axis; every combination of the others has a line of its own.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter, PercentFormatter, StrMethodFormatter

    runs = [run for of_cell in cells.values() for run in of_cell]
    along = max(varied, key=lambda name: len({run.values[name] for run in runs}))
    values = list(
        dict.fromkeys(run.values[along] for run in sorted(runs, key=lambda run: rank(run.values[along])))
    )
    places = _places(values)
    figure = Figure(figsize=(14, 4.8), dpi=130, layout="constrained")
    panels = figure.subplots(1, 3, width_ratios=(1.4, 1, 1))
    quantities: tuple[tuple[str, Callable[[Run], float]], ...] = (
        ("best validation accuracy", lambda run: run.best),
        ("seconds of training a run", lambda run: float(run.said["seconds"])),
        ("parameters", lambda run: float(run.said["parameters"])),
    )
    lines = _lines(cells, along)
    for axes, (name, of) in zip(panels, quantities, strict=True):
        for colour, (others, of_line) in zip(_colours(len(lines)), lines.items(), strict=True):
            _line(axes, of_line, places, along, of, colour, others)
        _name_axis(axes, along, values, places)
        axes.set_title(name, fontsize=11)
    panels[0].yaxis.set_major_formatter(PercentFormatter(1.0))
    for axes, formatter in zip(
        panels[1:], (StrMethodFormatter("{x:,.12g}"), EngFormatter(sep=" ")), strict=True
    ):
        _from_zero(axes)
        axes.yaxis.set_major_formatter(formatter)
    if len(lines) > 1 and len(lines) <= MOST_NAMED:
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", fontsize=9)
    repeated = any(len(of_cell) > 1 for of_cell in cells.values())
    says = "bars reach from the worst to the best repeat" if repeated else "one run a cell"
    figure.suptitle(f"{title}: by {along}; {says}", fontsize=12, parse_math=False)
    figure.savefig(path)


def geometric(values: Sequence[Any]) -> bool:
    """Whether ascending ``values`` grow by about one factor, as 16, 32, 64 do."""
    if len(values) < 3 or any(
        isinstance(value, bool) or not isinstance(value, int | float) for value in values
    ):
        return False
    if min(values) <= 0:
        return False
    factors = [after / before for before, after in pairwise(values)]
    return bool(max(factors) / min(factors) < GEOMETRIC and values[-1] >= 4 * values[0])


def _curve(axes: "Axes", run: Run, key: str, colour: Any, name: str | None) -> None:
    values = run.history[key]
    axes.plot(range(1, len(values) + 1), values, color=colour, linewidth=1.3, label=name)
    axes.plot(
        [run.best_epoch], [values[run.best_epoch - 1]], "o", color=colour, markersize=7, mfc="none", mew=1.8
    )


def _line(
    axes: "Axes",
    runs: Sequence[Run],
    places: Mapping[Any, float],
    along: str,
    of: Callable[[Run], float],
    colour: Any,
    name: str,
) -> None:
    by_place: dict[float, list[float]] = {}
    for run in runs:
        by_place.setdefault(places[run.values[along]], []).append(of(run))
    x = sorted(by_place)
    means = [sum(by_place[place]) / len(by_place[place]) for place in x]
    below = [mean - min(by_place[place]) for place, mean in zip(x, means, strict=True)]
    above = [max(by_place[place]) - mean for place, mean in zip(x, means, strict=True)]
    spread = [below, above] if any(above) else None
    axes.errorbar(x, means, yerr=spread, color=colour, marker="o", markersize=4.5, capsize=4, label=name)
    if spread:
        points = [(place, value) for place in x for value in by_place[place]]
        axes.plot(*zip(*points, strict=True), ".", color=colour, markersize=5, alpha=0.5)


def _name_axis(axes: "Axes", along: str, values: Sequence[Any], places: Mapping[Any, float]) -> None:
    if geometric(values):
        axes.set_xscale("log")
    axes.minorticks_off()
    crowded = sum(len(str(value)) + 2 for value in values) > 36
    axes.set_xticks(
        [places[value] for value in values], list(map(str, values)), rotation=90 if crowded else 0
    )
    axes.set_xlabel(along, parse_math=False)
    axes.grid(alpha=0.25)


def _from_zero(axes: "Axes") -> None:
    """Times and sizes over several powers of ten by their logarithm, others from zero."""
    low, high = axes.dataLim.intervaly
    if low > 0 and high > 30 * low:
        axes.set_yscale("log")
    else:
        axes.set_ylim(0, high * 1.08)


def _lines(cells: Cells, along: str) -> dict[str, list[Run]]:
    lines: dict[str, list[Run]] = {}
    for runs in cells.values():
        for run in runs:
            others = describe({name: value for name, value in run.values.items() if name != along})
            lines.setdefault(others, []).append(run)
    return lines


def _places(values: Sequence[Any]) -> dict[Any, float]:
    """Numbers where they are, words side by side."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return {value: float(value) if numbers else float(index) for index, value in enumerate(values)}


def _colours(count: int) -> list[Any]:
    """From dark to light along the row of cells; well apart where they are few."""
    from matplotlib import colormaps

    if count == 1:
        return ["#1f77b4"]
    return [colormaps["viridis"](0.92 * index / (count - 1)) for index in range(count)]

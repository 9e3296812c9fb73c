"""The pictures of a sweep: all its curves, and accuracy, time and parameters by the varied value."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from search.formatting import describe, rank
from search.plotting.axes import are_numbers, in_percent, positions, ring, whole_numbers
from search.plotting.fonts import with_any_letters

if TYPE_CHECKING:
    from matplotlib.axes import Axes


# With more names a legend would outgrow its picture.
MOST_NAMED = 40
# Where the quotients of neighbours differ by less than this factor, values are taken for a geometric row.
GEOMETRIC = 1.2


class DrawnRun(Protocol):
    """What these drawings need of a finished run of a sweep."""

    @property
    def values(self) -> Mapping[str, Any]:
        """The varied parameters."""

    @property
    def history(self) -> Mapping[str, Sequence[float]]:
        """``accuracy`` and ``val_accuracy``, one entry an epoch."""

    @property
    def accuracy(self) -> float:
        """The validation accuracy of its kept weights."""

    @property
    def kept_epoch(self) -> int:
        """The epoch, from 1, whose weights were kept."""

    @property
    def seconds(self) -> float:
        """The time of its training."""

    @property
    def parameters(self) -> int:
        """The number of parameters of its net."""


Cells = Mapping[str, Sequence[DrawnRun]]


@with_any_letters
def write_sweep_curves(path: Path, cells: Cells, title: str) -> None:
    """Write ``sweep_curves.png``: training and validation accuracy by epoch, a colour a cell, a line a run.

    Args:
        path: The picture's file.
        cells: The finished runs of each cell, by the cell's name.
        title: Above the picture.
    """
    from matplotlib.figure import Figure

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
        whole_numbers(axes)
        in_percent(axes.yaxis)
        axes.grid(alpha=0.25)
    if len(cells) <= MOST_NAMED:
        handles, names = panels[1].get_legend_handles_labels()
        columns = 1 + (len(cells) - 1) // 20
        figure.legend(handles, names, loc="outside right center", fontsize=9, ncols=columns)
    figure.suptitle(
        f"{title}: accuracy by epoch; circles mark the epoch of each run whose weights are kept", fontsize=12
    )
    figure.savefig(path)


@with_any_letters
def write_sweep_values(path: Path, cells: Cells, varied: Sequence[str], title: str, of: str = "") -> None:
    """Write ``sweep.png``: validation accuracy (runs, mean and spread), time and parameters by the varied value.

    The parameter with the most values runs along the axis. Every combination of the others has a line of its own.

    Args:
        path: The picture's file.
        cells: The finished runs of each cell, by the cell's name.
        varied: The varied parameters.
        title: Above the picture.
        of: What the parameters are of, where not of the whole net: ``of the head``.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter, StrMethodFormatter

    runs = [run for of_cell in cells.values() for run in of_cell]
    along = max(varied, key=lambda name: len({run.values[name] for run in runs}))
    values = list(
        dict.fromkeys(run.values[along] for run in sorted(runs, key=lambda run: rank(run.values[along])))
    )
    places = positions(values)
    quantities: list[tuple[str, Callable[[DrawnRun], float]]] = [
        ("validation accuracy", lambda run: run.accuracy),
        ("seconds of training a run", lambda run: run.seconds),
    ]
    same, size = len({run.parameters for run in runs}) == 1, f"parameters {of}".strip()
    if not same:  # Else a panel of it would show nothing.
        quantities.append((size, lambda run: run.parameters))
    figure = Figure(figsize=(10 if same else 14, 4.8), dpi=130, layout="constrained")
    panels = figure.subplots(1, len(quantities), width_ratios=(1.4, *[1] * (len(quantities) - 1)))
    lines = _lines(cells, along)
    for axes, (name, value_of) in zip(panels, quantities, strict=True):
        for colour, (others, of_line) in zip(_colours(len(lines)), lines.items(), strict=True):
            _line(axes, of_line, places, along, value_of, colour, others)
        _name_axis(axes, along, values, places)
        axes.set_title(name, fontsize=11)
    in_percent(panels[0].yaxis)
    formatters = (StrMethodFormatter("{x:,.12g}"), EngFormatter(sep=" "))
    for axes, formatter in zip(panels[1:], formatters, strict=False):
        _from_zero(axes)
        axes.yaxis.set_major_formatter(formatter)
    if len(lines) > 1 and len(lines) <= MOST_NAMED:
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", fontsize=9)
    repeated = any(len(of_cell) > 1 for of_cell in cells.values())
    bars = "bars reach from the worst to the best repeat" if repeated else "one run a cell"
    every = f"; {runs[0].parameters:,} {size} each" if same else ""
    figure.suptitle(f"{title}: by {along}; {bars}{every}", fontsize=12)
    figure.savefig(path)


def geometric(values: Sequence[Any]) -> bool:
    """Whether ascending ``values`` grow by about one factor, as 16, 32, 64 do."""
    if len(values) < 3 or not are_numbers(values) or min(values) <= 0:
        return False
    factors = [after / before for before, after in pairwise(values)]
    return bool(max(factors) / min(factors) < GEOMETRIC and values[-1] >= 4 * values[0])


def _curve(axes: "Axes", run: DrawnRun, key: str, colour: Any, name: str | None) -> None:
    values = run.history[key]
    axes.plot(range(1, len(values) + 1), values, color=colour, linewidth=1.8, label=name)
    ring(axes, run.kept_epoch, values[run.kept_epoch - 1], colour)


def _line(
    axes: "Axes",
    runs: Sequence[DrawnRun],
    places: Mapping[str, float],
    along: str,
    of: Callable[[DrawnRun], float],
    colour: Any,
    name: str,
) -> None:
    by_place: dict[float, list[float]] = {}
    for run in runs:
        by_place.setdefault(places[repr(run.values[along])], []).append(of(run))
    x = sorted(by_place)
    means = [sum(by_place[place]) / len(by_place[place]) for place in x]
    below = [mean - min(by_place[place]) for place, mean in zip(x, means, strict=True)]
    above = [max(by_place[place]) - mean for place, mean in zip(x, means, strict=True)]
    spread = [below, above] if any(above) else None
    axes.errorbar(
        x, means, yerr=spread, color=colour, marker="o", markersize=5, linewidth=2.0, capsize=4, label=name
    )
    if spread:
        points = [(place, value) for place in x for value in by_place[place]]
        axes.plot(*zip(*points, strict=True), ".", color=colour, markersize=5, alpha=0.5)


def _name_axis(axes: "Axes", along: str, values: Sequence[Any], places: Mapping[str, float]) -> None:
    if geometric(values):
        axes.set_xscale("log")
    axes.minorticks_off()
    crowded = sum(len(str(value)) + 2 for value in values) > 36
    axes.set_xticks(
        [places[repr(value)] for value in values], list(map(str, values)), rotation=90 if crowded else 0
    )
    axes.set_xlabel(along)
    axes.grid(alpha=0.25)


def _from_zero(axes: "Axes") -> None:
    """Show values that span more than a power of ten by their logarithm, others from zero."""
    low, high = axes.dataLim.intervaly
    if low > 0 and high > 30 * low:
        axes.set_yscale("log")
    else:
        axes.set_ylim(0, high * 1.08)


def _lines(cells: Cells, along: str) -> dict[str, list[DrawnRun]]:
    """The runs by the values of all varied parameters but the one along the axis."""
    lines: dict[str, list[DrawnRun]] = {}
    for runs in cells.values():
        for run in runs:
            others = describe({name: value for name, value in run.values.items() if name != along})
            lines.setdefault(others, []).append(run)
    return lines


def _colours(count: int) -> list[Any]:
    """So many colours, from dark to light along the row of cells, well apart where they are few."""
    from matplotlib import colormaps

    if count == 1:
        return ["#1f77b4"]
    return [colormaps["viridis"](0.92 * index / (count - 1)) for index in range(count)]

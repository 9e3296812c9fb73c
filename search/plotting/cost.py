"""Accuracy beside what it costs: each trial's value by its operations, its parameters and its measured time.

``cost.png`` shows all three side by side. The report draws each by itself, in the colours of its page. What does not
vary, or was not measured, has no drawing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from search.formatting import is_share, metric_words, si_units
from search.metrics.preference import Priced, front
from search.plotting.axes import in_percent, ring
from search.plotting.fonts import with_any_letters
from search.plotting.paths import plot_dots
from search.plotting.svg import COLOURS, as_svg, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes


# Those of the report in light (``search/templates/palette.css``).
OF_A_PICTURE = {"finished": "#0072b2", "pruned": "#858f99", "best": "#c2410c", "ink": "#1c2127"}
# Where the dearest net costs so many times as much as the cheapest, costs are drawn by their logarithm.
WIDE_RANGE = 4.0


@dataclass(frozen=True)
class CostAxis:
    """One kind of cost.

    Attributes:
        name: Of the drawing: ``operations``, ``parameters`` or ``milliseconds``.
        label: Under the axis.
        of: The cost of a net; None where it is not known.
        ticks: A cost in words.
    """

    name: str
    label: str
    of: Callable[[Priced], float | None]
    ticks: Callable[[float], str] = si_units


AXES = (
    CostAxis("operations", "operations an image", lambda net: net.flops, lambda cost: si_units(cost, "FLOP")),
    CostAxis("parameters", "parameters", lambda net: net.parameters),
    CostAxis(
        "milliseconds", "measured ms an image", lambda net: net.milliseconds, lambda cost: f"{cost:g} ms"
    ),
)


@dataclass(frozen=True)
class Marks:
    """Trials that are marked, by number, None for none; and what the costs are of.

    Attributes:
        default: The space's default configuration.
        exported: The exported one.
        of: What operations and time are of, where not of the whole net: ``of the head``.
        view: What follows operations where they are of one view of an image: ``, in one view``.
    """

    default: int | None = None
    exported: int | None = None
    of: str = ""
    view: str = ""

    def label(self, axis: CostAxis) -> str:
        """What stands under an axis."""
        of = "" if axis.name == "parameters" or not self.of else f", {self.of}"
        return f"{axis.label}{of}{self.view if axis.name == 'operations' else ''}"


def axes_that_vary(nets: Sequence[Priced]) -> list[CostAxis]:
    """The kinds of cost that are known of at least two nets and differ between them."""
    return [axis for axis in AXES if len({axis.of(net) for net in nets} - {None}) > 1]


def draw_cost(nets: Sequence[Priced], axis: CostAxis, marks: Marks, metric: str, label: str) -> str:
    """Draw the nets by one kind of cost, for a page.

    Args:
        nets: At least two.
        axis: The kind of cost.
        marks: Which of them are marked.
        metric: What their values are of.
        label: The drawing in words, for those who do not see it.
    """
    from matplotlib.figure import Figure

    with drawing():
        figure = Figure(figsize=(3.8, 3.1), dpi=72, layout="constrained")
        axes = figure.subplots()
        _plot(axes, nets, axis, marks, metric, COLOURS)
        axes.set_ylabel(f"validation {metric_words(metric)}")
        figure.legend(
            loc="outside upper left", ncols=2, columnspacing=1.0, fontsize=9, labelspacing=0.35, borderpad=0.0
        )
        return as_svg(figure, f"cost-{axis.name}", label)


@with_any_letters
def write_costs(path: Path, nets: Sequence[Priced], marks: Marks, metric: str, title: str) -> None:
    """Write ``cost.png``; call it where a kind of cost varies (``axes_that_vary``).

    Args:
        path: The picture's file.
        nets: At least two.
        marks: Which of them are marked.
        metric: What their values are of.
        title: Above the picture.
    """
    from matplotlib.figure import Figure

    shown = axes_that_vary(nets)
    picture = Figure(figsize=(max(6.0, 4.2 * len(shown)), 4.2), dpi=110, layout="constrained")
    panels = picture.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axes, axis in zip(panels, shown, strict=True):
        _plot(axes, nets, axis, marks, metric, OF_A_PICTURE)
        axes.grid(alpha=0.25)
    panels[0].set_ylabel(f"validation {metric_words(metric)}")
    picture.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=9)
    picture.suptitle(title, fontsize=12)
    picture.savefig(path)


def _plot(
    axes: "Axes",
    nets: Sequence[Priced],
    axis: CostAxis,
    marks: Marks,
    metric: str,
    colours: Mapping[str, str],
) -> None:
    costs = {net.number: cost for net in nets if (cost := axis.of(net)) is not None}
    known = [net for net in nets if net.number in costs]
    best = front(known, lambda net: costs[net.number], lower_is_better=metric == "loss")
    # Bars of all would lie on each other: the noise of the others is alike.
    marked = {net.number for net in best} | {marks.default, marks.exported}
    _plot_errors(axes, [net for net in known if net.error and net.number in marked], costs, colours)
    _plot_nets(axes, [(costs[net.number], net.value) for net in known], colours)
    axes.step(
        [costs[net.number] for net in best],
        [net.value for net in best],
        where="post",
        color=colours["best"],
        linewidth=2.0,
        zorder=2.2,
        label="worth its cost",
    )
    for net in known:
        if net.number == marks.default:
            axes.plot(
                [costs[net.number]],
                [net.value],
                "D",
                color=colours["ink"],
                markersize=6,
                zorder=2.4,
                linestyle="none",
                label="default",
            )
        if net.number == marks.exported:
            ring(axes, costs[net.number], net.value, colours["ink"], 11, "exported")
    _scale(axes, list(costs.values()), axis)
    axes.set_xlabel(marks.label(axis))
    if is_share(metric):
        in_percent(axes.yaxis)


def _plot_errors(
    axes: "Axes", nets: Sequence[Priced], costs: Mapping[int, float], colours: Mapping[str, str]
) -> None:
    if nets:
        axes.errorbar(
            [costs[net.number] for net in nets],
            [net.value for net in nets],
            yerr=[net.error or 0.0 for net in nets],
            fmt="none",
            ecolor=colours["pruned"],
            elinewidth=1,
            capsize=2.5,
            label="± one standard error",
        )


def _plot_nets(axes: "Axes", points: Sequence[tuple[float, float]], colours: Mapping[str, str]) -> None:
    """Plot a dot for each net: a page's drawing has few elements; a picture shows nothing of lines without length."""
    if colours is COLOURS:
        plot_dots(axes, points, colours["finished"], 6.5, 2.3, "trial")
        return
    x, y = zip(*points, strict=True)
    axes.plot(
        x, y, "o", color=colours["finished"], markersize=5.5, zorder=2.3, linestyle="none", label="trial"
    )


def _scale(axes: "Axes", costs: Sequence[float], axis: CostAxis) -> None:
    """Scale the axis of costs, few ticks on it, with their units."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    low, high = min(costs), max(costs)
    if low > 0 and high > WIDE_RANGE * low:
        axes.set_xscale("log")
        # Numbers of one power of ten or two: more would stand on each other.
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0) if high < 100 * low else (1.0,), numticks=6))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(0, 1.06 * high)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=3))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda cost, _: axis.ticks(cost)))

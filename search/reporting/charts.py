"""The drawings of a report: how the search went, learning curves, and the metric by each parameter."""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from search.reporting.svg import COLOURS, as_svg, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from search.reporting.study import Trial

WIDE, NARROW = (9.0, 3.6), (4.2, 2.8)
# With more points they are drawn smaller.
MANY = 200
# A drawing leaves out its outermost values where all would reach so many times as far as the inner ones.
FAR = 3.0
# Longest name of a value that fits under an axis.
LETTERS = 12


def draw_history(trials: "Sequence[Trial]", metric: str, minimize: bool, label: str) -> str:
    """Each trial's value by its number, and the best so far."""
    with drawing():
        figure, axes = _figure(WIDE)
        scored = [trial for trial in trials if trial.value is not None]
        finished = [trial for trial in scored if trial.state == "finished"]
        _points_of(axes, scored)
        if finished:
            values = [float(trial.value or 0.0) for trial in finished]
            best = list(accumulate(values, min if minimize else max))
            numbers = [trial.number for trial in finished]
            last = max(trial.number for trial in trials)
            axes.step(
                [*numbers, max(last, numbers[-1])],
                [*best, best[-1]],
                where="post",
                color=COLOURS["best"],
                linewidth=1.8,
                zorder=2.2,  # Above the pruned, below the finished.
                label="best so far",
            )
        failed = [trial.number for trial in trials if trial.state == "failed"]
        if failed:  # They have no value: along the bottom.
            axes.plot(
                failed,
                [0.02] * len(failed),
                "x",
                color=COLOURS["failed"],
                transform=axes.get_xaxis_transform(),
                markersize=6,
                label="failed",
            )
        _whole_numbers(axes)
        axes.set_xlabel("trial")
        axes.set_ylabel(f"validation {metric}")
        _focus(axes, [float(trial.value or 0.0) for trial in scored], [value.value for value in finished])
        _legend(figure, axes)
        return as_svg(figure, "history", label)


def draw_all_curves(trials: "Sequence[Trial]", best: int | None, metric: str, step: str, label: str) -> str:
    """What each trial reported, by ``step``: epoch or fold."""
    with drawing():
        figure, axes = _figure(WIDE)
        shown: set[str] = set()
        # The pruned below the finished, the best on top.
        for state, role, width, alpha in (("pruned", "pruned", 0.8, 0.6), ("finished", "finished", 0.9, 0.6)):
            lines = [trial for trial in trials if trial.state == state and trial.reports]
            if lines:
                _curves(axes, lines, COLOURS[role], width, alpha, state)
                shown.add(state)
        chosen = [trial for trial in trials if trial.number == best and trial.reports]
        if chosen:
            _curves(axes, chosen, COLOURS["best"], 2.4, 1.0, f"trial {best}, the best")
        axes.autoscale_view()
        _whole_numbers(axes)
        axes.set_xlabel(step)
        axes.set_ylabel(f"validation {metric}")
        values = [value for trial in trials for value in trial.reports.values()]
        _focus(axes, values, [trial.value for trial in trials if trial.state == "finished"])
        _legend(figure, axes)
        return as_svg(figure, "curves", label)


def draw_training(history: Mapping[str, Sequence[float]], quantity: str, kept: int, label: str) -> str:
    """One quantity of one training by epoch, on training and on validation images; the kept epoch is marked."""
    with drawing():
        figure, axes = _figure(NARROW)
        for name, key in (("training", quantity), ("validation", f"val_{quantity}")):
            values = [math.nan if value is None else value for value in history.get(key) or []]
            dashes = "--" if name == "training" else "-"
            if values:
                epochs = range(1, len(values) + 1)
                axes.plot(epochs, values, dashes, color=COLOURS[name], linewidth=2, label=name)
                if len(values) == 1:
                    axes.plot(epochs, values, "o", color=COLOURS[name])
        axes.axvline(kept, color=COLOURS["ink"], linestyle=":", linewidth=1, label=f"kept: epoch {kept}")
        _whole_numbers(axes)
        axes.set_xlabel("epoch")
        axes.set_ylabel(quantity)
        _legend(figure, axes)
        return as_svg(figure, f"training-{quantity}", label)


def draw_slice(trials: "Sequence[Trial]", name: str, log: bool, metric: str, place: int, label: str) -> str:
    """The metric of each trial by its value of one parameter."""
    with drawing():
        figure, axes = _figure(NARROW)
        chosen = [trial for trial in trials if name in trial.params and trial.value is not None]
        values = [trial.params[name] for trial in chosen]
        places = _places(values)
        _points_of(axes, chosen, [places[_key(value)] for value in values])
        if not _numbers(values):
            names = {places[_key(value)]: str(value) for value in values}
            shown = [text if len(text) <= LETTERS else text[: LETTERS - 1] + "…" for text in names.values()]
            axes.set_xticks(list(names), shown, rotation=90 if sum(map(len, shown)) > 40 else 0)
            axes.set_xlim(-0.5, len(names) - 0.5)
        elif log and min(values) > 0:
            axes.set_xscale("log")
            _plain_numbers(axes)
        elif all(isinstance(value, int) for value in values):
            _whole_numbers(axes)
        axes.set_title(name, fontsize=11)
        axes.set_ylabel(metric)
        finished = [trial.value for trial in chosen if trial.state == "finished"]
        _focus(axes, [float(trial.value or 0.0) for trial in chosen], finished)
        return as_svg(figure, f"slice-{place}", label)


def _figure(size: tuple[float, float]) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=72, layout="constrained")
    return figure, figure.subplots()


def _points_of(axes: "Axes", trials: "Sequence[Trial]", places: Sequence[float] | None = None) -> None:
    """Pruned trials small and pale, finished ones in full; by their number where no place is given."""
    at = places if places is not None else [float(trial.number) for trial in trials]
    smaller = 0.65 if len(trials) > MANY else 1.0
    for above, (state, size) in enumerate((("pruned", 4.0 * smaller), ("finished", 6.0 * smaller))):
        points = [
            (x, float(trial.value or 0.0))
            for x, trial in zip(at, trials, strict=True)
            if trial.state == state
        ]
        if points:
            _dots(axes, points, COLOURS[state], size, 2.1 + 0.2 * above, state)


def _dots(
    axes: "Axes", points: Sequence[tuple[float, float]], colour: str, size: float, above: float, label: str
) -> None:
    """Many dots as one path of lines without length: a thousand elements of their own would be ten times the file."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    vertices = [point for pair in points for point in (pair, pair)]
    path = Path(vertices, [Path.MOVETO, Path.LINETO] * len(points))
    path.should_simplify = False
    axes.add_patch(
        PathPatch(path, facecolor="none", edgecolor=colour, linewidth=size, capstyle="round", zorder=above)
    )
    axes.add_line(Line2D([], [], color=colour, marker="o", markersize=size, linestyle="none", label=label))
    axes.update_datalim(points)
    axes.autoscale_view()


def _curves(
    axes: "Axes", trials: "Sequence[Trial]", colour: str, width: float, alpha: float, label: str
) -> None:
    """Many curves as one path."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    vertices, codes = [], []
    for trial in trials:
        points = sorted(trial.reports.items())
        points = points if len(points) > 1 else [*points, *points]
        vertices += points
        codes += [Path.MOVETO, *[Path.LINETO] * (len(points) - 1)]
    path = Path(vertices, codes)
    path.should_simplify = False
    look: dict[str, Any] = {"linewidth": width, "alpha": alpha}
    axes.add_patch(
        PathPatch(path, facecolor="none", edgecolor=colour, capstyle="round", joinstyle="round", **look)
    )
    axes.add_line(Line2D([], [], color=colour, linewidth=max(width, 1.5), label=label))
    axes.update_datalim(vertices)


def _focus(axes: "Axes", values: Sequence[float], finished: Sequence[float | None]) -> None:
    """Show where the finished trials lie; a few values far below them would press all others together."""
    known = sorted(value for value in values if math.isfinite(value))
    if len(known) < 20:
        return
    sure = [value for value in finished if value is not None and math.isfinite(value)]
    low = min([known[len(known) // 20], *sure])
    high = max([known[-1 - len(known) // 20], *sure])
    if 0 < FAR * (high - low) < known[-1] - known[0]:
        room = 0.06 * (high - low)
        bottom, top = axes.get_ylim()
        axes.set_ylim(max(bottom, low - room), min(top, high + room))


def _whole_numbers(axes: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))


def _plain_numbers(axes: "Axes") -> None:
    """0.001 and 30 instead of powers of ten: on so small a drawing they are read at once."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _legend(figure: "Figure", axes: "Axes") -> None:
    handles, names = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, names, loc="outside upper left", ncols=len(handles), columnspacing=1.2)


def _numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _places(values: Sequence[Any]) -> dict[str, float]:
    """Numbers where they are, all else side by side."""
    if _numbers(values):
        return {_key(value): float(value) for value in values}
    return {key: float(place) for place, key in enumerate(sorted({_key(value) for value in values}))}


def _key(value: Any) -> str:
    return repr(value)

"""The drawings of a report, as SVG: the course of the search, learning curves, and the metric by each parameter."""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Protocol

from search.formatting import EPOCH, axis_of, is_share, shorten
from search.plotting.axes import are_numbers, in_percent, positions, whole_numbers
from search.plotting.curves import History, plot_history
from search.plotting.paths import plot_curves, plot_dots
from search.plotting.svg import COLOURS, as_svg, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# In inches.
WIDE, NARROW = (9.0, 3.6), (4.2, 2.8)
# More points than this are drawn smaller; so few curves do not hide each other and are drawn stronger.
MANY, FEW = 200, 30
# A drawing leaves out its outermost values where all would reach so many times as far as the inner ones.
FAR = 3.0
# Letters of a value that fit under an axis.
LETTERS = 12


class DrawnTrial(Protocol):
    """What these drawings need of a trial."""

    @property
    def number(self) -> int:
        """Its number."""

    @property
    def state(self) -> str:
        """``finished``, ``pruned``, ``failed`` or another."""

    @property
    def value(self) -> float | None:
        """What it scored, or reported last."""

    @property
    def params(self) -> Mapping[str, Any]:
        """Its sampled parameters."""

    @property
    def reports(self) -> Mapping[int, float]:
        """The metric on validation images by epoch, or by fold."""


def draw_history(trials: Sequence[DrawnTrial], metric: str, minimize: bool, label: str) -> str:
    """Draw each trial's value by its number, and the best value so far.

    Args:
        trials: In order of number.
        metric: What the values are of.
        minimize: Whether less is better.
        label: The drawing in words, for those who do not see it.
    """
    with drawing():
        figure, axes = _figure(WIDE)
        scored = [trial for trial in trials if trial.value is not None]
        finished = [trial for trial in scored if trial.state == "finished"]
        _plot_trials(axes, scored, [float(trial.number) for trial in scored])
        if finished:
            best = list(accumulate((_value(trial) for trial in finished), min if minimize else max))
            numbers = [trial.number for trial in finished]
            last = max(trial.number for trial in trials)
            axes.step(
                [*numbers, max(last, numbers[-1])],
                [*best, best[-1]],
                where="post",
                color=COLOURS["best"],
                linewidth=2.2,
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
        whole_numbers(axes)
        axes.set_xlabel("trial")
        _name_metric(axes, metric, f"validation {metric}")
        _focus(axes, [_value(trial) for trial in scored], finished)
        _legend(figure, axes)
        return as_svg(figure, "history", label)


def draw_all_curves(
    trials: Sequence[DrawnTrial], best: int | None, metric: str, step: str, label: str
) -> str:
    """Draw what each trial reported.

    Args:
        trials: All of them.
        best: Number of the trial that is drawn on top.
        metric: What the reports are of.
        step: What a report is made after: ``epoch``, ``eighth`` or ``fold``.
        label: The drawing in words.
    """
    with drawing():
        figure, axes = _figure(WIDE)
        reported = [trial for trial in trials if trial.reports]
        groups = (  # The pruned below the finished, the best on top.
            ([t for t in reported if t.state == "pruned"], "pruned", 0.8, 0.6, "pruned"),
            (
                [t for t in reported if t.state == "finished" and t.number != best],
                "finished",
                0.9,
                0.6,
                "finished",
            ),
            ([t for t in reported if t.number == best], "best", 2.4, 1.0, f"trial {best}, the best"),
        )
        for group, role, width, alpha, name in groups:
            if group:
                curves = [sorted(trial.reports.items()) for trial in group]
                strength = 1.8 if len(reported) <= FEW and role != "best" else 1.0
                plot_curves(axes, curves, COLOURS[role], strength * width, min(1.0, strength * alpha), name)
        axes.autoscale_view()
        whole_numbers(axes)
        axes.set_xlabel(axis_of(step))
        _name_metric(axes, metric, f"validation {metric}")
        values = [value for trial in trials for value in trial.reports.values()]
        _focus(axes, values, [trial for trial in trials if trial.state == "finished"])
        _legend(figure, axes)
        return as_svg(figure, "curves", label)


def draw_training(history: History, quantity: str, kept: int, label: str, unit: str = EPOCH) -> str:
    """Draw one quantity of one training by epoch; see ``search.plotting.curves.plot_history``."""
    with drawing():
        figure, axes = _figure(NARROW)
        plot_history(axes, history, quantity, kept, COLOURS, unit)
        _legend(figure, axes)
        return as_svg(figure, f"training-{quantity}", label)


def draw_slice(
    trials: Sequence[DrawnTrial], name: str, log: bool, metric: str, place: int, label: str
) -> str:
    """Draw the metric of each trial by its value of one parameter.

    Args:
        trials: All of them.
        name: The parameter.
        log: Whether it is sampled by its logarithm.
        metric: What the trials' values are of.
        place: Of this drawing among the slices of its page.
        label: The drawing in words.
    """
    with drawing():
        figure, axes = _figure(NARROW)
        chosen = [trial for trial in trials if name in trial.params and trial.value is not None]
        values = [trial.params[name] for trial in chosen]
        numeric = are_numbers(values)
        at = positions(values if numeric else sorted(values, key=repr))
        _plot_trials(axes, chosen, [at[repr(value)] for value in values])
        if not numeric:
            names = {at[repr(value)]: shorten(str(value), LETTERS) for value in values}
            crowded = sum(map(len, names.values())) > 40
            axes.set_xticks(list(names), list(names.values()), rotation=90 if crowded else 0)
            axes.set_xlim(-0.5, len(names) - 0.5)
        elif log and min(values) > 0:
            axes.set_xscale("log")
            _plain_numbers(axes)
        elif all(isinstance(value, int) for value in values):
            whole_numbers(axes)
        axes.set_title(name, fontsize=11)
        _name_metric(axes, metric, f"validation {metric}")
        finished = [trial for trial in chosen if trial.state == "finished"]
        _focus(axes, [_value(trial) for trial in chosen], finished)
        return as_svg(figure, f"slice-{place}", label)


def _figure(size: tuple[float, float]) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=72, layout="constrained")
    return figure, figure.subplots()


def _name_metric(axes: "Axes", metric: str, words: str) -> None:
    axes.set_ylabel(words)
    if is_share(metric):
        in_percent(axes.yaxis)


def _value(trial: DrawnTrial) -> float:
    return float(trial.value or 0.0)


def _plot_trials(axes: "Axes", trials: Sequence[DrawnTrial], x: Sequence[float]) -> None:
    """Plot trials with a value: pruned ones small and pale, finished ones in full above them."""
    scale = 0.65 if len(trials) > MANY else 1.0
    for state, size, zorder in (("pruned", 4.0, 2.1), ("finished", 6.0, 2.3)):
        points = [(at, _value(trial)) for at, trial in zip(x, trials, strict=True) if trial.state == state]
        if points:
            plot_dots(axes, points, COLOURS[state], size * scale, zorder, state)


def _focus(axes: "Axes", values: Sequence[float], finished: Sequence[DrawnTrial]) -> None:
    """Show where the finished trials lie; a few values far below them would press all others together."""
    known = sorted(value for value in values if math.isfinite(value))
    if len(known) < 20:
        return
    kept = [trial.value for trial in finished if trial.value is not None and math.isfinite(trial.value)]
    low = min([known[len(known) // 20], *kept])
    high = max([known[-1 - len(known) // 20], *kept])
    if 0 < FAR * (high - low) < known[-1] - known[0]:
        margin = 0.06 * (high - low)
        bottom, top = axes.get_ylim()
        axes.set_ylim(max(bottom, low - margin), min(top, high + margin))


def _plain_numbers(axes: "Axes") -> None:
    """Write 0.001 and 30 instead of powers of ten: on so small a drawing they are read at once."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0) if high > 30 * low else (1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _legend(figure: "Figure", axes: "Axes") -> None:
    handles, names = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, names, loc="outside upper left", ncols=len(handles), columnspacing=1.2)

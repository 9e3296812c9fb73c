"""The picture of a race: each configuration's values over the seeds, their mean, and its value in the search."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from search.formatting import is_share
from search.plotting.axes import in_percent, ring
from search.plotting.fonts import with_any_letters

if TYPE_CHECKING:
    from matplotlib.axes import Axes


# What configurations stand apart from each other, as a part of the distance of two seeds.
APART = 0.09
EXPORTED = "#222222"
COLOURS = ("#1f77b4", "#d95f02", "#1b7837", "#7b3294")


class RacerLine(NamedTuple):
    """One configuration of a race, as it is drawn.

    Attributes:
        label: Its name and figures, for the legend.
        in_search: Its value in the search, for which it was selected; None where there is none.
        values: One a seed; NaN where the training diverged.
        mean: The mean of ``values``; None where there is none.
        deviation: The standard deviation of ``values``; None of fewer than two.
        dropped: Whether it dropped out before the end.
    """

    label: str
    in_search: float | None
    values: Sequence[float]
    mean: float | None
    deviation: float | None
    dropped: bool


@with_any_letters
def write_race(
    path: Path, racers: Sequence[RacerLine], seeds: Sequence[int], metric: str, title: str, ringed: int | None
) -> None:
    """Write ``confirm.png``: a line for each configuration, from seed to seed.

    Args:
        path: The picture's file.
        racers: In the order of the search, best first.
        seeds: One a round.
        metric: What the values are of.
        title: Above the picture.
        ringed: Index of the racer whose weights of the first seed are exported; None where others are.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.8), dpi=130, layout="constrained")
    axes = figure.subplots()
    rounds, count = len(seeds), len(racers)
    for index, racer in enumerate(racers):
        # Side by side, because in the search the best are often equal.
        shift = APART * (index - (count - 1) / 2)
        _draw_racer(axes, racer, COLOURS[index % len(COLOURS)], rounds, shift)
    if ringed is not None:
        ring(axes, 1, racers[ringed].values[0], EXPORTED, 13)
    for place in (0.5, rounds + 0.5):
        axes.axvline(place, color="#bbbbbb", linewidth=1)
    places = range(1, rounds + 1)
    names = ["in the search\n(selected)", *(f"seed\n{seed}" for seed in seeds), "mean, standard\ndeviation"]
    axes.set_xticks([0, *places, rounds + 1], names)
    axes.set_xlim(-0.5, rounds + 1.5)
    axes.set_ylabel(f"validation {metric}")
    if is_share(metric):
        in_percent(axes.yaxis)
    axes.grid(alpha=0.25, axis="y")
    figure.legend(loc="outside lower center", fontsize=9, ncols=2)
    axes.set_title(title, fontsize=12)
    figure.savefig(path)


def _draw_racer(axes: "Axes", racer: RacerLine, colour: str, rounds: int, shift: float) -> None:
    """Draw a configuration: its value in the search, those of the seeds joined by a line, and their mean."""
    line = "--" if racer.dropped else "-"
    axes.plot(
        range(1, len(racer.values) + 1),
        racer.values,
        line,
        color=colour,
        linewidth=2.2,
        marker="o",
        markersize=6,
        label=racer.label,
    )
    if racer.in_search is not None:
        ring(axes, shift, racer.in_search, colour)
    if racer.mean is not None:
        axes.errorbar(
            [rounds + 1 + shift],
            [racer.mean],
            yerr=racer.deviation,
            color=colour,
            marker="D",
            markersize=7,
            capsize=5,
        )

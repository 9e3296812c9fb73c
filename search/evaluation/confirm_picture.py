"""``confirm.png``: each configuration's values over the seeds of the race, with its mean and the search's own value."""

from pathlib import Path
from typing import TYPE_CHECKING

from search.evaluation.racers import Race, Racer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDE, EXPORTED = 0.09, "#222222"
COLOURS = ("#1f77b4", "#d95f02", "#1b7837", "#7b3294")


def write_race(path: Path, race: Race, refit: bool) -> None:
    """A line a configuration, from seed to seed.

    Args:
        path: The picture's file.
        race: Over.
        refit: Whether the winner was trained once more for the export; else the exported weights are marked.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.8), dpi=130, layout="constrained")
    axes = figure.subplots()
    rounds, count = len(race.seeds), len(race.racers)
    for index, racer in enumerate(race.racers):
        # Side by side: in the search the best are often equal.
        aside = SIDE * (index - (count - 1) / 2)
        draw(axes, racer, COLOURS[index % len(COLOURS)], rounds, aside, label(race, racer, refit))
    if not refit:
        axes.plot([1], race.winner.values[:1], "o", color=EXPORTED, markersize=13, mfc="none", mew=1.5)
    for place in (0.5, rounds + 0.5):
        axes.axvline(place, color="#bbbbbb", linewidth=1)
    places = range(1, rounds + 1)
    seeds = [f"seed\n{seed}" for seed in race.seeds]
    names = ["in the search\n(selected)", *seeds, "mean, standard\ndeviation"]
    axes.set_xticks([0, *places, rounds + 1], names)
    axes.set_xlim(-0.5, rounds + 1.5)
    axes.set_ylabel(f"validation {race.config.metric}")
    axes.grid(alpha=0.25, axis="y")
    figure.legend(loc="outside lower center", fontsize=9, ncols=2)
    title = f"{race.config.study}: the best trained anew, with the same seeds"
    axes.set_title(title, fontsize=12, parse_math=False)
    figure.savefig(path)


def draw(axes: "Axes", racer: Racer, colour: str, rounds: int, aside: float, name: str) -> None:
    """One configuration: what the search saw, the seeds joined by a line, and the mean of those."""
    line = "--" if racer.dropped else "-"
    values = [float("nan") if run.value is None else run.value for run in racer.runs]
    axes.plot(range(1, len(values) + 1), values, line, color=colour, marker="o", markersize=5, label=name)
    if racer.trial.value is not None:
        axes.plot([aside], [racer.trial.value], "o", color=colour, markersize=8, mfc="none", mew=1.8)
    if racer.mean is not None:
        axes.errorbar(
            [rounds + 1 + aside],
            [racer.mean],
            yerr=racer.deviation,
            color=colour,
            marker="D",
            markersize=7,
            capsize=5,
        )


def label(race: Race, racer: Racer, refit: bool) -> str:
    """Its name and figures, for the legend."""
    text = f"trial {racer.trial.number}"
    if racer.mean is not None:
        text += f": mean {racer.mean:.4f}"
    if racer.deviation is not None:
        text += f" ± {racer.deviation:.4f}"
    if racer is race.winner:
        return f"{text}, the winner" if refit else f"{text}, exported (ringed)"
    return f"{text}, dropped out after round {len(racer.runs)}" if racer.dropped else text

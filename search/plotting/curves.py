"""Learning curves: loss and accuracy by epoch, on training and on validation images; the kept epoch is marked.

``curves.png`` shows both side by side. The report draws each by itself, in the colours of its page.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from search.formatting import EPOCH, axis_of, figure, is_share
from search.plotting.axes import in_percent, ring, whole_numbers
from search.plotting.fonts import with_any_letters

if TYPE_CHECKING:
    from matplotlib.axes import Axes


History = Mapping[str, Sequence[float]]
# Those of the report in light (``search/templates/palette.css``).
COLOURS = {"training": "#8a6d00", "validation": "#0072b2", "ink": "#545d68"}
# Up to so many epochs each is a dot of its own.
FEW_EPOCHS = 30


@with_any_letters
def write_curves(
    path: Path, history: History, kept: int, title: str, dpi: int = 130, unit: str = EPOCH
) -> None:
    """Write ``curves.png``; the validation lists may be empty, as they are after a refit.

    Args:
        path: The picture's file.
        history: One entry an epoch under ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy``.
        kept: The epoch, from 1, whose weights are kept.
        title: Above both panels.
        dpi: Dots an inch; the picture is 11 inches wide.
        unit: What an entry of the history stands for.
    """
    from matplotlib.figure import Figure

    picture = Figure(figsize=(11, 4.4), dpi=dpi, layout="constrained")
    for axes, quantity in zip(picture.subplots(1, 2), ("loss", "accuracy"), strict=True):
        plot_history(axes, history, quantity, kept, COLOURS, unit)
        axes.set_title(describe_history(history, quantity, kept, unit).replace("; ", "\n"), fontsize=9)
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8)
    picture.suptitle(title, fontsize=12)
    picture.savefig(path)


def plot_history(
    axes: "Axes",
    history: History,
    quantity: str,
    kept: int,
    colours: Mapping[str, str],
    unit: str = EPOCH,
) -> None:
    """Plot one quantity by epoch; a training of one epoch has no curve, but a point with its figure beside it.

    Args:
        axes: Where to.
        history: See ``write_curves``; None stands for an epoch without a value.
        quantity: ``loss`` or ``accuracy``.
        kept: The epoch, from 1, whose weights are kept.
        colours: Of ``training``, ``validation`` and ``ink``.
        unit: What an entry of the history stands for.
    """
    alone = len(history["loss"]) == 1
    for name, values in _curves(history, quantity):
        line, colour = "--" if name == "training" else "-", colours[name]
        marker = "o" if len(values) <= FEW_EPOCHS else None
        epochs = range(1, len(values) + 1)
        axes.plot(
            epochs, values, line, color=colour, linewidth=2.2, marker=marker, markersize=4.5, label=name
        )
        if kept <= len(values):
            ring(axes, kept, values[kept - 1], colour)
        if alone:
            _write_figure(axes, quantity, values[0], left=name == "training")
    axes.axvline(
        kept, color=colours["ink"], linestyle=":", linewidth=1, zorder=0, label=f"kept: {unit} {kept}"
    )
    axes.set_xlim(0.5, len(history["loss"]) + 0.5)
    axes.set_xlabel(axis_of(unit))
    axes.set_ylabel(quantity)
    if is_share(quantity):
        in_percent(axes.yaxis)
    whole_numbers(axes)
    if alone:
        axes.margins(y=0.4)
        if is_share(quantity):
            axes.set_ylim(top=min(axes.get_ylim()[1], 1.0 + 0.02))


def _write_figure(axes: "Axes", quantity: str, value: float, *, left: bool) -> None:
    """Write a point's value beside it: those of training and of validation on sides of their own."""
    axes.annotate(
        figure(quantity, value),
        (1, value),
        (-10 if left else 10, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center",
    )


def describe_history(history: History, quantity: str, kept: int, unit: str = EPOCH) -> str:
    """The same in words: ``training 1.8012 in epoch 1, 0.3012 in epoch 9; validation ...``; empty without values."""
    return "; ".join(
        ", ".join(
            [
                f"{name} {figure(quantity, values[0])} in {unit} 1",
                *([f"{figure(quantity, values[kept - 1])} in {unit} {kept}"] if kept > 1 else []),
            ]
        )
        for name, values in _curves(history, quantity)
        if kept <= len(values)
    )


def _curves(history: History, quantity: str) -> list[tuple[str, list[float]]]:
    """The curves that there are, by name."""
    named = (("training", quantity), ("validation", f"val_{quantity}"))
    curves = ((name, [math.nan if v is None else v for v in history.get(key) or []]) for name, key in named)
    return [(name, values) for name, values in curves if values]

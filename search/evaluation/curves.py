"""``curves.png``: loss and accuracy by epoch, training and validation; the kept epoch is marked."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

History = Mapping[str, Sequence[float]]
TRAINING, VALIDATION = "#1f77b4", "#d95f02"


def write_curves(path: Path, history: History, kept: int, title: str, dpi: int = 130) -> None:
    """Two panels, loss and accuracy; the validation lists may be empty, as they are after a refit.

    Args:
        path: The picture's file.
        history: One entry an epoch under ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy``.
        kept: The epoch, from 1, whose weights are exported.
        title: Above both panels.
        dpi: Dots an inch, of 11 inches.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.4), dpi=dpi, layout="constrained")
    left, right = figure.subplots(1, 2)
    draw(left, history, "loss", kept)
    draw(right, history, "accuracy", kept)
    figure.suptitle(title, fontsize=12, parse_math=False)
    figure.savefig(path)


def draw(axes: "Axes", history: History, quantity: str, kept: int) -> None:
    """One panel."""
    from matplotlib.ticker import MaxNLocator

    for name, key, colour in (
        ("training", quantity, TRAINING),
        ("validation", f"val_{quantity}", VALIDATION),
    ):
        values = list(history.get(key) or [])
        if not values:
            continue
        marker = "o" if len(values) <= 30 else None
        label = f"{name}: {values[kept - 1]:.4f} at epoch {kept}"
        axes.plot(range(1, len(values) + 1), values, color=colour, marker=marker, markersize=3.5, label=label)
        axes.plot([kept], [values[kept - 1]], "o", color=colour, markersize=9, mfc="none", mew=2)
    axes.axvline(
        kept, color="#777777", linestyle="--", linewidth=1, zorder=0, label=f"weights kept: epoch {kept}"
    )
    axes.set_xlim(0.5, len(history["loss"]) + 0.5)
    axes.set_xlabel("epoch")
    axes.set_ylabel(quantity)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)

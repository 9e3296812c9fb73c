"""What several drawings do to their axes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis


def whole_numbers(axes: "Axes") -> None:
    """Put ticks at whole numbers alone, as epochs and trials are counted; one is enough where there is one."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))


def in_percent(axis: "Axis") -> None:
    """Write shares as people read them elsewhere, too: 86 % for 0.86; what is above all of them has no number."""
    axis.set_major_formatter(lambda value, _: f"{100 * value:.10g} %" if value < 1 + 1e-9 else "")


def ring(axes: "Axes", x: float, y: float, colour: Any, size: float = 8.0, label: str | None = None) -> None:
    """Draw a circle around a point, to mark it among its like; ``label`` names it in a legend."""
    axes.plot(
        [x],
        [y],
        "o",
        color=colour,
        markersize=size,
        mfc="none",
        mew=1.8,
        linestyle="none",
        label=label,
        clip_on=False,  # Whole at the edge, too.
    )


def are_numbers(values: Sequence[Any]) -> bool:
    """Whether all values are numbers; yes and no are none."""
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def positions(values: Sequence[Any]) -> dict[str, float]:
    """Where values stand along an axis, by their ``repr``: numbers at themselves, others side by side as they come."""
    if are_numbers(values):
        return {repr(value): float(value) for value in values}
    return {key: float(place) for place, key in enumerate(dict.fromkeys(map(repr, values)))}

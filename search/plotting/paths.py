"""Many dots or curves as one path, because a thousand elements of their own would make a file ten times as large."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = tuple[float, float]
# In points: the size of a curve's only point.
DOT = 5.0


def plot_dots(
    axes: "Axes", points: Sequence[Point], colour: str, size: float, zorder: float, label: str
) -> None:
    """Plot dots, as lines without length that have round ends.

    Args:
        axes: Where to.
        points: Where the dots are.
        colour: Of all of them.
        size: Of a dot, in points.
        zorder: What is drawn with a lower one lies below.
        label: For the legend.
    """
    from matplotlib.lines import Line2D

    vertices = [point for pair in points for point in (pair, pair)]
    _add_path(axes, vertices, [2] * len(points), colour, linewidth=size, zorder=zorder)
    axes.add_line(Line2D([], [], color=colour, marker="o", markersize=size, linestyle="none", label=label))
    axes.autoscale_view()


def plot_curves(
    axes: "Axes", curves: Sequence[Sequence[Point]], colour: str, width: float, alpha: float, label: str
) -> None:
    """Plot curves; one of a single point is a dot that can be seen.

    Args:
        axes: Where to.
        curves: The points of each, in order.
        colour: Of all of them.
        width: Of a line, in points.
        alpha: Opacity, 0 to 1.
        label: For the legend.
    """
    from matplotlib.lines import Line2D

    lines = [curve for curve in curves if len(curve) > 1]
    points = [[*curve, *curve] for curve in curves if len(curve) == 1]  # As in ``plot_dots``.
    for drawn, size in ((lines, width), (points, max(DOT, width))):
        if drawn:
            vertices = [point for curve in drawn for point in curve]
            _add_path(axes, vertices, [len(curve) for curve in drawn], colour, linewidth=size, alpha=alpha)
    axes.add_line(Line2D([], [], color=colour, linewidth=max(width, 1.5), label=label))


def _add_path(
    axes: "Axes", vertices: Sequence[Point], lengths: Sequence[int], colour: str, **style: Any
) -> None:
    """Add one path of several lines, of so many vertices each."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    codes = [code for length in lengths for code in (Path.MOVETO, *[Path.LINETO] * (length - 1))]
    path = Path(vertices, codes)
    path.should_simplify = False
    axes.add_patch(
        PathPatch(path, facecolor="none", edgecolor=colour, capstyle="round", joinstyle="round", **style)
    )
    axes.update_datalim(vertices)

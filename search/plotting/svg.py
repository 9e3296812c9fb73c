"""Matplotlib's drawings as parts of an HTML page.

A drawing takes the page's colours and letters, so that it follows light and dark. No two drawings share an id.
"""

import html
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# Matplotlib draws with these colours, which nothing else has; each becomes a variable of the page's style sheet.
COLOURS = {
    "ink": "#010101",
    "grid": "#020202",
    "finished": "#030303",
    "pruned": "#040404",
    "failed": "#050505",
    "best": "#060606",
    "training": "#070707",
    "validation": "#080808",
}
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "path.simplify": False,
    "text.parse_math": False,  # A parameter may have a dollar sign in its name.
    "font.size": 11.0,
    "axes.labelsize": 11.0,
    "xtick.labelsize": 10.0,
    "ytick.labelsize": 10.0,
    "legend.fontsize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": COLOURS["grid"],
    "legend.frameon": False,
    **{
        name: COLOURS["ink"]
        for name in ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    },
}
GEOMETRY = re.compile(r'(\s(?:d|x|y|width|height|transform)=")([^"]*)"')
LONG = re.compile(r"-?\d+\.\d{2,}")
NAMED = re.compile(r'\sid="([^"]*)"')


@contextmanager
def drawing() -> Iterator[None]:
    """Within, make figures for a page."""
    from matplotlib import rc_context

    with rc_context(SETTINGS), warnings.catch_warnings():
        # The page shows its own letters, so it does not matter that matplotlib's font lacks some.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def as_svg(figure: "Figure", name: str, label: str) -> str:
    """A figure as an ``<svg>`` element; call it within ``drawing``.

    Args:
        figure: The figure, drawn in ``COLOURS``.
        name: A name that no other drawing of the page has.
        label: What it shows, for those who do not see it.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    # Its style sheet would hold for the whole page; report.css says the same of drawings alone.
    text = re.sub(r"<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)
    box = text.partition('viewBox="')[2].partition('"')[0]
    head = f'<svg viewBox="{box}" role="img" aria-label="{html.escape(label)}" focusable="false"'
    text = head + text[text.index(">") :]
    used = set(re.findall(r'(?:href="#|url\(#)([^")]*)', text))
    text = NAMED.sub(lambda match: f' id="{name}-{match[1]}"' if match[1] in used else "", text)
    text = re.sub(r'xlink:href="#', f'href="#{name}-', text).replace("url(#", f"url(#{name}-")
    text = GEOMETRY.sub(lambda match: f'{match[1]}{LONG.sub(_short, match[2])}"', text)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"(font: [\d.]+px|font-family:) '[^;\"]*", r"\1 var(--letters)", text)
    for role, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{role})")
    return re.sub(r"\n\s*", "\n", text)


def _short(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")

"""Letters that Matplotlib's own font lacks, such as Chinese, Japanese or Arabic ones in the name of a class.

A picture is drawn once. Where Matplotlib says that letters are missing, it is drawn again with those fonts of this host
that have them. What no font has is said in one sentence, where Matplotlib warns of each letter each time.
"""

import functools
import logging
import re
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec

logger = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")
OWN = "DejaVu Sans"
# Its signs stand for letters and say nothing.
LAST_RESORT = "Last Resort"
MISSING = re.compile(r"Glyph (\d+) .* missing from")
MOST_SHOWN = 10
# The letters that have been told of: an export draws several pictures with the same names.
_told: set[int] = set()


def with_any_letters(draw: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """A function that draws a picture into a file, with the letters that this host has a font for."""

    @functools.wraps(draw)
    def called(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        def draw_with(fonts: tuple[str, ...]) -> frozenset[int]:
            from matplotlib import rc_context

            # A class may have dollar signs in its name, between which Matplotlib would read a formula. Its own labels
            # of logarithmic axes are formulas, too: such axes here have a formatter of their own.
            settings: dict[Any, Any] = {"font.family": [OWN, *fonts], "text.parse_math": False}
            with rc_context(settings), warnings.catch_warnings(record=True) as caught:
                warnings.filterwarnings("always", message=MISSING.pattern)
                draw(*args, **kwargs)
            letters = set()
            for warning in caught:
                if match := MISSING.search(str(warning.message)):
                    letters.add(int(match[1]))
                else:
                    warnings.warn_explicit(
                        warning.message, warning.category, warning.filename, warning.lineno
                    )
            return frozenset(letters)

        missing = draw_with(())
        if missing and (fonts := fonts_with(missing)):
            missing = draw_with(fonts)
        if new := missing - _told:
            _told.update(new)
            shown = " ".join(map(chr, sorted(new)[:MOST_SHOWN])) + (" ..." if len(new) > MOST_SHOWN else "")
            logger.warning(
                f"no font on this host has the letters {shown}, so that pictures show boxes; install one that has, "
                "such as Noto Sans CJK (apt install fonts-noto-cjk), and draw them again"
            )

    return called


@functools.cache
def fonts_with(letters: frozenset[int]) -> tuple[str, ...]:
    """The names of fonts of this host that have these letters, as few as it takes one after the other."""
    from matplotlib.font_manager import fontManager
    from matplotlib.ft2font import FT2Font

    left, found = set(letters), []
    upright_first = sorted(fontManager.ttflist, key=lambda entry: (entry.style != "normal", entry.name))
    for entry in upright_first:
        if not left:
            break
        if entry.name.startswith(LAST_RESORT) or entry.name in found:
            continue
        try:
            font = FT2Font(entry.fname)
            has = left & font.get_charmap().keys() if font.scalable else set()
        except (OSError, RuntimeError):  # A font that is damaged, or has bitmaps alone, as coloured emoji do.
            continue
        if has:
            found.append(entry.name)
            left -= has
    return tuple(found)

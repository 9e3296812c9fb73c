"""The page's colours, by WCAG 2.2: words at least 4.5 to 1, drawings at least 3 to 1, in light and dark."""

import re

import pytest

from search.templates.loader import environment

STYLE = environment().get_template("report.css").render()
LIGHT, DARK, PRINT = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
SCHEMES = {"light": LIGHT, "dark": DARK, "print": PRINT}
WORDS = [("ink", "page"), ("soft", "page"), ("soft", "panel"), ("link", "page"), ("ink", "warn-page")]
CELLS = [("on-low", f"h{shade}") for shade in (1, 2, 3, 4)] + [("on-high", "h5"), ("on-high", "h6")]
DRAWN = ["finished", "pruned", "failed", "best", "training", "validation", "focus"]


def colours(scheme: str) -> dict[str, str]:
    return {
        **dict(re.findall(r"--([\w-]+): (#\w{6})", LIGHT)),
        **dict(re.findall(r"--([\w-]+): (#\w{6})", SCHEMES[scheme])),
    }


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("letters", "ground"), [*WORDS, *CELLS])
def test_words_stand_out(scheme: str, letters: str, ground: str) -> None:
    found = colours(scheme)
    assert contrast(found[letters], found[ground]) >= 4.5


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("drawn", DRAWN)
def test_what_is_drawn_stands_out(scheme: str, drawn: str) -> None:
    found = colours(scheme)
    assert contrast(found[drawn], found["page"]) >= 3


@pytest.mark.parametrize("scheme", SCHEMES)
def test_pruned_trials_have_a_shade_of_their_own(scheme: str) -> None:
    found = colours(scheme)
    assert contrast(found["pruned"], found["finished"]) >= 1.5

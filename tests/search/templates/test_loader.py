"""What all pages do to the words and figures that are put into them."""

import pytest

from search.formatting import unbroken
from search.templates.loader import environment, prose


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("95.3 to 100.0 %", "95.3 to 100.0~%"),
        ("3 min 20 s, 744 kFLOP, 1.2 M", "3~min 20~s, 744~kFLOP, 1.2~M"),
        ("12 images of 3 samples", "12 images of 3 samples"),
    ],
)
def test_figure_is_never_parted_from_its_unit(text: str, shown: str) -> None:
    assert unbroken(text) == shown.replace("~", "\N{NO-BREAK SPACE}")


def test_pages_keep_figures_whole_and_commands_as_they_are() -> None:
    page = environment().from_string("{{ figure }}, {{ command | safe }}")
    assert page.render(figure="5 s", command="run 5 s") == "5\N{NO-BREAK SPACE}s, run 5 s"


def test_prose_is_escaped_and_breaks_no_line_within_a_flag() -> None:
    assert prose("<b> --prefer small") == '&lt;b&gt; <span style="white-space: nowrap">--prefer</span> small'

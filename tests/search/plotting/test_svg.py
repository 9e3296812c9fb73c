"""Drawings as parts of a page."""

import re

import pytest

from search.plotting.svg import COLOURS, as_svg, drawing


def draw(name: str, title: str = "a title", label: str = "what it shows") -> str:
    from matplotlib.figure import Figure

    with drawing():
        figure = Figure(figsize=(4, 3), dpi=72)
        axes = figure.subplots()
        axes.plot([0.125, 0.5], [1, 2], "o-", color=COLOURS["finished"])
        axes.set_xticks([0.125])
        axes.set_title(title)
        return as_svg(figure, name, label)


def test_drawing_is_one_element_that_has_a_name_for_those_who_do_not_see_it() -> None:
    text = draw("one", label='5 < 6 & "quoted"')
    assert text.startswith("<svg ")
    assert text.rstrip().endswith("</svg>")
    assert 'role="img" aria-label="5 &lt; 6 &amp; &quot;quoted&quot;"' in text


def test_drawing_has_the_colours_of_its_page() -> None:
    text = draw("one")
    assert "var(--finished)" in text
    assert "var(--ink)" in text
    assert not re.search(r"#0[1-9]0", text)


def test_drawings_share_no_address_and_find_their_own() -> None:
    one, two = draw("one"), draw("two")
    ids = [re.findall(r'\sid="([^"]*)"', text) for text in (one, two)]
    assert ids[0]
    assert not set(ids[0]) & set(ids[1])
    assert set(re.findall(r'(?:href="|url\()#([^")]*)', one)) == set(ids[0])


@pytest.mark.parametrize(
    "unwanted", ["<style", "<metadata", "<?xml", "<!DOCTYPE", "<!--", "DejaVu", "xlink:href"]
)
def test_drawing_brings_nothing_that_is_for_a_whole_document(unwanted: str) -> None:
    assert unwanted not in draw("one")


def test_words_and_their_numbers_are_kept_as_they_are() -> None:
    text = draw("one", title="$a_b$ <b> 1.23456 -->")
    assert ">0.125<" in text
    assert "$a_b$ &lt;b&gt; 1.23456 --&gt;" in text


def test_coordinates_are_short() -> None:
    coordinates = re.findall(r'\sd="([^"]*)"', draw("one"))
    assert coordinates
    assert not re.search(r"\.\d\d", " ".join(coordinates))

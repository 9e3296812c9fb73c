"""Letters that Matplotlib's own font lacks: drawn where the host has a font for them, else told of in one sentence."""

import gc
import warnings
from pathlib import Path

import numpy as np
import pytest

from search.metrics.preference import Priced
from search.plotting import fonts
from search.plotting.confusion_matrix import write_matrix_png
from search.plotting.cost import Marks, write_costs
from search.plotting.race import RacerLine, write_race

CJK, OF_STIX = "猫犬", "\u1d81"  # Matplotlib brings STIX along, which has the second.


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_told", set())


def draw(path: Path, name: str) -> list[str]:
    """Draw a matrix whose first class is called so, twice; the warnings of libraries."""
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # What an earlier test left open is told of whenever Python clears it away.
        warnings.simplefilter("ignore", ResourceWarning)
        for _ in range(2):
            write_matrix_png(path, np.array([[3, 1], [0, 4]]), [name, "dog"], "title")
    return [text for one in caught if "was deleted while still open" not in (text := str(one.message))]


def test_letters_without_a_font_are_told_of_once_and_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fonts, "fonts_with", lambda letters: ())
    assert draw(tmp_path / "matrix.png", CJK) == []
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(
        "warning: no font on this host has the letters 犬 猫, so that pictures show boxes; install"
    )
    assert (tmp_path / "matrix.png").is_file()


def test_letters_of_another_font_are_drawn_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fonts.fonts_with(frozenset(map(ord, OF_STIX)))
    draw(tmp_path / "drawn.png", OF_STIX)
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(fonts, "fonts_with", lambda letters: ())
    draw(tmp_path / "box.png", OF_STIX)
    assert (tmp_path / "drawn.png").read_bytes() != (tmp_path / "box.png").read_bytes()


def test_fonts_are_no_more_than_it_takes() -> None:
    assert fonts.fonts_with(frozenset(map(ord, "A"))) != ()
    assert len(fonts.fonts_with(frozenset(map(ord, "AB" + OF_STIX)))) <= 2
    assert fonts.fonts_with(frozenset([0x10FFFE])) == ()


def test_other_warnings_are_passed_on() -> None:
    @fonts.with_any_letters
    def odd() -> None:
        warnings.warn("Glyph of another kind", UserWarning, stacklevel=1)

    with pytest.warns(UserWarning, match="of another kind"):
        odd()


def test_dollar_signs_in_a_metric_and_names_are_no_formula(tmp_path: Path) -> None:
    name = "recall:$^$"
    write_race(tmp_path / "r.png", [RacerLine(name, 0.5, [0.6], 0.6, None, False)], [1], name, name, None)
    nets = [Priced(number, 0.5, 10 * number + 10, 100) for number in range(2)]
    write_costs(tmp_path / "c.png", nets, Marks(0), name, name)
    write_matrix_png(tmp_path / "m.png", np.array([[3, 1], [0, 4]]), [name, "dog"], name)

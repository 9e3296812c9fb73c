"""The picture of a confusion matrix: what is written into its cells and at its axes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from search.plotting.confusion_matrix import write_matrix_png


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Draw a matrix of so many classes, and give its axes."""
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))

    def draw(names: list[str]) -> Any:
        matrix = np.full((len(names), len(names)), 1) + 2 * np.eye(len(names), dtype=np.int64)
        write_matrix_png(tmp_path / "matrix.png", matrix.astype(np.int64), names, "title")
        return figures[-1].axes[0]

    return draw


def test_cell_has_count_and_share(drawn: Any) -> None:
    texts = [text.get_text() for text in drawn(["a", "b"]).texts]
    assert texts == ["3", "75.0 %", "1", "25.0 %", "1", "25.0 %", "3", "75.0 %"]


def test_cell_of_many_classes_has_its_count_alone(drawn: Any) -> None:
    assert {text.get_text() for text in drawn([str(n) for n in range(25)]).texts} == {"1", "3"}


def test_colour_is_the_share_itself(drawn: Any) -> None:
    (picture,) = drawn(["a", "b"]).images
    assert picture.norm(0.25) == pytest.approx(0.25)
    assert (picture.norm.vmin, picture.norm.vmax) == (0, 1)


@pytest.mark.parametrize(
    ("names", "turned"),
    [
        (["longsleeve", "outwear"], 0),
        ([f"longsleeve {n}" for n in range(8)], 0),
        ([f"a very long name {n}" for n in range(10)], 45),
        ([f"a very long name {n}" for n in range(40)], 90),
    ],
)
def test_names_are_turned_only_where_they_do_not_fit(drawn: Any, names: list[str], turned: int) -> None:
    assert {label.get_rotation() for label in drawn(names).get_xticklabels()} == {turned}


def test_long_names_that_begin_alike_can_be_told_apart(drawn: Any) -> None:
    names = [f"a class with a rather long name, number {n}" for n in range(3)]
    shown = [label.get_text() for label in drawn(names).get_yticklabels()]
    assert len(set(shown)) == 3
    assert shown[2].endswith("number 2")


def test_scale_is_as_high_as_the_matrix(drawn: Any) -> None:
    axes = drawn(["a", "b"])
    axes.figure.draw_without_rendering()
    matrix, scale = axes.get_position(), axes.child_axes[0].get_position()
    assert (scale.y0, scale.y1) == pytest.approx((matrix.y0, matrix.y1), abs=0.01)

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.formatting import shorten
from search.metrics.classification import Scores
from search.plotting.image_grid import MANY, RIGHT, Tile, write_grid, write_mistakes, write_samples

RED, BLUE = (255, 0, 0), (0, 0, 255)


class Images:
    """Eight images of two classes; only one of each is coloured."""

    def train(self) -> tuple[np.ndarray, np.ndarray]:
        images = np.full((8, 6, 6, 3), 255, np.uint8)
        images[2], images[5] = RED, BLUE
        return images, np.array([0, 0, 0, 0, 1, 1, 1, 1])

    def thumbnails(self, chosen: Sequence[int]) -> list[np.ndarray]:
        return list(self.train()[0][chosen])


def colours(path: Path) -> set[tuple[int, ...]]:
    with Image.open(path) as picture:
        found = picture.convert("RGB").getcolors(1 << 20)
    assert found is not None
    return {colour for count, colour in found if count > 5000}  # type: ignore[misc]


def test_samples_are_of_the_images_that_were_trained_on(tmp_path: Path) -> None:
    write_samples(tmp_path / "s.png", Images(), np.array([2, 3, 5, 7]), ["ants", "bees"])  # type: ignore[arg-type]

    assert {RED, BLUE} <= colours(tmp_path / "s.png")


@pytest.mark.parametrize("wrong", [0, 1, 30])
def test_mistakes_are_drawn_whatever_their_number(tmp_path: Path, wrong: int) -> None:
    labels = np.zeros(40, np.int64)
    logits = np.tile(np.array([[1, 0]], np.float32), (40, 1))
    logits[:wrong, 1] = 2
    scores = Scores(labels, logits)
    worst = scores.mistaken[:24]
    images = np.full((len(worst), 6, 6, 1), 40, np.uint8)
    write_mistakes(tmp_path / "m.png", worst, images, scores, ["$a$", "b"], 2)

    with Image.open(tmp_path / "m.png") as picture:
        assert picture.width < 1500


def test_mistakes_are_drawn_with_the_names_of_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Tile] = []
    monkeypatch.setattr(
        "search.plotting.image_grid.write_grid", lambda path, tiles, title: drawn.extend(tiles)
    )
    scores = Scores(np.array([0]), np.array([[0, 9]], np.float32))
    images, names = np.zeros((1, 6, 6, 1), np.uint8), ["test/a/a picture of a long name, number 7.png"]
    write_mistakes(tmp_path / "m.png", np.array([0]), images, scores, ["a", "b"], 1, names)

    assert drawn[0].lines == ("true: a", "pred: b", "99.9 %", "…g name, number 7.png")
    assert len(drawn[0].lines[3]) == 21


@pytest.mark.parametrize(("count", "most"), [(2, 900), (100, 2600), (600, 4000)])
def test_grid_stays_one_picture_at_any_number(tmp_path: Path, count: int, most: int) -> None:
    tiles = [Tile(np.zeros((8, 8, 1), np.uint8), (f"class {index}",)) for index in range(count)]
    write_grid(tmp_path / "grid.png", tiles, "some")

    with Image.open(tmp_path / "grid.png") as picture:
        assert max(picture.size) < most


def test_grid_of_many_pictures_shows_what_is_finer_than_its_dots_as_grey(tmp_path: Path) -> None:
    """Of stripes it showed every second or third, as if the grid had as many dots as one of few pictures."""
    stripes = np.zeros((150, 150, 1), np.uint8)
    stripes[:, ::2] = 255
    write_grid(tmp_path / "grid.png", [Tile(stripes, ())] * (MANY + 1), "many")
    with Image.open(tmp_path / "grid.png") as grid:
        of_first = np.asarray(grid.convert("L"))[60:100, 40:80]
    assert of_first.std() < 40


def test_grid_takes_pictures_of_several_shapes(tmp_path: Path) -> None:
    shapes = [(60, 20, 3), (20, 60, 1), (300, 300, 3)]
    tiles = [Tile(np.zeros(shape, np.uint8), ("cat", "99 %"), RIGHT) for shape in shapes]
    write_grid(tmp_path / "grid.png", tiles, "several")

    assert (0, 0, 0) in colours(tmp_path / "grid.png")


def test_line_that_is_too_long_is_cut() -> None:
    assert shorten("a" * 40, 21) == "a" * 20 + "…"

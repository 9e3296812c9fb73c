from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.errors import InputError
from search.plotting.image_grid import LETTERS, PLAIN, RIGHT, WRONG
from search.prediction.grid import UNLIKE, check_not_given, check_png_path, tile, write_prediction_grid
from search.prediction.output import Prediction


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(np.full((300, 600, 3), 90, np.uint8)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.parametrize(("truth", "colour"), [(None, PLAIN), ("ants", RIGHT), ("bees", WRONG)])
def test_tile_is_coloured_by_whether_it_is_right(photo: Path, truth: str | None, colour: str) -> None:
    found = tile(Prediction(str(photo), "ants", 0.875, truth=truth))

    assert found.colour == colour
    assert found.lines[0] == "ants 87.5 %"


def test_tile_says_that_it_is_nothing_like_the_training_images(photo: Path) -> None:
    found = tile(Prediction(str(photo), "ants", 0.875, unlike=True))
    assert found.lines == ("ants 87.5 %", UNLIKE)
    assert len(UNLIKE) <= LETTERS


def test_tile_of_a_long_name_keeps_its_confidence(photo: Path) -> None:
    assert tile(Prediction(str(photo), "a class of a long name", 0.875)).lines == ("a class of a … 87.5 %",)


def test_grid_of_very_many_says_how_many_it_shows(photo: Path, tmp_path: Path) -> None:
    answers = [Prediction(str(photo), "ants", 0.9)] * 250

    assert write_prediction_grid(tmp_path / "grid.png", answers).endswith(
        "shows 100 of 250 images, evenly chosen"
    )
    with Image.open(tmp_path / "grid.png") as picture:
        assert max(picture.size) < 2600


def test_grid_without_a_readable_image_is_not_drawn(tmp_path: Path) -> None:
    answers = [Prediction("gone.png", error="no such file")]

    assert "was not drawn" in write_prediction_grid(tmp_path / "grid.png", answers)
    assert not (tmp_path / "grid.png").exists()


def test_path_of_no_picture_is_refused(tmp_path: Path) -> None:
    check_png_path("--grid", None)
    check_png_path("--grid", tmp_path / "GRID.PNG")
    with pytest.raises(InputError, match=r"--grid .*: expected a file name that ends in \.png"):
        check_png_path("--grid", tmp_path / "grid.pdf")


def test_photograph_in_the_place_of_the_grid_is_refused(photo: Path) -> None:
    """A shell makes of ``--grid *.png`` the first photograph."""
    with pytest.raises(InputError, match=r"photo\.png: is there already and is no picture that predict has"):
        check_png_path("--grid", photo)


def test_earlier_grid_may_be_drawn_again(photo: Path, tmp_path: Path) -> None:
    write_prediction_grid(tmp_path / "grid.png", [Prediction(str(photo), "ants", 0.9)])
    check_png_path("--grid", tmp_path / "grid.png")


def test_picture_over_an_image_to_classify_is_refused(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to(photo)
    with pytest.raises(InputError, match=r"--matrix .*link\.png: is one of the images to classify"):
        check_not_given(None, tmp_path / "link.png", [tmp_path / "other.png", photo])


def test_grid_and_matrix_of_one_file_are_refused(tmp_path: Path) -> None:
    check_not_given(tmp_path / "a.png", tmp_path / "b.png", [])
    with pytest.raises(InputError, match="is the file of --matrix, too"):
        check_not_given(tmp_path / "a.png", tmp_path / "." / "a.png", [])

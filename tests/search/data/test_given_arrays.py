"""What a notebook passes for arrays: pixels as those of files, or refused in one line."""

from collections import UserList
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from search.data.arrays import array_source
from search.data.decode import ORIENTATION_TAG, decode
from search.data.given_arrays import as_array
from search.data.resizing import Sizing
from search.errors import InputError

COLOURS = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)


class Raising:
    """As a tensor that NumPy may not read."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __array__(self, *args: Any, **settings: Any) -> Any:
        raise self.error


def turned(image: Image.Image) -> Image.Image:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    image.info["exif"] = exif.tobytes()
    return image


def transparent(image: Image.Image) -> Image.Image:
    image.info["transparency"] = (0, 0, 0)
    return image


class Column:
    """As a column of Hugging Face's data sets."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, place: int) -> Any:
        return self.items[place]


class ByName:
    """As a set of columns that no place but a name gives."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, name: str) -> Any:
        return {"pixels": COLOURS}[name]


def test_columns_by_name_are_refused_in_one_line() -> None:
    with pytest.raises(
        InputError, match=r"^x_train is of type ByName, which has no item 0 \(KeyError\): exp"
    ):
        as_array(ByName(), "x_train")


@pytest.mark.parametrize("kind", [Column, UserList])
def test_items_of_any_sequence_are_looked_at(kind: Callable[[list[Any]], Any]) -> None:
    pictures = [Image.fromarray(image) for image in COLOURS]
    np.testing.assert_array_equal(as_array(kind(pictures), "x_train"), COLOURS)
    pictures[2] = pictures[2].quantize(8)
    with pytest.raises(InputError, match=r"x_train\[2\] is a Pillow image of mode P: expected grey or RGB"):
        as_array(kind(pictures), "x_train")


@pytest.mark.parametrize("mode", ["L", "RGB", "1"])
def test_pillow_images_become_the_pixels_of_their_files(tmp_path: Path, mode: str) -> None:
    pictures = [Image.fromarray(image).convert(mode) for image in COLOURS]
    files = []
    for number, picture in enumerate(pictures):
        picture.save(tmp_path / f"{number}.png")
        files.append(decode(tmp_path / f"{number}.png", 6, 5, 3 if mode == "RGB" else 1))
    np.testing.assert_array_equal(as_array(pictures, "x_train"), files)
    opened = [Image.open(tmp_path / f"{number}.png") for number in range(len(pictures))]
    np.testing.assert_array_equal(as_array(opened, "x_train"), files)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda image: image.quantize(8), "of mode P"),
        (lambda image: image.convert("HSV"), "of mode HSV"),
        (turned, "turned by its EXIF tag"),
        (transparent, "transparent"),
    ],
    ids=["palette", "HSV", "EXIF", "transparent"],
)
def test_pillow_images_whose_values_are_not_the_colours_are_refused(change: Any, said: str) -> None:
    pictures = [Image.fromarray(COLOURS[0]), change(Image.fromarray(COLOURS[1]))]
    with pytest.raises(
        InputError, match=rf"x_train\[1\] is a Pillow image {said}: expected grey or RGB"
    ) as caught:
        as_array(pictures, "x_train")
    assert "\n" not in str(caught.value)


def test_pillow_image_opened_from_a_file_that_says_it_is_turned_is_refused(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    for name in ("a.jpg", "a.png", "a.tif"):
        Image.fromarray(COLOURS[0]).save(tmp_path / name, exif=exif)
        with pytest.raises(InputError, match="turned by its EXIF tag"):
            as_array([Image.open(tmp_path / name)], "x_train")


def test_view_of_memory_is_an_array() -> None:
    np.testing.assert_array_equal(as_array(memoryview(COLOURS), "x_train"), COLOURS)


def test_single_pillow_image_is_refused() -> None:
    with pytest.raises(InputError, match="x_train is a single Pillow image: expected an array, or a list"):
        as_array(Image.fromarray(COLOURS[0]), "x_train")


def test_list_of_masked_arrays_is_refused() -> None:
    with pytest.raises(InputError, match=r"x_train\[0\] is a masked array, whose mask would be lost"):
        as_array([np.ma.masked_array(COLOURS[0], COLOURS[0] > 9)], "x_train")


def test_numbers_that_are_not_of_numpy_are_refused() -> None:
    floats = pytest.importorskip("ml_dtypes").bfloat16
    with pytest.raises(InputError, match="x_train holds bfloat16: expected numbers, or names; pass"):
        as_array(COLOURS.astype(floats), "x_train")


def test_names_of_variable_length_are_refused() -> None:
    labels = np.array(["cat", "dog"], np.dtypes.StringDType())
    with pytest.raises(InputError, match="y_train holds StringDType"):
        as_array(labels, "y_train")


@pytest.mark.parametrize(
    "error", [RuntimeError("requires grad"), TypeError("device type cuda\nof the tensor")]
)
def test_tensor_that_numpy_may_not_read_is_refused_in_one_line(error: Exception) -> None:
    with pytest.raises(InputError, match=r"x_train cannot be made an array \(.*detach\(\)") as caught:
        array_source((Raising(error), [0], COLOURS, [0]), Sizing())
    assert "\n" not in str(caught.value)

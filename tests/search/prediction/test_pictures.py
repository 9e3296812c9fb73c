"""What is given becomes single pictures, and these the pixels that training would have made of them."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from search.data.image_files import UnreadableImage
from search.data.pixel_range import REFUSED, UNIT
from search.errors import InputError
from search.prediction.pictures import InputShape, Picture, find_images, list_pictures
from tests.search.data.raw_images import write_png, write_tiff

RANDOM = np.random.default_rng(0)
COLOURS = RANDOM.integers(0, 256, (2, 6, 8, 3), dtype=np.uint8)
GREYS = COLOURS[..., 0]
SHAPE = InputShape(6, 8, 3, "stretch", REFUSED)


def pixels_of(images: Any, shape: InputShape = SHAPE) -> list[Any]:
    return [picture.pixels(shape) for picture in list_pictures(images, shape)]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "below").mkdir()
    for name, image in zip(("a.png", "below/b.png"), COLOURS, strict=True):
        Image.fromarray(image).save(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda files: COLOURS, ["images[0]", "images[1]"]),
        (lambda files: COLOURS.astype(np.int64), ["images[0]", "images[1]"]),
        (lambda files: list(COLOURS), ["images[0]", "images[1]"]),
        (lambda files: [COLOURS[:1], COLOURS[1]], ["images[0][0]", "images[1]"]),
        (lambda files: map(Image.fromarray, COLOURS), ["images[0]", "images[1]"]),
        (lambda files: [Image.open(files / "a.png"), COLOURS[1]], ["images[0]", "images[1]"]),
        (lambda files: files, ["a.png", "below/b.png"]),
        (lambda files: str(files), ["a.png", "below/b.png"]),
        (lambda files: [files / "a.png", str(files / "below")], ["a.png", "below/b.png"]),
    ],
)
def test_all_that_holds_the_same_images_gives_the_same_pixels(
    files: Path, make: Any, names: list[str]
) -> None:
    pictures = list_pictures(make(files), SHAPE)

    assert [picture.name.removeprefix(f"{files}/") for picture in pictures] == names
    assert all(map(np.array_equal, [picture.pixels(SHAPE) for picture in pictures], COLOURS))


def test_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"pipe: a pipe or a device; expected an image file or a folder"):
        list_pictures(tmp_path / "pipe", SHAPE)


@pytest.mark.parametrize("image", [COLOURS[0], GREYS[0], GREYS[0][..., np.newaxis]])
def test_single_image_is_told_from_several(image: Any) -> None:
    assert [picture.name for picture in list_pictures(image, SHAPE)] == ["images"]


def test_several_grey_images_are_no_image_of_many_channels() -> None:
    found = pixels_of(GREYS)
    assert all(map(np.array_equal, found, np.repeat(GREYS[..., np.newaxis], 3, axis=3)))


def test_three_grey_images_are_three_to_a_net_of_grey_ones() -> None:
    shape = SHAPE._replace(channels=1)
    assert len(pixels_of(np.zeros((3, 6, 8), np.uint8), shape)) == 3
    assert len(pixels_of(np.zeros((3, 6, 8, 1), np.uint8))) == 3


def test_arrays_are_resized_and_made_grey_as_files_are(files: Path) -> None:
    shape = InputShape(3, 5, 1, "fit", REFUSED)
    assert all(map(np.array_equal, pixels_of(COLOURS, shape), pixels_of(files, shape)))


def test_floats_have_the_range_of_the_training_images() -> None:
    shape = SHAPE._replace(depth=UNIT)
    assert all(map(np.array_equal, pixels_of(COLOURS / 255, shape), COLOURS))
    assert all(map(np.array_equal, pixels_of(COLOURS / 300, shape), np.rint(COLOURS / 300 * 255)))


def test_opened_picture_of_the_caller_stays_as_it_was(files: Path) -> None:
    large = Image.new("RGB", (400, 400))
    large.save(files / "large.jpg")
    with Image.open(files / "large.jpg") as opened:
        pixels_of(opened)
        assert opened.size == (400, 400)


VALUES = np.arange(48).reshape(6, 8) * 80
DEEP = {
    "grey": (lambda path: Image.fromarray(VALUES.astype(np.uint16)).save(path), "12 bits", "png"),
    "white is zero": (
        lambda path: write_tiff(path, (4095 - VALUES).astype(np.uint16), white_is=255),
        "12 bits",
        "tif",
    ),
    "lying": (
        lambda path: write_tiff(path, (VALUES // 16).astype(np.uint8).reshape(8, 6), orientation=6),
        REFUSED,
        "tif",
    ),
    "transparent": (lambda path: write_png(path, np.arange(8)[np.newaxis] % 4, 2, 0, [1]), REFUSED, "png"),
    "colour": (lambda path: write_png(path, np.stack([VALUES] * 3, 2), 16, 2), REFUSED, "png"),
    "signed": (lambda path: write_tiff(path, VALUES.astype(np.int8)), REFUSED, "tif"),
}


def said_of(picture: Picture, shape: InputShape) -> Any:
    try:
        return picture.pixels(shape).tolist()
    except UnreadableImage as error:
        return error.reason


@pytest.mark.parametrize("name", DEEP)
def test_opened_picture_is_read_as_its_file_is(name: str, tmp_path: Path) -> None:
    save, depth, ending = DEEP[name]
    path = tmp_path / f"a.{ending}"
    save(path)
    shape = InputShape(6, 8, 1, "stretch", depth)
    picture = Image.open(path)
    of_file, of_picture = (said_of(*list_pictures(given, shape), shape) for given in (path, picture))
    assert of_picture == of_file
    assert isinstance(of_file, str) or picture.filename == str(path)
    assert isinstance(of_file, str) == (name in ("colour", "signed"))


def test_opened_jpeg_that_came_from_another_process_is_read(tmp_path: Path) -> None:
    Image.fromarray(COLOURS[0]).save(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as opened:
        (sent,) = pixels_of(pickle.loads(pickle.dumps(opened)))
    assert np.array_equal(sent, pixels_of(tmp_path / "a.jpg")[0])


def test_picture_made_of_numbers_has_the_range_of_the_training_images() -> None:
    picture = Image.fromarray(VALUES.astype(np.uint16))
    (pixels,) = pixels_of(picture, InputShape(6, 8, 1, "stretch", "12 bits"))
    np.testing.assert_array_equal(pixels[:, :, 0], VALUES >> 4)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ([], "no images given"),
        ("", "images is an empty text, which is no path: expected image files"),
        (
            np.zeros((6, 8, 4), np.uint8),
            r"\(6, 8, 4\): grey .* Pass PIL.Image.fromarray\(images\), of uint8 from 0 to 255, for one, which is",
        ),
        (
            np.zeros((3, 6, 8), np.uint8),
            r"with its channels first\? Pass images\.transpose\(1, 2, 0\) for one, or ",
        ),
        (3, "images is of type int: expected image files"),
        (["a.png", None], r"images\[1\] is of type NoneType"),
        (COLOURS / 255, "images holds float64, floats: expected 8 bits .* pass uint8 from 0 to 255"),
        (COLOURS.astype(np.int32) * 3, "values from .* expected 8 bits"),
        (np.moveaxis(COLOURS, 3, 1), "move the channels to the end"),
        (COLOURS[:0], "expected at least one image"),
        (np.ma.masked_array(COLOURS), "images is a masked array, whose mask would be lost"),
        ([COLOURS[0], np.ma.masked_array(COLOURS[1])], r"images\[1\] is a masked array"),
        (np.array(["a", "b"])[:, None, None], "images holds <U1"),
    ],
)
def test_what_is_no_image_is_refused_in_words(images: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        list_pictures(images, SHAPE)


def test_image_that_two_arguments_cover_is_taken_once(files: Path) -> None:
    said: list[str] = []
    found = find_images([files / "below", files / "below" / ".." / "below", files], said.append)
    assert [path.name for path in found] == ["b.png", "a.png"]
    assert said == ["2 images given more than once: each is classified once"]


def test_link_beside_its_image_is_a_file_of_its_own(files: Path) -> None:
    (files / "c.png").symlink_to(files / "a.png")
    assert [path.name for path in find_images([files])] == ["a.png", "b.png", "c.png"]


@pytest.mark.filterwarnings("error")
def test_large_photograph_is_found_without_a_warning(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)
    (files / "a.png").rename(files / "a")  # Pillow has to look into it to know that it is an image.
    assert len(find_images([files])) == 2


def test_images_in_the_home_folder_are_found(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(files.parent))
    assert [picture.name for picture in list_pictures(f"~/{files.name}", SHAPE)] == [
        str(files / "a.png"),
        str(files / "below" / "b.png"),
    ]

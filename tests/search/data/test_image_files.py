"""Which files of a folder are images: the rule of training and of prediction."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from search.data.decode import decode
from search.data.image_files import UnreadableImage, is_image, without_pillow_warnings
from search.prediction.pictures import find_images

Make = Callable[..., Path]
RED = Image.new("RGB", (8, 8), "red")
HEIC = b"\0\0\0\x1cftypheic" + bytes(40)


def test_pipe_is_not_opened_as_an_image(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(
        UnreadableImage, match=r"pipe.png: a folder, a pipe or a device, and no image file; remove"
    ):
        decode(tmp_path / "pipe.png", 8, 8, 3)


@pytest.mark.parametrize(
    ("name", "content", "image"),
    [
        ("damaged.jpg", b"", True),
        ("PHOTO.JPG", b"", True),
        ("phone.heic", HEIC, True),
        ("phone", HEIC, True),
        ("camera.CR2", b"II*\0", True),
        ("drawing.svg", b"<svg/>", True),
        (".DS_Store", b"\0\0\0\1Bud1", False),
        ("._a.jpg", b"what a Mac leaves behind", False),
        ("Thumbs.db", b"\xd0\xcf\x11\xe0", False),
        ("notes.txt", b"hello", False),
        ("film.mp4", b"\0\0\0\x1cftypisom" + bytes(40), False),
        ("film.mpg", b"\0\0\1\xba" + bytes(40), False),
        ("weights.h5", b"\x89HDF\r\n\x1a\n" + bytes(40), False),
    ],
)
def test_file_is_an_image_by_ending_or_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, image: bool
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / name).write_bytes(content)
    assert is_image(tmp_path / name) is image


def test_picture_without_ending_is_an_image(tmp_path: Path, paint: Make) -> None:
    paint(tmp_path / "a.png").rename(tmp_path / "a")
    assert is_image(tmp_path / "a")


def test_heic_is_decoded_where_pillow_heif_is_installed(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    picture = Image.new("RGB", (16, 12), (200, 40, 40))
    heif.from_pillow(picture).save(tmp_path / "a.heic", quality=100)
    (tmp_path / "a.heic").rename(tmp_path / "phone")
    assert is_image(tmp_path / "phone")
    np.testing.assert_allclose(decode(tmp_path / "phone", 12, 16, 3), np.asarray(picture), atol=4)


@pytest.mark.parametrize(
    ("name", "content", "fix"),
    [
        ("a.heic", HEIC, "needs pillow-heif"),
        ("a.nef", b"", "save it as JPEG"),
        ("a.jxl", b"", "format JXL; save it as JPEG or PNG"),
        ("a.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "PostScript"),
    ],
)
def test_image_that_cannot_be_opened_says_how_to_mend_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, fix: str
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableImage, match=fix):
        decode(tmp_path / name, 8, 8, 3)


def test_avif_that_is_cut_short_is_said_to_be_damaged(tmp_path: Path) -> None:
    if not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    Image.new("RGB", (16, 12)).save(tmp_path / "a.avif")
    whole = (tmp_path / "a.avif").read_bytes()
    (tmp_path / "a.avif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableImage, match="not an image, or a damaged one"):
        decode(tmp_path / "a.avif", 8, 8, 3)


def tiff(path: Path, *more: Image.Image) -> Path:
    RED.save(path, save_all=True, append_images=more)
    return path


@pytest.mark.parametrize("tag", [(254, 1), (254, 4), (255, 2)])
def test_tiff_with_a_smaller_copy_or_a_mask_is_one_page(tmp_path: Path, tag: tuple[int, int]) -> None:
    copy = RED.resize((4, 4))
    copy.encoderinfo = {"tiffinfo": dict([tag])}  # type: ignore[attr-defined]
    np.testing.assert_array_equal(decode(tiff(tmp_path / "a.tif", copy), 8, 8, 3), np.asarray(RED))


def test_raw_file_is_refused_whatever_it_is_called(tmp_path: Path) -> None:
    # A demo is sent the bytes alone, and Pillow reads the small copy that comes first.
    behind = {254: 1, 330: 8}
    for name in ("photo.tif", "photo"):
        RED.save(tmp_path / name, "TIFF", tiffinfo=behind)
        assert is_image(tmp_path / name)
        with pytest.raises(UnreadableImage, match="a camera's raw file; save it as JPEG, PNG or TIFF"):
            decode(tmp_path / name, 8, 8, 3)
    RED.save(tmp_path / "photo.tif", tiffinfo={330: 8})
    np.testing.assert_array_equal(decode(tmp_path / "photo.tif", 8, 8, 3), np.asarray(RED))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("place", [10_000_000, 20, -1, -6])
def test_tiff_whose_next_page_lies_nowhere_is_one_page(tmp_path: Path, place: int) -> None:
    path = tiff(tmp_path / "a.tif")
    content = bytearray(path.read_bytes())
    tags = int.from_bytes(content[4:8], "little")
    at = tags + 2 + 12 * int.from_bytes(content[tags : tags + 2], "little")
    content[at : at + 4] = (place % len(content) if place < 0 else place).to_bytes(4, "little")
    path.write_bytes(content)
    with without_pillow_warnings():
        np.testing.assert_array_equal(decode(path, 8, 8, 3), np.asarray(RED))


def test_tiff_with_a_page_that_pillow_cannot_read_is_of_several(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tif", RED.resize((4, 4)))
    colours = b"\x06\x01\x03\0\x01\0\0\0"  # The tag of what the values are, which are red, green and blue: 2.
    before, after = path.read_bytes().rsplit(colours + b"\x02", 1)
    path.write_bytes(before + colours + b"\x63" + after)
    with Image.open(path) as image, pytest.raises(SyntaxError, match="unknown pixel mode"):
        image.seek(1)
    with pytest.raises(UnreadableImage, match="2 pages, of which one would be used"):
        decode(path, 8, 8, 3)


def test_prediction_finds_what_training_finds(tmp_path: Path, paint: Make) -> None:
    paint(tmp_path / "b.png").rename(tmp_path / "without ending")
    paint(tmp_path / "deep" / "a.png")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "phone.heic").write_bytes(HEIC)
    said: list[str] = []
    names = [str(path.relative_to(tmp_path)) for path in find_images([tmp_path], said.append)]
    assert names == ["deep/a.png", "phone.heic", "without ending"]
    assert said == [f"warning: skipped 1 file that is no image (the first is {tmp_path / 'notes.txt'})"]

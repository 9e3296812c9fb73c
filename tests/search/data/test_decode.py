import importlib
import io
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.data.decode import ORIENTATION_TAG, decode, decode_picture, preprocessing, read_header
from search.errors import InputError
from tests.search.data.raw_images import write_tga, write_tiff


def save(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def test_decode_of_right_size_is_exact(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    path = save(Image.fromarray(pixels), tmp_path / "a.png")
    decoded = decode(path, 6, 9, 3)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, pixels)


def test_decode_stretches_to_size(tmp_path: Path) -> None:
    path = save(Image.new("RGB", (40, 20), (10, 20, 30)), tmp_path / "a.png")
    decoded = decode(path, 8, 8, 3)
    assert decoded.shape == (8, 8, 3)
    assert (decoded == (10, 20, 30)).all()


def test_decode_colour_to_grey_and_back(tmp_path: Path) -> None:
    colour = save(Image.new("RGB", (5, 5), (255, 0, 0)), tmp_path / "colour.png")
    grey = save(Image.new("L", (5, 5), 77), tmp_path / "grey.png")
    assert decode(colour, 5, 5, 1).shape == (5, 5, 1)
    assert (decode(grey, 5, 5, 3) == 77).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_decode_turns_by_exif(tmp_path: Path, orientation: int) -> None:
    stored = Image.new("RGB", (32, 16), "black")
    stored.paste((255, 255, 255), (0, 0, 16, 8))
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    path = save(stored, tmp_path / "a.jpg", exif=exif, quality=95)
    header = read_header(path)
    assert (header.height, header.width) == ((32, 16) if orientation >= 5 else (16, 32))
    decoded = decode(path, header.height, header.width, 3)
    # Where the stored picture's upper left corner ends up, by the EXIF standard.
    corner = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
    corners = {(row, column): int(decoded[row, column, 0]) for row in (0, -1) for column in (0, -1)}
    assert max(corners, key=lambda place: corners[place]) == corner[orientation]


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_decode_with_an_orientation_that_there_is_not_is_not_turned(tmp_path: Path, orientation: int) -> None:
    # The header's size had been turned, and the picture was stretched to it.
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    path = save(Image.new("RGB", (32, 16)), tmp_path / "a.png", exif=exif)
    assert read_header(path)[:2] == (16, 32)


def test_decode_sixteen_bit_keeps_the_high_byte(tmp_path: Path) -> None:
    values = np.array([[0, 0x1234], [0x8000, 0xFFFF]], dtype=np.uint16)
    path = save(Image.fromarray(values), tmp_path / "a.png")
    for depth in ("16 bits", None):
        assert decode(path, 2, 2, 1, depth=depth)[:, :, 0].tolist() == [[0, 0x12], [0x80, 0xFF]]


def test_decode_float_tiff_between_0_and_1(tmp_path: Path) -> None:
    path = save(Image.fromarray(np.array([[0.0, 0.5], [1.0, 0.25]], dtype=np.float32)), tmp_path / "a.tiff")
    for depth in ("floats 0 to 1", None):
        assert decode(path, 2, 2, 1, depth=depth)[:, :, 0].tolist() == [[0, 128], [255, 64]]


def test_decode_lays_transparency_on_white(tmp_path: Path) -> None:
    path = save(Image.new("RGBA", (3, 3), (255, 0, 0, 0)), tmp_path / "a.png")
    assert (decode(path, 3, 3, 3) == 255).all()


def test_decode_transparent_palette(tmp_path: Path) -> None:
    image = Image.new("P", (3, 3), 0)
    image.putpalette([200, 0, 0, 0, 0, 200])
    path = save(image, tmp_path / "a.png", transparency=1)
    assert (decode(path, 3, 3, 3) == (200, 0, 0)).all()


def test_decode_sixteen_bit_colour_is_scaled(tmp_path: Path) -> None:
    path = tmp_path / "a.ppm"
    path.write_bytes(b"P6 2 1 65535\n" + bytes.fromhex("1234 8000 ffff 0000 00ff 0100"))
    expected = np.array([[0x12, 0x80, 0xFF], [0, 0, 1]])
    for depth in ("16 bits", None):
        assert abs(decode(path, 1, 2, 3, depth=depth)[0] - expected).max() <= 1
    with pytest.raises(InputError, match=r"16-bit colours, .* have 12 bits"):
        decode(path, 1, 2, 3, depth="12 bits")


def test_decode_deeper_than_the_training_images_is_refused(tmp_path: Path) -> None:
    path = save(Image.fromarray(np.array([[0, 300]], dtype=np.uint16)), tmp_path / "a.png")
    with pytest.raises(
        InputError, match=r"a\.png: more than 8 bits a pixel \(grey PNG\), where the training"
    ):
        decode(path, 1, 2, 1)
    with pytest.raises(InputError, match=r"a\.png: values from 0 to 300: expected 8 bits \(0 to 255\)"):
        decode(path, 1, 2, 1, depth="8 bits")


def test_decode_premultiplied_grey_lies_on_white(tmp_path: Path) -> None:
    pixels = np.array([[[100, 255], [0, 0]]], np.uint8)
    path = write_tiff(tmp_path / "a.tif", pixels, extra=1)
    assert read_header(path).grey
    assert decode(path, 1, 2, 1)[0, :, 0].tolist() == [100, 255]


@pytest.mark.parametrize(("channels", "extra"), [(2, 0), (4, 0), (4, None)])
def test_decode_tiff_with_channels_that_are_neither_colours_nor_transparency_is_refused(
    tmp_path: Path, channels: int, extra: int | None
) -> None:
    path = write_tiff(
        tmp_path / "a.tif", np.zeros((4, 4, channels), np.uint8), colour=channels > 2, extra=extra
    )
    with pytest.raises(
        InputError, match=rf"a\.tif: {channels} channels, of which those beyond the first [13]"
    ):
        decode(path, 4, 4, 3)


def test_decode_tiff_with_declared_transparency_lies_on_white(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", np.zeros((4, 4, 4), np.uint8), colour=True, extra=2)
    assert (decode(path, 4, 4, 3) == 255).all()


def test_decode_tga_with_transparency_or_nothing_in_its_fourth_channel_is_read(tmp_path: Path) -> None:
    pixels = np.full((8, 8, 4), 100, np.uint8)
    pixels[..., 3] = 0
    assert (decode(write_tga(tmp_path / "a.tga", pixels, alpha_bits=8), 8, 8, 3) == 255).all()
    pixels[..., 3] = 255
    assert (decode(write_tga(tmp_path / "a.tga", pixels), 8, 8, 3) == 100).all()


def test_decode_tiff_of_several_pages_is_refused_and_one_with_smaller_copies_is_not(tmp_path: Path) -> None:
    page, other = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (4, 4), "blue")
    path = save(page, tmp_path / "pages.tif", save_all=True, append_images=[other, page])
    with pytest.raises(
        InputError, match=r"pages\.tif: 3 pages, of which one would be used; save each as a file"
    ):
        read_header(path)
    other.encoderinfo = {"tiffinfo": {254: 1}}  # type: ignore[attr-defined]
    path = save(page, tmp_path / "copies.tif", save_all=True, append_images=[other])
    assert (decode(path, 8, 8, 3) == (255, 0, 0)).all()


def test_decode_grey_with_alpha_lies_on_white(tmp_path: Path) -> None:
    image = Image.merge("LA", (Image.new("L", (2, 1), 100), Image.new("L", (2, 1), 0)))
    image.putpixel((0, 0), (100, 255))
    path = save(image, tmp_path / "a.png")
    assert decode(path, 1, 2, 1)[0, :, 0].tolist() == [100, 255]


def test_decode_half_transparent_is_half_white(tmp_path: Path) -> None:
    path = save(Image.new("RGBA", (1, 1), (0, 0, 0, 128)), tmp_path / "a.png")
    assert abs(decode(path, 1, 1, 3).astype(int) - 127).max() <= 1


def test_decode_cmyk_jpeg(tmp_path: Path) -> None:
    path = save(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), tmp_path / "a.jpg", quality=95)
    red, green, blue = decode(path, 16, 16, 3)[8, 8]
    assert red > 200
    assert max(green, blue) < 60


def test_decode_cmyk_jpeg_without_the_mark_of_its_inks_is_refused(tmp_path: Path) -> None:
    path = save(Image.new("CMYK", (16, 16)), tmp_path / "a.jpg")
    marked = path.read_bytes()
    start = marked.index(b"\xff\xee")
    end = start + 2 + int.from_bytes(marked[start + 2 : start + 4], "big")
    path.write_bytes(marked[:start] + marked[end:])
    with pytest.raises(
        InputError, match="CMYK without Adobe's mark, which may be inverted or not: save it as RGB"
    ):
        decode(path, 16, 16, 3)


def test_decode_takes_first_picture_of_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    path = save(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (decode(path, 4, 4, 3) == (255, 0, 0)).all()


@pytest.mark.parametrize(
    ("mode", "grey"),
    [("1", True), ("L", True), ("LA", True), ("I;16", True), ("RGB", False), ("RGBA", False)],
)
def test_header_tells_grey(tmp_path: Path, mode: str, grey: bool) -> None:
    assert read_header(save(Image.new(mode, (4, 3)), tmp_path / "a.png")).grey is grey


@pytest.mark.filterwarnings("error")
def test_header_of_palette_goes_by_colours(tmp_path: Path) -> None:
    image = Image.new("P", (4, 3), 0)
    image.putpalette([90, 90, 90, 255, 0, 0])
    assert read_header(save(image, tmp_path / "grey.png")).grey
    assert read_header(save(image, tmp_path / "transparent.png", transparency=b"\0\x80")).grey
    image.putpixel((0, 0), 1)
    assert not read_header(save(image, tmp_path / "colour.png")).grey


def test_decode_truncated_file_is_named(tmp_path: Path) -> None:
    whole = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole, "JPEG")
    path = tmp_path / "cut.jpg"
    path.write_bytes(whole.getvalue()[:1500])
    with pytest.raises(InputError, match=r"cut\.jpg: a damaged image .*remove or replace"):
        decode(path, 8, 8, 3)


@pytest.mark.parametrize("progressive", [False, True])
def test_decode_jpeg_whose_end_is_zeros_is_named_and_zeros_behind_its_end_are_not(
    tmp_path: Path, progressive: bool
) -> None:
    whole, thumbnail = io.BytesIO(), io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise[:8, :8]).save(thumbnail, "JPEG")
    Image.fromarray(noise).save(whole, "JPEG", progressive=progressive, comment=thumbnail.getvalue())
    content, path = whole.getvalue(), tmp_path / "copy.jpg"
    path.write_bytes(content)
    right = decode(path, 8, 8, 3)
    # Pillow wants that of a progressive one.
    without_end = () if progressive else (content[:-2] + bytes(500),)
    for harmless in (content + bytes(4096), content + b"\xff\xda" + bytes(4096), *without_end):
        path.write_bytes(harmless)
        assert np.array_equal(decode(path, 8, 8, 3), right)
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
    with pytest.raises(InputError, match=r"copy\.jpg: .*(overwritten|file is truncated)"):
        decode(path, 8, 8, 3)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("kind", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("damage", ["an end appended to a part", "a sector of zeros"])
def test_decode_jpeg_with_damaged_pixels_is_named(
    tmp_path: Path, damage: str, kind: str, progressive: bool
) -> None:
    whole, path = io.BytesIO(), tmp_path / "copy.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    Image.fromarray(noise).convert(kind).save(whole, "JPEG", progressive=progressive)
    content = whole.getvalue()
    middle = len(content) // 2
    path.write_bytes(content)
    decode(path, 8, 8, 3)
    hurt = {
        "an end appended to a part": content[:middle] + b"\xff\xd9",
        "a sector of zeros": content[:middle] + bytes(512) + content[middle + 512 :],
    }
    path.write_bytes(hurt[damage])
    with pytest.raises(InputError, match=r"copy\.jpg: .*(pixels is missing or was overwritten|broken data)"):
        decode(path, 8, 8, 3)
    with Image.open(path) as picture, pytest.raises(InputError, match=r"mine: .*(overwritten|broken data)"):
        decode_picture(picture, "mine", 8, 8, 3, "stretch", None)


def test_decode_flat_jpeg_whose_codes_are_zeros_is_read_with_bytes_behind_its_pixels(tmp_path: Path) -> None:
    """Optimised codes of a flat picture are runs of zeros, which are none that a copy has left."""
    page = Image.new("RGB", (1200, 1600), "white")
    page.paste((90, 20, 40), (500, 700, 600, 760))
    path, trailer = tmp_path / "page.jpg", io.BytesIO()
    Image.new("RGB", (8, 8)).save(trailer, "JPEG")
    for options in ({"progressive": True}, {"optimize": True}, {"optimize": True, "progressive": True}):
        whole = io.BytesIO()
        page.save(whole, "JPEG", **options)
        sound = whole.getvalue()
        path.write_bytes(sound)
        right = decode(path, 64, 48, 3)
        camera = sound[:-2] + b"\x12\x34\x56\x78" * 2 + b"\xff\xd9"
        for content in (camera, camera + bytes(4096) + trailer.getvalue(), sound + bytes(4096)):
            path.write_bytes(content)
            assert np.array_equal(decode(path, 64, 48, 3), right)


def test_decode_jpeg_with_a_spoilt_colour_profile_is_read(tmp_path: Path) -> None:
    whole, path = io.BytesIO(), tmp_path / "profile.jpg"
    Image.new("RGB", (32, 32), "red").save(whole, "JPEG")
    second_of_one = b"ICC_PROFILE\x00\x02\x01" + bytes(100)
    marker = b"\xff\xe2" + (len(second_of_one) + 2).to_bytes(2, "big") + second_of_one
    path.write_bytes(whole.getvalue()[:2] + marker + whole.getvalue()[2:])
    assert decode(path, 8, 8, 3).shape == (8, 8, 3)


@pytest.mark.parametrize("more", [b"\x55", bytes(40)], ids=["one byte", "zeros"])
def test_decode_jpeg_with_bytes_behind_its_pixels_is_read(tmp_path: Path, more: bytes) -> None:
    """As many cameras write them: libjpeg says that there are extraneous bytes."""
    whole, path = io.BytesIO(), tmp_path / "camera.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(
        whole, "JPEG"
    )
    path.write_bytes(whole.getvalue())
    right = decode(path, 8, 8, 3)
    path.write_bytes(whole.getvalue()[:-2] + more + b"\xff\xd9")
    assert np.array_equal(decode(path, 8, 8, 3), right)


@pytest.mark.parametrize("opener", [read_header, lambda path: decode(path, 8, 8, 3)])
def test_decompression_bomb_is_refused_undecoded(
    tmp_path: Path, make_bomb: Callable[[Path], Path], opener: Callable[[Path], object]
) -> None:
    path = make_bomb(tmp_path / "bomb.png")
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as refused:
            opener(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert str(refused.value).startswith(
        f"{path}: too large to be decoded: 400,000,000 pixels, over the limit of 178,956,970; remove or"
    )


@pytest.mark.parametrize(("side", "together"), [(9, True), (10, False)])
def test_decode_of_large_images_goes_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: int, together: bool
) -> None:
    path = save(Image.new("RGB", (side, side)), tmp_path / "image.png")
    both, met = threading.Barrier(2), []
    module = importlib.import_module("search.data.decode")  # search.data has the function under this name

    def meet(image: Image.Image, *size: int) -> Image.Image:
        try:
            both.wait(10 if together else 0.3)
            met.append(True)
        except threading.BrokenBarrierError:
            met.append(False)
        return image

    monkeypatch.setattr(module, "LARGE", 99)
    monkeypatch.setattr(module, "resize", meet)
    threads = [threading.Thread(target=decode, args=(path, side, side, 3)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert met == [together] * 2


def test_decode_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "page.jpg"
    path.write_text("<html>not found</html>")
    with pytest.raises(InputError, match=r"page\.jpg: not an image"):
        decode(path, 8, 8, 3)


def test_decode_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.jpg: no such file"):
        decode(tmp_path / "gone.jpg", 8, 8, 3)


def test_decode_of_large_jpeg_stays_true_to_it(tmp_path: Path) -> None:
    ramp = np.repeat(np.linspace(0, 255, 1600).astype(np.uint8)[None, :, None], 1200, axis=0).repeat(
        3, axis=2
    )
    path = save(Image.fromarray(ramp), tmp_path / "a.jpg", quality=95)
    exact = np.asarray(Image.fromarray(ramp).resize((32, 32), Image.Resampling.BILINEAR)).astype(int)
    assert abs(decode(path, 32, 32, 3).astype(int) - exact).max() <= 4


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """20x40 pixels: red, a green middle of 20x20, blue."""
    image = Image.new("RGB", (40, 20), (255, 0, 0))
    image.paste((0, 255, 0), (10, 0, 30, 20))
    image.paste((0, 0, 255), (30, 0, 40, 20))
    return save(image, tmp_path / "photo.png")


def test_decode_fit_keeps_all_of_the_picture_between_black_bars(photo: Path) -> None:
    decoded = decode(photo, 40, 40, 3, "fit")
    np.testing.assert_array_equal(decoded[10:30], decode(photo, 20, 40, 3))
    assert not decoded[:10].any()
    assert not decoded[30:].any()


def test_decode_crop_takes_the_middle(photo: Path) -> None:
    assert (decode(photo, 20, 20, 3, "crop") == (0, 255, 0)).all()
    # Made smaller, the outermost pixels hold a little of what was next to them.
    assert (decode(photo, 10, 10, 3, "crop")[:, 1:-1] == (0, 255, 0)).all()


@pytest.mark.parametrize("way", ["fit", "crop"])
def test_decode_keeps_the_proportions_of_an_upright_photo(photo: Path, tmp_path: Path, way: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    turned = save(Image.open(photo).rotate(90, expand=True), tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(decode(turned, 16, 16, 3, way), decode(photo, 16, 16, 3, way))


@pytest.mark.parametrize("way", ["stretch", "fit", "crop"])
@pytest.mark.parametrize("channels", [1, 3])
def test_decode_of_right_size_is_the_same_every_way(photo: Path, way: str, channels: int) -> None:
    decoded = decode(photo, 20, 40, channels, way)
    np.testing.assert_array_equal(decoded, decode(photo, 20, 40, channels))
    assert decode(photo, 9, 7, channels, way).shape == (9, 7, channels)


@pytest.mark.parametrize("way", ["fit", "crop"])
def test_decode_of_a_line_gives_the_size_all_the_same(tmp_path: Path, way: str) -> None:
    assert decode(save(Image.new("RGB", (900, 1)), tmp_path / "line.png"), 8, 8, 3, way).shape == (8, 8, 3)


def test_preprocessing_names_the_way_of_resizing() -> None:
    assert [preprocessing(8, 9, 3, way)["resize"] for way in ("fit", "crop")] == ["fit", "crop"]


def test_preprocessing_names_the_size() -> None:
    said = preprocessing(8, 9, 3)
    assert (said["height"], said["width"], said["channels"], said["resize"]) == (8, 9, 3, "stretch")

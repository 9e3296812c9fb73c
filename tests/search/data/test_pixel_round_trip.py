"""What training and prediction see, and what Pillow or the numbers themselves say: alike, or refused by name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from search.data.decode import ORIENTATION_TAG, decode
from search.data.preparation import prepare
from search.errors import InputError
from search.prediction import loader
from search.prediction.pictures import list_pictures
from tests.search.data.raw_images import write_png, write_tga, write_tiff

HEIGHT, WIDTH = 6, 8
ORIENTATIONS = range(1, 9)
Writer = Callable[[Path, np.ndarray, int], object]


def upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """The picture that is stored so, by the EXIF standard: where the first row and column belong."""
    turned = stored.swapaxes(0, 1) if orientation >= 5 else stored
    down = orientation in (3, 4, 7, 8)
    right = orientation in (2, 3, 6, 7)
    return turned[:: -1 if down else 1, :: -1 if right else 1]


def trained(folder: Path, cache: Path, **options: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """The prepared images of a folder, and the pixels of each training file."""
    said: list[str] = []
    dataset = prepare(folder, cache=cache, say=said.append, **options)
    files = sorted(folder.glob("train/*/*"), key=lambda path: (path.parent.name, path.name))
    return dataset, dict(zip((str(file) for file in files), dataset.train()[0], strict=True))


def predicted(files: list[Path], dataset: Any, folder: Path, monkeypatch: Any) -> dict[str, Any]:
    """The pixels that an export's net would get of each file, or why it gets none."""
    folder.mkdir()
    (folder / "model.keras").touch()
    (folder / "labels.json").write_text(json.dumps(dataset.classes))
    (folder / "preprocessing.json").write_text(json.dumps(dataset.preprocessing))
    (folder / "summary.json").write_text("{}")
    seen: list[np.ndarray] = []

    def look(net: object, pixels: np.ndarray) -> np.ndarray:
        seen.extend(pixels)
        return np.zeros((len(pixels), 2), np.float32)

    monkeypatch.setattr(loader, "logits", look)
    labels, shape = loader.read_export(folder)
    answers = loader.classify(None, list_pictures(files, shape), labels, shape, 1.0)
    given = iter(seen)
    return {answer.image: answer.error or next(given) for answer in answers}


def picture(bits: int, number: int, bands: int = 1) -> np.ndarray:
    """Noise of all values of so many bits, the largest and smallest among them."""
    shape = (HEIGHT, WIDTH) if bands == 1 else (HEIGHT, WIDTH, bands)
    values = np.random.default_rng(number).integers(0, 1 << bits, shape)
    values.flat[:4] = (0, 1, (1 << bits) - 1, (1 << bits) - 1)
    return values


def save_png16(path: Path, values: np.ndarray, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    Image.fromarray(values.astype(np.uint16)).save(path, exif=exif)


def save_raw(path: Path, values: np.ndarray, orientation: int) -> None:
    path.write_bytes(
        b"P5 %d %d 65535\n" % (WIDTH, HEIGHT) + upright(values, orientation).astype(">u2").tobytes()
    )


def save_pfm(path: Path, values: np.ndarray, orientation: int) -> None:
    Image.fromarray((upright(values, orientation) / values.max()).astype(np.float32)).save(path)


def tiff(dtype: Any, **options: Any) -> Writer:
    def save(path: Path, values: np.ndarray, orientation: int) -> None:
        stored = values.max() - values if options.get("white_is") else values
        write_tiff(path, stored.astype(dtype), orientation=orientation, **options)

    return save


def unit_tiff(path: Path, values: np.ndarray, orientation: int) -> None:
    write_tiff(path, (values / values.max()).astype(np.float32), orientation=orientation)


def save_jpeg2000(path: Path, values: np.ndarray, orientation: int) -> None:
    Image.fromarray(np.ascontiguousarray(upright(values, orientation), np.uint16)).save(path)


GREYS: dict[str, tuple[str, Writer]] = {
    "PNG": ("png", save_png16),
    "PGM": ("pgm", save_raw),
    "JPEG 2000": ("jp2", save_jpeg2000),
    "TIFF": ("tif", tiff(np.uint16)),
    "TIFF big-endian": ("tif", tiff(np.uint16, order=">")),
    "TIFF compressed": ("tif", tiff(np.uint16, packed=True)),
    "TIFF compressed big-endian": ("tif", tiff(np.uint16, packed=True, order=">")),
    "TIFF white is zero": ("tif", tiff(np.uint16, white_is=255)),
    "TIFF 32 bits": ("tif", tiff(np.int32)),
    "TIFF 32 bits big-endian": ("tif", tiff(np.int32, order=">")),
    "TIFF 32 bits unsigned": ("tif", tiff(np.uint32)),
    "TIFF signed compressed": ("tif", tiff(np.int32, packed=True)),
}
UNITS: dict[str, tuple[str, Writer]] = {
    "TIFF": ("tif", unit_tiff),
    "PFM": ("pfm", save_pfm),
}


def check_greys(name: str, writer: Writer, bits: int, tmp_path: Path, cache: Path, monkeypatch: Any) -> Any:
    folder = tmp_path / "images"
    expected: dict[str, np.ndarray] = {}
    for number, (part, label, orientation) in enumerate(
        (part, label, orientation)
        for part in ("train", "test")
        for label in "ab"
        for orientation in ORIENTATIONS
    ):
        (folder / part / label).mkdir(parents=True, exist_ok=True)
        path = folder / part / label / f"{orientation}.{name}"
        values = picture(bits, number)
        # Stored so that all are lying, as they have to be of one size.
        stored = values if orientation < 5 else values.reshape(WIDTH, HEIGHT)
        writer(path, stored, orientation)
        expected[str(path)] = upright(stored, orientation)
    dataset, seen = trained(folder, cache)
    assert (dataset.height, dataset.width, dataset.channels) == (HEIGHT, WIDTH, 1)
    files = [Path(path) for path in expected]
    answered = predicted(files, dataset, tmp_path / "export", monkeypatch)
    for path, pixels in seen.items():
        np.testing.assert_array_equal(answered[path], pixels, path)
    return dataset, expected, answered


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("name", GREYS)
def test_deep_greys_keep_their_high_bits(
    name: str, bits: int, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending, writer = GREYS[name]
    dataset, expected, answered = check_greys(ending, writer, bits, tmp_path, cache, monkeypatch)
    assert dataset.preprocessing["deeper_than_8_bits"] == f"{bits} bits"
    for path, values in expected.items():
        np.testing.assert_array_equal(answered[path][:, :, 0], values >> (bits - 8), path)


@pytest.mark.parametrize("name", UNITS)
def test_floats_from_0_to_1_become_0_to_255(
    name: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, expected, answered = check_greys(*UNITS[name], 16, tmp_path, cache, monkeypatch)
    assert dataset.preprocessing["deeper_than_8_bits"] == "floats 0 to 1"
    for path, values in expected.items():
        np.testing.assert_array_equal(answered[path][:, :, 0], np.rint(values / 65535 * 255), path)


def test_a_dark_class_of_floats_stays_darker(tmp_path: Path, cache: Path) -> None:
    for label, brightest in (("dark", 0.2), ("light", 0.9)):
        for number in range(6):
            path = tmp_path / "images" / label / f"{number}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((picture(8, number) / 255 * brightest).astype(np.float32)).save(path)
    images, labels = prepare(tmp_path / "images", cache=cache).train()
    assert [int(images[labels == label].max()) for label in (0, 1)] == [51, 230]


def save_ppm(path: Path, values: np.ndarray, white: int) -> None:
    path.write_bytes(b"P6 %d %d %d\n" % (WIDTH, HEIGHT, white) + values.astype(">u2").tobytes())


def with_alpha(values: np.ndarray, bits: int) -> np.ndarray:
    """All of it opaque."""
    return np.concatenate([values, np.full((*values.shape[:2], 1), (1 << bits) - 1)], axis=2)


COLOURS: dict[str, tuple[str, Writer]] = {
    "PNG": ("png", lambda path, values, bits: write_png(path, values, 16, 2)),
    "PNG with alpha": ("png", lambda path, values, bits: write_png(path, with_alpha(values, 16), 16, 6)),
    "PPM": ("ppm", lambda path, values, bits: save_ppm(path, values, 65535)),
    "TIFF": ("tif", lambda path, values, bits: write_tiff(path, values.astype(np.uint16), colour=True)),
    "TIFF big-endian": (
        "tif",
        lambda path, values, bits: write_tiff(path, values.astype(np.uint16), colour=True, order=">"),
    ),
    "TIFF compressed": (
        "tif",
        lambda path, values, bits: write_tiff(path, values.astype(np.uint16), colour=True, packed=True),
    ),
    "TIFF channels apart": (
        "tif",
        lambda path, values, bits: write_tiff(
            path, values.astype(np.uint16), colour=True, packed=True, apart=True
        ),
    ),
}


def save_colours(folder: Path, ending: str, writer: Writer, bits: int) -> dict[str, np.ndarray]:
    saved = {}
    for number in range(12):
        path = folder / ("train", "test")[number % 2] / "ab"[number % 4 // 2] / f"{number}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        saved[str(path)] = picture(bits, number, 3)
        writer(path, saved[str(path)], bits)
    return saved


@pytest.mark.parametrize("name", COLOURS)
def test_colours_of_all_16_bits_keep_their_high_byte(
    name: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = save_colours(tmp_path / "images", *COLOURS[name], 16)
    dataset, seen = trained(tmp_path / "images", cache)
    answered = predicted([*map(Path, saved)], dataset, tmp_path / "export", monkeypatch)
    assert dataset.preprocessing["deeper_than_8_bits"] == "16 bits"
    for path, values in saved.items():
        # PPM is scaled by Pillow itself, which rounds.
        off = abs(answered[path].astype(int) - (values >> 8)).max()
        assert off <= (name == "PPM"), path
    for path, pixels in seen.items():
        np.testing.assert_array_equal(answered[path], pixels, path)


@pytest.mark.parametrize("name", COLOURS)
@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_colours_of_fewer_bits_are_refused(name: str, bits: int, tmp_path: Path, cache: Path) -> None:
    save_colours(tmp_path / "images", *COLOURS[name], bits)
    kind = f"colour {name.split()[0]}"
    message = rf"training images \({kind}\) with .*(save all images as 8 bits|save masks)"
    with pytest.raises(InputError, match=message) as caught:
        prepare(tmp_path / "images", cache=cache)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("white", [1, 100, 255, 256, 1000, 4095, 16383, 65534])
def test_a_white_that_the_file_names_is_its_white(white: int, tmp_path: Path, cache: Path) -> None:
    values = np.linspace(0, white, HEIGHT * WIDTH * 3).round().astype(int).reshape(HEIGHT, WIDTH, 3)
    for number in range(12):
        folder = tmp_path / "images" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        data = np.roll(values, number, 1).astype(">u2" if white > 255 else "u1").tobytes()
        (folder / f"{number}.ppm").write_bytes(b"P6 %d %d %d\n" % (WIDTH, HEIGHT, white) + data)
    dataset = prepare(tmp_path / "images", cache=cache)
    assert dataset.preprocessing["deeper_than_8_bits"] == "refused"
    first = dataset.train()[0].reshape(-1, HEIGHT * WIDTH * 3)
    for pixels in first:
        np.testing.assert_allclose(np.sort(pixels), np.sort(values.ravel()) / white * 255, atol=0.51)


def save_pillow(mode: str, **options: Any) -> Writer:
    def save(path: Path, values: np.ndarray, orientation: int) -> None:
        image = Image.fromarray(values.astype(np.uint8), "RGB")
        image = image.quantize(16) if mode == "P" else image.convert(mode)
        if image.mode.endswith("A"):
            image.putalpha(Image.fromarray(values[:, :, 0].astype(np.uint8)))
        exif = Image.Exif()
        exif[ORIENTATION_TAG] = orientation
        image.save(path, exif=exif, **options)

    return save


PLAIN: dict[str, tuple[str, Writer]] = {
    **{f"PNG {mode}": ("png", save_pillow(mode)) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")},
    "PNG P transparent": ("png", save_pillow("P", transparency=3)),
    "PNG L transparent": ("png", save_pillow("L", transparency=200)),
    "PNG RGB transparent": ("png", save_pillow("RGB", transparency=(0, 1, 255))),
    **{f"TIFF {mode}": ("tif", save_pillow(mode)) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")},
    **{
        f"TIFF packed {mode}": ("tif", save_pillow(mode, compression="tiff_lzw"))
        for mode in ("1", "L", "P", "RGB")
    },
    "JPEG L": ("jpg", save_pillow("L", quality=95)),
    "JPEG RGB": ("jpg", save_pillow("RGB", quality=95)),
    "JPEG CMYK": ("jpg", save_pillow("CMYK", quality=95)),
    "WebP RGB": ("webp", save_pillow("RGB", lossless=True)),
    "WebP RGBA": ("webp", save_pillow("RGBA", lossless=True)),
    "AVIF RGB": ("avif", save_pillow("RGB", quality=90)),
    "TIFF channels apart": (
        "tif",
        lambda path, values, orientation: write_tiff(
            path, values.astype(np.uint8), colour=True, apart=True, orientation=orientation
        ),
    ),
    "TIFF white is zero": (
        "tif",
        lambda path, values, orientation: write_tiff(
            path, values[:, :, 0].astype(np.uint8), white_is=255, orientation=orientation
        ),
    ),
}


def what_pillow_says(path: Path, channels: int) -> np.ndarray:
    """Upright, on white where it is transparent. It is opened as a stream, in which Pillow 13 has fewer faults."""
    with path.open("rb") as file, Image.open(file) as image:
        image.load()
        layer = ImageOps.exif_transpose(image).convert("RGBA")
        alone = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        return np.asarray(alone.convert("RGB").convert("L" if channels == 1 else "RGB")).reshape(
            layer.height, layer.width, channels
        )


@pytest.mark.parametrize("name", PLAIN)
def test_images_of_8_bits_are_what_pillow_says(
    name: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending, writer = PLAIN[name]
    files = []
    for orientation in ORIENTATIONS:
        for label in "ab":
            path = tmp_path / "images" / "train" / label / f"{orientation}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            values = picture(8, ord(label) * orientation, 3)
            writer(path, values if orientation < 5 else values.swapaxes(0, 1), orientation)
            files.append(path)
    for label in "ab":
        (tmp_path / "images" / "test" / label).mkdir(parents=True)
        writer(tmp_path / "images" / "test" / label / f"t.{ending}", picture(8, ord(label), 3), 1)
    dataset, seen = trained(tmp_path / "images", cache)
    answered = predicted(files, dataset, tmp_path / "export", monkeypatch)
    assert dataset.preprocessing["deeper_than_8_bits"] == "refused"
    assert (dataset.height, dataset.width) == (HEIGHT, WIDTH)
    for path in files:
        np.testing.assert_array_equal(answered[str(path)], seen[str(path)], str(path))
        np.testing.assert_array_equal(seen[str(path)], what_pillow_says(path, dataset.channels), str(path))


def masked(values: np.ndarray, **options: Any) -> Callable[[Path], object]:
    return lambda path: write_tiff(path, values, **options)


GREY8, GREY16, RGB16 = (
    picture(8, 0).astype(np.uint8),
    picture(16, 0).astype(np.uint16),
    picture(16, 0, 3).astype(np.uint16),
)
BLACK_TO_RED = [*range(0, 256), *[0] * 512]
MISREAD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "signed bytes": ("tif", masked(GREY8.view(np.int8)), "signed 8-bit pixels"),
    "channels apart": (
        "tif",
        masked(RGB16, colour=True, apart=True),
        "16-bit pixels, not compressed and with the",
    ),
    "one channel apart": ("tif", masked(GREY16, apart=True), "with the channels apart"),
    "white is zero apart": ("tif", masked(GREY8, apart=True, white_is=255), "8-bit pixels, not compressed"),
    "signed big-endian": ("tif", masked(GREY16.astype(np.int32), order=">", packed=True), "little-endian"),
    "signed 16 big-endian": ("tif", masked(GREY16.view(np.int16), order=">", packed=True), "little-endian"),
    "floats big-endian": (
        "tif",
        masked(GREY8.astype(np.float32) / 255, order=">", packed=True),
        "compressed big-endian pixels",
    ),
    "8-bit palette": ("tif", masked(GREY8, palette=BLACK_TO_RED), "a palette of 8-bit colours"),
    "undeclared alpha": (
        "tga",
        lambda path: write_tga(path, np.dstack([picture(8, 0, 3).astype(np.uint8), 0 * GREY8])),
        "an alpha channel that is not declared as one",
    ),
    "undeclared alpha beside grey": (
        "tga",
        lambda path: write_tga(path, np.dstack([GREY8, 0 * GREY8])),
        "an alpha channel that is not declared as one",
    ),
    "alpha of one bit": (
        "tga",
        lambda path: write_tga(path, np.uint16(0x8000) | GREY16, alpha_bits=1),
        "an alpha channel that is not declared as one",
    ),
    "transparent 16-bit colour": (
        "png",
        lambda path: write_png(path, RGB16, 16, 2, (0, 0x1000, 0x2000)),
        "a transparent colour among 16-bit ones",
    ),
    "16 bits in another format": (
        "spi",
        lambda path: Image.fromarray(GREY16.astype(np.float32)).save(path, "SPIDER"),
        "more than 8 bits a pixel in the format SPIDER",
    ),
}


@pytest.mark.parametrize("name", MISREAD)
def test_what_pillow_would_misread_is_refused_by_name(
    name: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending, write, message = MISREAD[name]
    for number in range(12):
        path = tmp_path / "images" / ("train", "test")[number % 2] / "ab"[number % 4 // 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(8, number).astype(np.uint8)).save(path)
    dataset = prepare(tmp_path / "images", cache=cache)
    bad = tmp_path / f"bad.{ending}"
    write(bad)
    good = tmp_path / "images" / "train" / "a" / "0.png"
    answered = predicted([good, bad], dataset, tmp_path / "export", monkeypatch)
    assert message in answered[str(bad)]
    assert isinstance(answered[str(good)], np.ndarray)

    bad.rename(tmp_path / "images" / "train" / "a" / bad.name)
    with pytest.raises(InputError, match=rf"bad\.{ending}: .*{message}") as caught:
        prepare(tmp_path / "images", cache=cache)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("bits", "transparent", "expected"),
    [
        (1, 0, [255, 255, 255, 255, 255, 255, 255, 255]),
        (2, 1, [0, 255, 170, 255, 0, 255, 170, 255]),
        (4, 2, [0, 17, 255, 51, 0, 17, 255, 51]),
        (8, 3, [0, 1, 2, 255, 0, 1, 2, 255]),
    ],
)
def test_the_transparent_grey_of_few_bits_is_white(
    bits: int, transparent: int, expected: list[int], tmp_path: Path
) -> None:
    values = np.arange(8)[np.newaxis] % (4 if bits > 1 else 2)
    path = write_png(tmp_path / "a.png", values, bits, 0, [transparent])
    assert decode(path, 1, 8, 1)[0, :, 0].tolist() == expected


def test_the_transparent_grey_of_16_bits_is_white(tmp_path: Path) -> None:
    path = write_png(tmp_path / "a.png", np.array([[0, 1000, 2000, 4095]]), 16, 0, [1000])
    assert decode(path, 1, 4, 1, depth="12 bits")[0, :, 0].tolist() == [0, 255, 125, 255]


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.int64])
def test_arrays_are_what_their_numbers_say(bits: int, dtype: type, tmp_path: Path, cache: Path) -> None:
    images = np.stack([picture(bits, number) for number in range(12)]).astype(dtype)
    labels = np.arange(12) % 2
    given = (images[:8], labels[:8], images[8:], labels[8:])
    dataset = prepare(given, cache=cache)
    np.testing.assert_array_equal(dataset.train()[0][..., 0], images[:8] >> (bits - 8))
    np.testing.assert_array_equal(dataset.test()[0][..., 0], images[8:] >> (bits - 8))
    np.savez(tmp_path / "a.npz", **dict(zip(("x_train", "y_train", "x_test", "y_test"), given, strict=True)))
    assert prepare(tmp_path / "a.npz", cache=cache).preprocessing["deeper_than_8_bits"] == f"{bits} bits"


def test_an_export_without_the_range_predicts_as_before(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = save_colours(tmp_path / "images", *COLOURS["PNG"], 16)
    dataset = prepare(tmp_path / "images", cache=cache)
    dataset.preprocessing.pop("deeper_than_8_bits")
    grey, colour = tmp_path / "grey.png", Path(next(iter(saved)))
    Image.fromarray(GREY16).save(grey)
    answered = predicted([grey, colour], dataset, tmp_path / "export", monkeypatch)
    np.testing.assert_array_equal(answered[str(grey)][:, :, 0], GREY16 >> 8)
    np.testing.assert_array_equal(answered[str(colour)], saved[str(colour)] >> 8)


def test_an_export_with_an_unknown_range_is_refused(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_colours(tmp_path / "images", *COLOURS["PNG"], 16)
    dataset = prepare(tmp_path / "images", cache=cache)
    dataset.preprocessing["deeper_than_8_bits"] = "11 bits"
    with pytest.raises(
        InputError, match=r"spoilt \(deeper_than_8_bits '11 bits': expected one of refused, 8 bits"
    ):
        predicted([tmp_path / "a.png"], dataset, tmp_path / "export", monkeypatch)

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from search.data import open_dataset
from search.data.decode import DEPTH
from search.data.preparation import prepare
from search.errors import InputError


@pytest.fixture
def save(tmp_path: Path) -> Any:
    """Save two grey images of 4x4 pixels, with values from the lowest to the highest, as ``<place>/<name><number>``."""

    def save(place: str, low: float, high: float, dtype: type = np.uint16, name: str = ".png") -> None:
        for number in range(3):
            path = tmp_path / "images" / place / f"{number}{name}"
            path.parent.mkdir(parents=True, exist_ok=True)
            values = np.linspace(low, high - number * (high - low) / 100, 16).reshape(4, 4)
            Image.fromarray((values if dtype is np.float32 else np.rint(values)).astype(dtype)).save(path)

    return save


def lines(folder: Path, cache: Path) -> tuple[Any, str]:
    said: list[str] = []
    return prepare(folder, cache=cache, say=said.append), "\n".join(said)


def refusal(folder: Path, cache: Path) -> str:
    with pytest.raises(InputError) as caught:
        prepare(folder, cache=cache)
    assert "\n" not in str(caught.value)
    assert not list(cache.glob("*/images.npy"))
    return str(caught.value)


def both_parts(save: Any, classes: Sequence[tuple[str, float, float]], **options: Any) -> None:
    for part in ("train", "test"):
        for label, low, high in classes:
            save(f"{part}/{label}", low, high, **options)


def test_values_of_8_bits_in_files_of_16_are_not_black(save: Any, tmp_path: Path, cache: Path) -> None:
    both_parts(save, [("dark", 20, 60), ("light", 160, 200)])
    dataset, said = lines(tmp_path / "images", cache)
    images, labels = dataset.train()
    assert [(images[labels == label].min(), images[labels == label].max()) for label in (0, 1)] == [
        (20, 60),
        (160, 200),
    ]
    assert (
        "all training images have more than 8 bits a pixel (grey PNG, values up to 200): taken as 8 bits (0 to 255)"
        in said
    )
    # It is said again whenever the cache is used.
    assert "taken as 8 bits" in lines(tmp_path / "images", cache)[1]


def test_values_of_12_bits_are_told_by_all_training_files(save: Any, tmp_path: Path, cache: Path) -> None:
    both_parts(save, [("dark", 20, 900), ("light", 160, 4000)])
    dataset, said = lines(tmp_path / "images", cache)
    images, labels = dataset.train()
    assert [int(images[labels == label].max()) for label in (0, 1)] == [900 >> 4, 4000 >> 4]
    assert "values up to 4,000): taken as 12 bits (0 to 4,095)" in said


def test_files_of_8_bits_among_deeper_ones_are_0_to_255(save: Any, tmp_path: Path, cache: Path) -> None:
    both_parts(save, [("a", 0, 4000)])
    both_parts(save, [("b", 0, 250)], dtype=np.uint8)
    dataset, said = lines(tmp_path / "images", cache)
    images, labels = dataset.train()
    assert [int(images[labels == label].max()) for label in (0, 1)] == [250, 250]
    assert "3 of 6 training images have more than 8 bits" in said
    assert "taken as 12 bits (0 to 4,095); the others are taken as 0 to 255" in said


def test_formats_of_different_ranges_are_refused(save: Any, tmp_path: Path, cache: Path) -> None:
    both_parts(save, [("a", 0, 4000)])
    both_parts(save, [("b", 0, 60_000)], name=".tif")
    said = refusal(tmp_path / "images", cache)
    assert (
        "grey PNG files have 12 bits (0 to 4,095), grey TIFF files have 16 bits (0 to 65,535); expected one"
        in said
    )


def test_test_images_of_another_range_are_refused(save: Any, tmp_path: Path, cache: Path) -> None:
    for part, high in (("train", 4000), ("test", 200)):
        for label in "ab":
            save(f"{part}/{label}", 0, high)
    said = refusal(tmp_path / "images", cache)
    assert "test images (grey PNG) with values from 0 to 200" in said
    assert "far below 12 bits (0 to 4,095) as in training; save all images alike" in said


def test_test_images_beyond_the_training_images_are_refused(save: Any, tmp_path: Path, cache: Path) -> None:
    for part, high in (("train", 900), ("test", 4000)):
        for label in "ab":
            save(f"{part}/{label}", 0, high)
    assert "0.png): expected 10 bits (0 to 1,023) as in training" in refusal(tmp_path / "images", cache)


def test_deeper_test_images_alone_are_refused(save: Any, tmp_path: Path, cache: Path) -> None:
    for label in "ab":
        save(f"train/{label}", 0, 200, dtype=np.uint8)
        save(f"test/{label}", 0, 200)
    assert "0.png has more than 8 bits a pixel (grey PNG), and no training image has" in refusal(
        tmp_path / "images", cache
    )


def test_drawn_test_images_may_be_dark(save: Any, tmp_path: Path, cache: Path) -> None:
    save("a", 0, 100)
    save("b", 0, 50_000)
    assert lines(tmp_path / "images", cache)[0].preprocessing["deeper_than_8_bits"] == "16 bits"


@pytest.mark.parametrize(
    ("low", "high", "options", "message"),
    [
        (-5, 300, {"dtype": np.int32, "name": ".tif"}, r"values from -5 to 300 .*expected whole numbers"),
        (0, 70_000, {"dtype": np.int32, "name": ".tif"}, "values from 0 to 70,000"),
        (0, 1, {}, "save masks as uint8"),
        (0, 1.5, {"dtype": np.float32, "name": ".tif"}, r"\(float TIFF\) with values from 0 to 1.5"),
        (-0.5, 0.9, {"dtype": np.float32, "name": ".tif"}, "values from -0.5 to 0.9"),
        (np.nan, np.nan, {"dtype": np.float32, "name": ".tif"}, "replace NaN"),
    ],
)
def test_values_without_a_range_are_refused_by_name(
    save: Any, low: float, high: float, options: dict[str, Any], message: str, tmp_path: Path, cache: Path
) -> None:
    both_parts(save, [("a", low, high), ("b", low, high)], **options)
    with pytest.raises(InputError, match=message):
        prepare(tmp_path / "images", cache=cache)
    assert "train/a/0." in refusal(tmp_path / "images", cache)


def test_equal_images_of_another_range_do_not_take_it_from_those_that_were_there(
    tmp_path: Path, cache: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 8, 8)).astype(np.float32)
    pixels[0, 0, 0] = 255
    labels = np.arange(20) % 2
    first = prepare((pixels, labels, pixels[:4], labels[:4]), cache=cache)
    with pytest.raises(
        InputError, match="equal others that were prepared here as floats 0 to 255; pass --cache"
    ):
        prepare((pixels / 255, labels, pixels[:4] / 255, labels[:4]), cache=cache)
    assert open_dataset(first.folder).preprocessing[DEPTH] == "floats 0 to 255"


def test_an_equal_copy_in_8_bits_has_data_of_its_own(save: Any, tmp_path: Path, cache: Path) -> None:
    both_parts(save, [("a", 0, 200), ("b", 10, 190)])
    deep = prepare(tmp_path / "images", cache=cache)
    both_parts(save, [("a", 0, 200), ("b", 10, 190)], dtype=np.uint8)
    plain = prepare(tmp_path / "images", cache=cache)
    np.testing.assert_array_equal(deep.train()[0], plain.train()[0])
    assert deep.fingerprint != plain.fingerprint
    assert plain.preprocessing["deeper_than_8_bits"] == "refused"


def test_data_of_16_bits_keep_their_fingerprint_and_learn_their_range(
    save: Any, tmp_path: Path, cache: Path
) -> None:
    both_parts(save, [("a", 0, 65_535), ("b", 10, 60_000)])
    made = prepare(tmp_path / "images", cache=cache)
    meta = json.loads((made.folder / "meta.json").read_text())
    meta["preprocessing"].pop("deeper_than_8_bits")
    (made.folder / "meta.json").write_text(json.dumps(meta))
    for request in (cache / "requests").iterdir():
        request.unlink()
    again = prepare(tmp_path / "images", cache=cache)
    assert (again.folder, again.preprocessing["deeper_than_8_bits"]) == (made.folder, "16 bits")

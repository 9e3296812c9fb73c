"""Pictures for people come from the files, as long as these are what was prepared."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.data.dataset import Dataset
from search.data.preparation import prepare
from search.data.thumbnails import LONGEST_SIDE, downscaled


@pytest.fixture
def photographs(make_folder: Callable[..., Path], cache: Path) -> tuple[Dataset, Path]:
    """Photographs of 600x400 pixels, prepared to squares of 16."""
    folder = make_folder({"train/a": 2, "train/b": 2, "test/a": 1, "test/b": 1})
    for number, file in enumerate(sorted(folder.rglob("*.png"))):
        pixels = np.random.default_rng(number).integers(0, 255, (4, 6, 3)).astype(np.uint8)
        Image.fromarray(pixels).resize((600, 400)).save(file)
    return prepare(folder, cache=cache, image_size=16), folder


def test_picture_keeps_its_proportions(tmp_path: Path) -> None:
    Image.fromarray(np.full((300, 600, 3), 90, np.uint8)).save(tmp_path / "photo.png")
    assert downscaled(tmp_path / "photo.png").shape == (100, 200, 3)


def test_thumbnails_are_of_the_files(photographs: tuple[Dataset, Path]) -> None:
    dataset, folder = photographs
    small = dataset.thumbnails([3, 0])
    assert [picture.shape for picture in small] == [(133, LONGEST_SIDE, 3)] * 2
    np.testing.assert_array_equal(small[1], downscaled(folder / "train/a/000.png"))
    np.testing.assert_array_equal(dataset.test_thumbnails([1])[0], downscaled(folder / "test/b/000.png"))


def test_thumbnail_of_a_file_that_has_changed_is_what_was_prepared(photographs: tuple[Dataset, Path]) -> None:
    dataset, folder = photographs
    Image.new("RGB", (600, 400), "red").save(folder / "train/a/000.png")
    (folder / "train/a/001.png").unlink()
    for index, picture in enumerate(dataset.thumbnails([0, 1])):
        np.testing.assert_array_equal(picture, dataset.train()[0][index])


def test_thumbnail_of_images_without_files_is_their_pixels(photographs: tuple[Dataset, Path]) -> None:
    dataset, _ = photographs
    for names in dataset.folder.glob("names-*.json"):
        names.unlink()
    assert replace(dataset, source="arrays").thumbnails([0])[0].shape == (16, 16, 3)

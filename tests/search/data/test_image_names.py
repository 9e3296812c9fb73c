"""The paths of files beside the prepared images, which are named by their content."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from search.data import open_dataset
from search.data.decode import decode
from search.data.image_names import read_names
from search.data.preparation import prepare

Make = Callable[..., Path]


def test_names_are_the_paths_of_the_files_in_the_order_of_the_images(
    make_folder: Make, cache: Path, paint: Make
) -> None:
    folder = make_folder({"train/b": 1, "train/a": 2, "test/a": 1, "test/b": 1})
    paint(folder / "train" / "a" / "deep" / "x.png", 99)
    dataset = prepare(folder, cache=cache)
    assert read_names(dataset.folder, dataset.source, 4).images == [
        "train/a/000.png",
        "train/a/001.png",
        "train/a/deep/x.png",
        "train/b/000.png",
    ]
    assert dataset.test_names() == ["test/a/000.png", "test/b/000.png"]


def test_names_of_test_images_that_were_set_aside_are_theirs(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"a": 10, "b": 10})
    dataset = prepare(folder, cache=cache)
    whole = read_names(dataset.folder, dataset.source, 16).images + dataset.test_names()
    assert sorted(whole) == sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    images, _ = dataset.test()
    for image, name in zip(images, dataset.test_names(), strict=True):
        np.testing.assert_array_equal(image, decode(folder / name, 10, 12, 3))


def test_names_of_test_images_lie_with_the_sealed_ones(make_folder: Make, cache: Path) -> None:
    dataset = prepare(make_folder({"train/a": 2, "train/b": 2, "test/a": 1, "test/b": 1}), cache=cache)
    beside = [path for path in dataset.folder.rglob("*.json") if "test/a" in path.read_text()]
    assert beside
    assert all("sealed" in path.relative_to(dataset.folder).parts for path in beside)


def test_same_images_from_two_folders_have_the_names_of_each(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"train/a": 2, "train/b": 2, "test/a": 1, "test/b": 1})
    other = Path(shutil.copytree(folder, folder.parent / "other"))
    (other / "test" / "a" / "000.png").rename(other / "test" / "a" / "renamed.png")
    found = [prepare(place, cache=cache) for place in (folder, other)]
    assert found[0].folder == found[1].folder
    assert [dataset.test_names()[0] for dataset in found] == ["test/a/000.png", "test/a/renamed.png"]


def test_same_images_on_another_host_have_the_names_that_are_there(make_folder: Make, cache: Path) -> None:
    dataset = prepare(make_folder({"train/a": 2, "train/b": 2, "test/a": 1, "test/b": 1}), cache=cache)
    assert replace(dataset, source="/elsewhere").test_names() == dataset.test_names()


def test_images_prepared_before_names_were_kept_have_none(make_folder: Make, cache: Path) -> None:
    dataset = prepare(make_folder({"train/a": 2, "train/b": 2, "test/a": 1, "test/b": 1}), cache=cache)
    for file in dataset.folder.rglob("names-*.json"):
        file.unlink()
    assert open_dataset(dataset.folder).test_names() == []


def test_arrays_have_numbers_alone(cache: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8), dtype=np.uint8)
    dataset = prepare((images, np.arange(8) % 2, images[:2] + 1, np.arange(2)), cache=cache)
    assert dataset.test_names() == []


def test_name_that_is_no_text_is_written_as_escapes(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"train/a": 2, "train/b": 2, "test/a": 1, "test/b": 1})
    (folder / "test" / "a" / "000.png").rename(folder / "test" / "a" / "\udcff.png")
    assert prepare(folder, cache=cache).test_names()[0] == "test/a/\\xff.png"

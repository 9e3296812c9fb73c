import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.data.decode import decode
from search.data.preparation import prepare
from search.errors import InputError

Make = Callable[..., Path]


def hashes(images: np.ndarray) -> set[str]:
    return {hashlib.sha256(image.tobytes()).hexdigest() for image in images}


def test_folder_with_train_and_test(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"train/b": 4, "train/a": 3, "test/a": 2, "test/b": 1})
    dataset = prepare(str(folder), cache=cache)
    assert dataset.classes == ("a", "b")
    assert (dataset.train_counts, dataset.test_counts) == ((3, 4), (2, 1))
    assert (dataset.height, dataset.width, dataset.channels, dataset.flip) == (10, 12, 3, True)
    assert dataset.source == str(folder)
    np.testing.assert_array_equal(dataset.train()[0][0], decode(folder / "train/a/000.png", 10, 12, 3))
    np.testing.assert_array_equal(dataset.test()[0][2], decode(folder / "test/b/000.png", 10, 12, 3))
    assert dataset.train()[1].tolist() == [0, 0, 0, 1, 1, 1, 1]


def test_folder_of_classes_sets_test_images_aside(make_folder: Make, cache: Path) -> None:
    dataset = prepare(make_folder({"a": 20, "b": 10}), cache=cache, test=0.2)
    assert (dataset.train_counts, dataset.test_counts) == ((16, 8), (4, 2))
    train, test = hashes(dataset.train()[0]), hashes(dataset.test()[0])
    assert len(train) == 24
    assert len(test) == 6
    assert not train & test


def test_folder_of_classes_is_split_by_seed(make_folder: Make, cache: Path, tmp_path: Path) -> None:
    folder = make_folder({"a": 20, "b": 20})
    first = prepare(folder, cache=cache, seed=1)
    assert prepare(folder, cache=tmp_path / "other", seed=1).fingerprint == first.fingerprint
    assert prepare(folder, cache=cache, seed=2).fingerprint != first.fingerprint


def test_folder_of_given_split_ignores_the_seed(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"train/a": 3, "train/b": 3, "test/a": 1, "test/b": 1})
    assert prepare(folder, cache=cache, seed=1) == prepare(folder, cache=cache, seed=2)


def test_folder_of_grey_images_has_one_channel(make_folder: Make, cache: Path, paint: Make) -> None:
    folder = make_folder({"a": 4, "b": 4}, mode="L")
    assert prepare(folder, cache=cache).channels == 1
    paint(folder / "b" / "colour.png", 99)
    assert prepare(folder, cache=cache).channels == 3


def test_folder_of_mixed_sizes_asks_for_one(make_folder: Make, cache: Path, paint: Make) -> None:
    folder = make_folder({"a": 4, "b": 4})
    paint(folder / "b" / "large.png", 99, size=(40, 30))
    with pytest.raises(InputError, match=r"2 sizes \(sides from 10 to 40 pixels\).*--image-size"):
        prepare(folder, cache=cache)
    assert prepare(folder, cache=cache, image_size=16).train()[0].shape[1:] == (16, 16, 3)


def test_folder_skips_and_counts_what_is_no_image(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"a": 4, "b": 4})
    (folder / "a" / "notes.txt").write_text("hello")
    (folder / "b" / "._000.png").write_bytes(b"what a Mac leaves behind")
    said: list[str] = []
    dataset = prepare(folder, cache=cache, say=said.append)
    assert sum(dataset.train_counts + dataset.test_counts) == 8
    warning = [line for line in said if "skipped 2 files that are no images" in line]
    assert len(warning) == 1
    again: list[str] = []
    prepare(folder, cache=cache, say=again.append)
    assert again == warning


def test_folder_takes_images_without_ending(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"a": 4, "b": 4})
    (folder / "a" / "000.png").rename(folder / "a" / "photograph")
    assert sum(prepare(folder, cache=cache).train_counts) + 2 == 8


def test_folder_decodes_gif(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"a": 4, "b": 4})
    Image.new("RGB", (12, 10), "red").save(folder / "a" / "picture.gif")
    dataset = prepare(folder, cache=cache)
    assert sum(dataset.train_counts + dataset.test_counts) == 9


def test_folder_ignores_hidden_folders(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"a": 4, "b": 4, ".ipynb_checkpoints": 1, "__MACOSX": 1})
    assert prepare(folder, cache=cache).classes == ("a", "b")


def test_folder_says_which_folders_it_leaves_out(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"train/a": 3, "train/b": 3, "test/a": 1, "val/a": 1})
    said: list[str] = []
    prepare(folder, cache=cache, say=said.append)
    assert any("test/ has no images of b" in line for line in said)
    assert any("not val" in line for line in said)


def test_folder_with_truncated_image_names_it(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"a": 4, "b": 4})
    broken = folder / "a" / "002.png"
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(InputError, match=r"a/002\.png: .*remove or replace this file") as caught:
        prepare(folder, cache=cache)
    assert "\n" not in str(caught.value)
    assert not list(cache.glob("*/images.npy"))
    broken.unlink()
    dataset = prepare(folder, cache=cache)
    assert sum(dataset.train_counts + dataset.test_counts) == 7


def test_folder_with_several_corrupt_images_counts_them(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"a": 4, "b": 4})
    for name in ("a/001.png", "b/002.png", "b/003.png"):
        (folder / name).write_bytes(b"")
    with pytest.raises(InputError, match=r"a/001\.png: .*\(2 more such files\)"):
        prepare(folder, cache=cache)


@pytest.mark.parametrize("way", ["stretch", "fit", "crop"])
def test_folder_is_resized_as_asked_for(make_folder: Make, cache: Path, way: str) -> None:
    folder = make_folder({"train/a": 3, "train/b": 3, "test/a": 1, "test/b": 1})
    dataset = prepare(folder, cache=cache, image_size=8, resize=way)
    np.testing.assert_array_equal(dataset.train()[0][0], decode(folder / "train/a/000.png", 8, 8, 3, way))
    np.testing.assert_array_equal(dataset.test()[0][1], decode(folder / "test/b/000.png", 8, 8, 3, way))
    assert dataset.preprocessing["resize"] == way


def test_folder_resized_in_two_ways_is_two_data_sets_even_of_equal_pixels(
    make_folder: Make, cache: Path
) -> None:
    folder = make_folder({"a": 5, "b": 5})  # of one size already
    found = [prepare(folder, cache=cache, resize=way) for way in ("stretch", "crop", "stretch")]
    assert [dataset.preprocessing["resize"] for dataset in found] == ["stretch", "crop", "stretch"]
    assert found[0].folder == found[2].folder != found[1].folder
    np.testing.assert_array_equal(found[0].train()[0], found[1].train()[0])


def test_folder_resized_in_an_unknown_way_is_refused(make_folder: Make, cache: Path) -> None:
    with pytest.raises(InputError, match=r"--resize 'squash': expected one of stretch, fit, crop"):
        prepare(make_folder({"a": 5, "b": 5}), cache=cache, resize="squash")


def test_folder_of_large_photographs_is_prepared_without_a_warning(
    make_folder: Make, cache: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # theirs have 120: over it, but not twice
    folder = make_folder({"a": 4, "b": 4})
    (folder / "a" / "000.png").rename(folder / "a" / "photograph")
    prepare(folder, cache=cache)
    assert not recwarn.list
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    with pytest.raises(InputError, match="120 pixels, over the limit of 100"):
        prepare(folder, cache=cache, image_size=8)


@pytest.mark.parametrize("name", ["bomb.png", "bomb"])
def test_folder_with_a_decompression_bomb_names_it(
    make_folder: Make, cache: Path, make_bomb: Make, name: str
) -> None:
    folder = make_folder({"a": 4, "b": 4})
    make_bomb(folder / "a" / name)
    with pytest.raises(
        InputError, match=rf"a/{name}: too large .* 400,000,000 pixels, .* limit of 178,956,970"
    ):
        prepare(folder, cache=cache, image_size=8)
    assert not list(cache.glob("*/images.npy"))


BAD: dict[str, tuple[dict[str, int], str]] = {
    "empty": ({}, "an empty folder; expected train/<class>/"),
    "one class": ({"a": 5}, "one class"),
    "one class to train on": ({"train/a": 5, "test/a": 2}, "one class"),
    "no test folder": ({"train/a": 5, "train/b": 5}, r"no test/.*pass --data .*train"),
    "class without images": ({"a": 5, "b": 0}, "class 'b' has no images"),
    "no images at all": ({"a": 0, "b": 0}, "no images in it"),
    "test class that is not trained": ({"train/a": 3, "train/b": 3, "test/c": 1}, "test/ has the class 'c'"),
    "class too small to split": (
        {"a": 9, "b": 2},
        "class 'b' has 2 images, too few for --test 0.2.*at least 3",
    ),
    "empty test folder": ({"train/a": 3, "train/b": 3, "test": 0}, "test: an empty folder"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_folder_is_refused_in_one_line(make_folder: Make, cache: Path, tmp_path: Path, name: str) -> None:
    counts, message = BAD[name]
    (tmp_path / "images").mkdir()
    make_folder(counts)
    with pytest.raises(InputError, match=message) as caught:
        prepare(tmp_path / "images", cache=cache)
    assert "\n" not in str(caught.value)
    assert not list(cache.glob("*/images.npy"))


def test_folder_of_loose_images_says_what_is_expected(tmp_path: Path, cache: Path, paint: Make) -> None:
    paint(tmp_path / "images" / "a.png")
    with pytest.raises(InputError, match="no folders in it; expected train/<class>/"):
        prepare(tmp_path / "images", cache=cache)


def test_folder_touched_is_read_again_and_found_by_content(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"a": 4, "b": 4})
    first = prepare(folder, cache=cache)
    os.utime(folder / "a" / "000.png", (1, 1))
    said: list[str] = []
    assert prepare(folder, cache=cache, say=said.append) == first
    assert any("prepared" in line for line in said)


def test_folder_with_changed_image_has_another_fingerprint(
    make_folder: Make, cache: Path, paint: Make
) -> None:
    folder = make_folder({"a": 4, "b": 4})
    first = prepare(folder, cache=cache)
    paint(folder / "a" / "000.png", 1234)
    assert prepare(folder, cache=cache).fingerprint != first.fingerprint


def test_real_photographs_are_prepared(ants_bees: Path, cache: Path) -> None:
    dataset = prepare(ants_bees, image_size=32, cache=cache)
    assert (dataset.classes, dataset.channels) == (("ants", "bees"), 3)
    # The .gif and the .jpeg among the ants count too.
    assert (dataset.train_counts, dataset.test_counts) == ((124, 121), (70, 83))
    images, labels = dataset.train()
    files = sorted((ants_bees / "train" / "ants").iterdir())
    np.testing.assert_array_equal(images[-122], decode(files[-1], 32, 32, 3))
    assert labels[-122] == 0


def test_real_photographs_without_size_ask_for_one(ants_bees: Path, cache: Path) -> None:
    with pytest.raises(InputError, match="--image-size"):
        prepare(ants_bees, cache=cache)

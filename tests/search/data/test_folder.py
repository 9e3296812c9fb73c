import hashlib
import os
import sys
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
    assert again[1:] == warning


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


def test_folder_takes_a_class_whose_name_begins_with_lines(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"cat": 10, "__background__": 10, "__MACOSX": 3, "__pycache__": 0})
    assert prepare(folder, cache=cache).classes == ("__background__", "cat")


def test_folder_says_which_hidden_folders_beside_the_classes_have_images(
    make_folder: Make, cache: Path
) -> None:
    said: list[str] = []
    folder = make_folder({"a": 10, "b": 10, ".c": 3})
    (folder / ".git").mkdir()
    prepare(folder, cache=cache, say=said.append)
    (warned,) = [line for line in said if "since hidden" in line]
    assert warned.startswith("warning: not used, since hidden: 1 folder of images beside the classes")
    assert f"{folder}/.c)" in warned


@pytest.mark.parametrize("target", ["/nowhere/c", "c"])
def test_folder_with_a_link_to_nothing_or_itself_among_the_classes_is_refused(
    make_folder: Make, cache: Path, target: str
) -> None:
    folder = make_folder({"a": 10, "b": 10})
    (folder / "labels.csv").symlink_to("/nowhere/labels.csv")  # It was no folder.
    (folder / "c").symlink_to(target)
    with pytest.raises(InputError, match=rf"/c: a link to nothing \({target}\), which may have been a class"):
        prepare(folder, cache=cache)


def test_folder_says_which_folders_it_leaves_out(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"train/a": 3, "train/b": 3, "test/a": 1, "extra/a": 1})
    said: list[str] = []
    prepare(folder, cache=cache, say=said.append)
    assert any("test/ has no images of b" in line for line in said)
    assert any("only train/ and test/ of" in line and "not extra" in line for line in said)


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


def truncate(path: Path) -> None:
    """Leave the header, which reads well, and half the pixels."""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def test_folder_with_damaged_images_names_all_whatever_is_damaged(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"a": 4, "b": 4})
    for name in ("a/001.png", "b/002.png"):
        (folder / name).write_bytes(b"")
    truncate(folder / "b" / "003.png")
    said: list[str] = []
    with pytest.raises(InputError, match=r"3 of 8 image files .*\(1 of 4 of a, 2 of 4 of b\)") as caught:
        prepare(folder, cache=cache, say=said.append)
    assert "the first is a/001.png: not an image, or a damaged one" in str(caught.value)
    assert [line.split(": ")[2] for line in said if "cannot be used" in line] == [
        "a/001.png",
        "b/002.png",
        "b/003.png",
    ]


def test_folder_with_images_damaged_behind_their_headers_names_those_of_both_parts(
    make_folder: Make, cache: Path
) -> None:
    folder = make_folder({"train/a": 3, "train/b": 3, "test/a": 2, "test/b": 2})
    truncate(folder / "train" / "b" / "000.png")
    truncate(folder / "test" / "a" / "001.png")
    with pytest.raises(InputError, match=r"2 of 10 image files .*\(1 of 5 of a, 1 of 5 of b\)"):
        prepare(folder, cache=cache)


def test_folder_with_more_damaged_images_than_a_screen_holds_lists_them_in_a_file(
    make_folder: Make, cache: Path
) -> None:
    folder = make_folder({"a": 14, "b": 4})
    for index in range(12):
        (folder / "a" / f"{index:03}.png").write_bytes(b"")
    said: list[str] = []
    with pytest.raises(InputError, match=r"12 of 18 image files") as caught:
        prepare(folder, cache=cache, say=said.append)
    assert [line for line in said if "cannot be used" in line][-1].endswith("2 more files")
    (listing,) = (cache / "requests").glob("*.damaged.txt")
    assert f"all are listed in {listing}" in str(caught.value)
    assert listing.read_text().splitlines()[12].split("\t")[:2] == ["a", "a/011.png"]


def test_folder_goes_on_without_damaged_images_and_says_how_many_a_class(
    make_folder: Make, cache: Path, tmp_path: Path
) -> None:
    folder = make_folder({"a": 6, "b": 6})
    whole = make_folder({"a": 6, "b": 6}, "whole")
    for name in ("a/001.png", "b/002.png"):
        truncate(folder / name)
        (whole / name).unlink()
    said: list[str] = []
    dataset = prepare(folder, cache=cache, say=said.append, skip_damaged=True)
    # The same images as of a folder without these files.
    assert dataset.fingerprint == prepare(whole, cache=tmp_path / "other").fingerprint
    warning = [line for line in said if "--skip-damaged goes on without 2 image files" in line]
    assert "(1 of 6 of a, 1 of 6 of b)" in warning[0]
    again: list[str] = []
    prepare(folder, cache=cache, say=again.append, skip_damaged=True)
    assert again[1:] == warning


def test_folder_of_grey_images_has_one_channel_whatever_is_damaged(
    make_folder: Make, cache: Path, paint: Make
) -> None:
    folder = make_folder({"a": 5, "b": 5}, mode="L")
    truncate(paint(folder / "a/000.png", 99))
    dataset = prepare(folder, cache=cache, skip_damaged=True)
    assert (dataset.channels, sum(dataset.train_counts) + sum(dataset.test_counts)) == (1, 9)


@pytest.mark.parametrize("skip", [False, True])
def test_folder_of_damaged_images_alone_is_not_told_to_skip_them(
    make_folder: Make, cache: Path, skip: bool
) -> None:
    folder = make_folder({"a": 2, "b": 2})
    for path in folder.glob("*/*.png"):
        path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(InputError, match=r"4 of 4 image files .*; mend or replace them$"):
        prepare(folder, cache=cache, skip_damaged=skip)


def test_folder_of_a_class_with_damaged_images_alone_is_refused(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"train/a": 3, "train/b": 2, "test/a": 2, "test/b": 2})
    for file in (folder / "train" / "b").iterdir():
        truncate(file)
    with pytest.raises(InputError, match="class 'b' has no image that can be decoded"):
        prepare(folder, cache=cache, skip_damaged=True)


def test_folder_is_looked_into_at_any_depth(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"cats": 4, "cats/more/indoors": 3, "dogs": 4, "dogs/.hidden": 1})
    (folder / "cats" / "more" / "up").symlink_to(folder)
    said: list[str] = []
    dataset = prepare(folder, cache=cache, say=said.append)
    assert np.add(dataset.train_counts, dataset.test_counts).tolist() == [7, 4]
    assert any("reading 11 image files" in line and "(3 of them in subfolders" in line for line in said)
    assert any("of class cats: 1 link to a folder that it lies in" in line for line in said)
    assert any("of class dogs: 1 hidden folder" in line for line in said)


def test_folder_says_which_images_lie_in_no_class(make_folder: Make, cache: Path, paint: Make) -> None:
    folder = make_folder({"cats": 4, "dogs": 4})
    paint(folder / "loose.png")
    said: list[str] = []
    prepare(folder, cache=cache, say=said.append)
    assert any("in no class's folder: 1 image file (the first is" in line for line in said)


def test_folder_with_images_that_cannot_be_opened_names_class_and_fix(
    make_folder: Make, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    folder = make_folder({"cats": 4, "dogs": 4})
    (folder / "cats" / "phone.heic").write_bytes(b"\0\0\0\x1cftypheic" + bytes(40))
    (folder / "dogs" / "camera.nef").write_bytes(b"II*\0" + bytes(40))
    (folder / "dogs" / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    said: list[str] = []
    with pytest.raises(InputError, match=r"\(1 of 5 of cats, 2 of 6 of dogs\)"):
        prepare(folder, cache=cache, say=said.append)
    reasons = "\n".join(said)
    assert (
        "cats/phone.heic: a HEIC or HEIF picture, which needs pillow-heif (run python -m pip install"
        in reasons
    )
    assert "dogs/camera.nef: a camera's raw file; save it as JPEG" in reasons
    assert "dogs/gone.jpg: a link to nothing" in reasons


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
    assert not [one for one in recwarn.list if not issubclass(one.category, ResourceWarning)]
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

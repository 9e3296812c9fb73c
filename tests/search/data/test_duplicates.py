"""Images that are there twice: found where they are, and not where they are not."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from search.data import open_dataset
from search.data.duplicates import (
    Place,
    duplicate_notes,
    example_words,
    find_duplicates,
    twin_clusters,
)
from search.data.preparation import prepare

NONE = {"exact": 0, "near": 0, "within": 0, "contradictory_train": 0, "contradictory_test": 0}


def count_duplicates(train: np.ndarray, test: np.ndarray) -> dict[str, int]:
    """The numbers of duplicates where all images are of one class."""
    labels = [np.zeros(len(images), np.int64) for images in (train, test)]
    return find_duplicates(train, test, *labels).counts


@pytest.fixture(scope="module")
def photos(ants_bees: Path) -> np.ndarray:
    """All 398 photographs as one array, ``(N, 64, 64, 3)``."""
    said: list[str] = []
    dataset = prepare(ants_bees, image_size=64, cache=ants_bees / "cache", say=said.append)
    assert not any("duplicates" in line for line in said)
    return np.concatenate([dataset.train()[0], dataset.test()[0]])


def as_jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=40)
    return Image.open(file)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "saved as jpeg": as_jpeg,
    "halved": lambda image: image.resize((32, 32)).resize((64, 64)),
    "brightened": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "duller": lambda image: ImageEnhance.Contrast(image).enhance(0.6),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(1)),
    "cut": lambda image: image.crop((1, 1, 63, 63)).resize((64, 64)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_of_photographs_are_found(photos: np.ndarray, change: str) -> None:
    copies = np.stack([np.asarray(CHANGES[change](Image.fromarray(photo))) for photo in photos[:100]])
    found = count_duplicates(photos, copies)
    assert found["near"] + found["exact"] >= 95


def test_different_photographs_are_not_duplicates(photos: np.ndarray) -> None:
    assert count_duplicates(photos[:245], photos[245:]) == NONE


def test_equal_images_are_counted_apart_from_near_ones(photos: np.ndarray) -> None:
    brighter = np.asarray(ImageEnhance.Brightness(Image.fromarray(photos[3])).enhance(1.2))
    test = np.stack([photos[1], brighter, photos[2], photos[300]])
    assert count_duplicates(photos[:200], test) == NONE | {"exact": 2, "near": 1, "within": 0}


def test_training_images_that_are_there_twice_are_counted_both(photos: np.ndarray) -> None:
    train = np.concatenate([photos[:50], photos[:2], photos[:1]])
    assert count_duplicates(train, photos[300:]) == NONE | {"exact": 0, "near": 0, "within": 5}


def test_small_images_are_compared_to_the_bit_alone() -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 1), dtype=np.uint8)
    almost = images[:6].copy()
    almost[3:, 0, 0] ^= 1
    train = np.concatenate([images, images[:1]])
    assert count_duplicates(train, almost) == NONE | {"exact": 3, "near": 0, "within": 2}


def test_what_looks_like_one_of_a_cluster_is_in_it(photos: np.ndarray) -> None:
    images = np.concatenate(
        [photos[:50], photos[:3], np.clip(photos[:1].astype(int) + 9, 0, 255).astype("u1")]
    )
    cluster = twin_clusters(images, most=3)
    assert cluster is not None
    assert [np.flatnonzero(cluster == cluster[place]).tolist() for place in (0, 1, 2)] == [
        [0, 50, 53],
        [1, 51],
        [2, 52],
    ]
    assert len({*cluster}) == 50


def test_pictures_that_are_all_of_one_kind_are_one_only_where_they_are_equal(photos: np.ndarray) -> None:
    brighter = [np.clip(photos[:1].astype(int) + by, 0, 255).astype(np.uint8) for by in range(5)]
    cluster = twin_clusters(np.concatenate([*brighter, photos[:10]]), most=4)
    assert cluster is not None
    assert [np.flatnonzero(cluster == one).tolist() for one in cluster[:2]] == [[0, 5], [1]]


def test_images_none_of_which_looks_like_another_have_no_clusters(photos: np.ndarray) -> None:
    assert twin_clusters(photos[:100], most=5) is None


def test_note_says_how_many_of_how_many() -> None:
    (note,) = duplicate_notes({"exact": 2, "near": 1000, "within": 30}, 50_000, 10_000)
    assert "1,002 of 10,000 test images look like a training image (2 of them equal to one)" in note
    assert "30 of 50,000 training images look like another" in note
    assert "\n" not in note
    assert duplicate_notes(NONE, 50_000, 10_000) == []


def test_note_has_examples() -> None:
    words = example_words({"within": [(Place("training", 3), Place("training", 7))], "across": []}, str)
    (note,) = duplicate_notes(NONE | {"within": 2}, 10, 5, words)
    assert f"look like another (such as {Place('training', 3)} and {Place('training', 7)})" in note


def test_equal_images_of_different_classes_are_counted_in_both_parts() -> None:
    images = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 1), dtype=np.uint8)
    train, test = np.concatenate([images[:6], images[:1]]), np.stack([images[1], images[8], images[2]])
    # Images 0 and 6 are equal, and so are test image 0 and training image 1. Test image 2 agrees with its twin.
    train_labels, test_labels = np.array([0, 0, 1, 0, 1, 1, 2]), np.array([1, 0, 1])
    found = find_duplicates(train, test, train_labels, test_labels)
    assert found.counts["contradictory_train"] == 3
    assert found.counts["contradictory_test"] == 1
    assert sorted(found.examples["contradictory"]) == [
        (Place("training", 0), Place("training", 6)),
        (Place("training", 1), Place("test", 0)),
    ]


def test_two_equal_test_images_of_different_classes_contradict_each_other() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), dtype=np.uint8)
    found = find_duplicates(images, np.stack([images[0] + 1] * 2), np.arange(4) % 2, np.array([0, 1]))
    assert (found.counts["contradictory_train"], found.counts["contradictory_test"]) == (0, 2)


def test_examples_are_pairs_that_look_alike(photos: np.ndarray) -> None:
    brighter = np.asarray(ImageEnhance.Brightness(Image.fromarray(photos[3])).enhance(1.2))
    train, test = np.concatenate([photos[:20], photos[4:5]]), np.stack([photos[30], brighter, photos[2]])
    found = find_duplicates(train, test, np.zeros(21, np.int64), np.zeros(3, np.int64)).examples
    assert found["across"] == [
        (Place("test", 1), Place("training", 3)),
        (Place("test", 2), Place("training", 2)),
    ]
    assert found["within"] == [(Place("training", 4), Place("training", 20))]


def test_preparing_names_the_files_of_contradictory_labels(
    make_folder: Callable[..., Path], cache: Path
) -> None:
    folder = make_folder({"train/cats": 4, "train/dogs": 4, "test/cats": 2, "test/dogs": 2})
    for copy, of in (
        ("train/dogs/same.png", "train/cats/001.png"),
        ("test/cats/same.png", "train/dogs/002.png"),
    ):
        (folder / copy).write_bytes((folder / of).read_bytes())
    said: list[str] = []
    dataset = prepare(folder, cache=cache, say=said.append)
    (note,) = [line for line in said if "contradictory labels" in line]
    assert "in 3 of 9 training images and 1 of 5 test images" in note
    assert "train/cats/001.png (cats) and train/dogs/same.png (dogs)" in note
    assert "train/dogs/002.png (dogs) and test/cats/same.png (cats)" in note
    assert note in dataset.duplicate_notes()


def test_preparing_arrays_says_the_numbers_of_contradictory_labels(cache: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8), dtype=np.uint8)
    images[5] = images[2]
    said: list[str] = []
    data = (images, np.arange(8) % 2, images[:2] + 1, np.arange(2))
    prepare(data, cache=cache, say=said.append)
    assert any("(such as training image 2 (0) and training image 5 (1))" in line for line in said)


@pytest.fixture
def leaking(ants_bees: Path, tmp_path: Path) -> Path:
    """Photographs of two classes, of which two training images are test images too, one of them saved anew."""
    for part in ("train", "test"):
        for name in ("ants", "bees"):
            (tmp_path / "leaking" / part / name).mkdir(parents=True)
            for file in sorted((ants_bees / part / name).glob("*.jpg"))[:20]:
                (tmp_path / "leaking" / part / name / file.name).write_bytes(file.read_bytes())
    one, other = sorted((tmp_path / "leaking/train/ants").iterdir())[:2]
    (tmp_path / "leaking/test/ants/copy.jpg").write_bytes(one.read_bytes())
    Image.open(other).convert("RGB").save(tmp_path / "leaking/test/ants/again.jpg", quality=50)
    return tmp_path / "leaking"


def test_preparing_warns_of_duplicates_across_the_split_whenever_it_is_found(
    leaking: Path, cache: Path
) -> None:
    said: list[str] = []
    dataset = prepare(leaking, image_size=64, cache=cache, say=said.append)
    assert dataset.duplicates == NONE | {"exact": 1, "near": 1}
    warning = [
        line for line in said if "2 of 42 test images look like a training image (such as test/ants/" in line
    ]
    assert len(warning) == 1
    again: list[str] = []
    assert prepare(leaking, image_size=64, cache=cache, say=again.append) == dataset
    assert again[1:] == warning


def test_images_prepared_before_duplicates_were_counted_open(leaking: Path, cache: Path) -> None:
    dataset = prepare(leaking, image_size=64, cache=cache, say=lambda line: None)
    meta = json.loads((dataset.folder / "meta.json").read_text())
    del meta["duplicates"]
    (dataset.folder / "meta.json").write_text(json.dumps(meta))
    assert open_dataset(dataset.folder).duplicates == {}

"""Batches: which images, in which order, with which targets."""

import hashlib
from typing import Any

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from search.training.batches import StreamFeed, TrainingFeed, balanced_weights

CHOSEN = np.arange(3, 98)


@pytest.fixture
def images() -> np.ndarray:
    """100 images, each a plain picture of its own number."""
    return np.arange(100, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 1), np.uint8)


@pytest.fixture
def labels() -> np.ndarray:
    return np.arange(100) % 4


def feed(images: np.ndarray, labels: np.ndarray, **more: Any) -> TrainingFeed:
    settings = {"epoch": 0, "seed": 1, "strength": 0.0, "flip": False, "batch_size": 10, **more}
    return TrainingFeed(images, labels, CHOSEN, settings.pop("batch_size"), 4, **settings)


def numbers(feed: TrainingFeed) -> list[list[int]]:
    """Which images are in each batch."""
    return [feed[index][0][:, 0, 0, 0].tolist() for index in range(len(feed))]


def test_every_image_comes_once_but_for_the_incomplete_batch(images, labels) -> None:
    batches = numbers(feed(images, labels))
    assert [len(batch) for batch in batches] == [10] * 9
    seen = [number for batch in batches for number in batch]
    assert len(set(seen)) == 90
    assert set(seen) <= set(CHOSEN)


def test_each_epoch_leaves_other_images_out(images, labels) -> None:
    seen = set()
    for epoch in range(6):
        seen |= {number for batch in numbers(feed(images, labels, epoch=epoch)) for number in batch}
    assert seen == set(CHOSEN)


def test_batches_are_the_same_for_the_same_seed_and_epoch_only(images, labels) -> None:
    assert numbers(feed(images, labels)) == numbers(feed(images, labels))
    assert numbers(feed(images, labels)) != numbers(feed(images, labels, epoch=1))
    assert numbers(feed(images, labels)) != numbers(feed(images, labels, seed=2))


def test_batch_is_the_same_whichever_was_asked_for_before(images, labels) -> None:
    settings = {"strength": 2.0, "flip": True}
    one, other = feed(images, labels, **settings), feed(images, labels, **settings)
    for index in range(3):
        one[index]
    assert np.array_equal(one[5][0], other[5][0])


def test_targets_are_one_hot_of_the_labels(images, labels) -> None:
    batch, targets = feed(images, labels)[0]
    assert targets.dtype == np.float32
    assert np.array_equal(targets.argmax(axis=1), batch[:, 0, 0, 0] % 4)
    assert np.array_equal(targets.sum(axis=1), np.ones(10))


def test_half_batches_make_up_the_whole_one(images, labels) -> None:
    whole, halves = numbers(feed(images, labels)), numbers(feed(images, labels, batch_size=5))
    for index, batch in enumerate(whole):
        assert sorted(halves[2 * index] + halves[2 * index + 1]) == batch


def test_batch_larger_than_the_images_is_all_of_them(images, labels) -> None:
    one = feed(images, labels, batch_size=1000)
    assert (len(one), one.batch_size) == (1, len(CHOSEN))


def test_images_are_mirrored_in_every_other_epoch(labels) -> None:
    sided = np.zeros((100, 8, 8, 1), np.uint8)
    sided[:, :, 0] = 1 + np.arange(100)[:, None, None]
    flipped: list[set[int]] = []
    for epoch in (0, 1):
        made = feed(sided, labels, epoch=epoch, strength=0.1, flip=True, batch_size=len(CHOSEN))
        flipped.append({int(image.max()) for image in made[0][0] if image[0, 0, 0] == 0})
    assert flipped[0].isdisjoint(flipped[1])
    assert flipped[0] | flipped[1] == set(CHOSEN + 1)


@pytest.mark.parametrize("settings", [{"strength": 0.0, "flip": True}, {"strength": 1.0, "flip": False}])
def test_images_are_not_mirrored_where_that_is_off(labels, settings: dict[str, Any]) -> None:
    sided = np.zeros((100, 8, 8, 1), np.uint8)
    sided[:, :, 0] = 1
    assert (feed(sided, labels, **settings)[0][0][:, :, 0] == 1).all()


def test_photographs_are_seen_anew_each_epoch_and_the_same_in_the_same() -> None:
    images = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 3), dtype=np.uint8)
    settings = {"augmenter": "photographs", "strength": 1.0, "flip": True, "batch_size": len(CHOSEN)}
    one, again, next_epoch, shifted = (
        feed(images, np.arange(100) % 4, **{**settings, **more})[0][0]
        for more in ({}, {}, {"epoch": 1}, {"augmenter": "shifts"})
    )
    assert np.array_equal(one, again)
    for other in (next_epoch, shifted, images[CHOSEN]):
        assert not (one == other).all(axis=(1, 2, 3)).any()
    assert (one.shape, one.dtype) == (shifted.shape, shifted.dtype)


def test_photographs_of_no_strength_are_the_images(labels) -> None:
    images = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 3), dtype=np.uint8)
    batch = feed(images, labels, augmenter="photographs", flip=True, batch_size=len(CHOSEN))[0][0]
    assert np.array_equal(batch, images[CHOSEN])


def test_shifts_are_those_of_before_there_were_photographs() -> None:
    images = np.random.default_rng(0).integers(0, 256, (100, 32, 32, 3), dtype=np.uint8)
    made = feed(images, np.arange(100) % 4, epoch=3, seed=7, strength=1.5, flip=True)
    digest = hashlib.sha256(b"".join(made[index][0].tobytes() for index in range(len(made)))).hexdigest()
    assert digest[:16] == "ba80c366b25a48cc"


def test_class_weights_come_with_their_images(images, labels) -> None:
    batch, _, weights = feed(images, labels, weights=np.array([1, 2, 3, 4], "float32"))[0]
    assert np.array_equal(weights, batch[:, 0, 0, 0] % 4 + 1)


def test_balanced_weights_are_scikit_learns() -> None:
    labels = np.array([0] * 50 + [1] * 30 + [2] * 5)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert np.allclose(balanced_weights(labels, 3), expected)


def test_balanced_weights_of_a_class_without_images_are_finite() -> None:
    assert np.isfinite(balanced_weights(np.array([0, 0, 2]), 3)).all()


def stream(images: np.ndarray, labels: np.ndarray, first: int, count: int, **more: Any) -> StreamFeed:
    settings = {"seed": 1, "strength": 0.0, "flip": False, "batch_size": 10, **more}
    size = settings.pop("batch_size")
    return StreamFeed(images, labels, CHOSEN, size, 4, first=first, count=count, **settings)


def test_stream_shows_every_image_once_a_pass_across_its_batches(images, labels) -> None:
    # Two passes over 95 images are 19 batches of 10; the tenth has images of both.
    batches = numbers(stream(images, labels, 0, 19))
    seen = [number for batch in batches for number in batch]
    assert sorted(seen) == sorted([*CHOSEN, *CHOSEN])
    assert {number for batch in batches[:9] for number in batch} < set(CHOSEN)
    first = numbers(feed(images, labels))
    assert batches[:9] == first[:9]


def test_stream_is_the_same_wherever_it_is_cut(images, labels) -> None:
    settings = {"strength": 2.0, "flip": True}
    whole = stream(images, labels, 0, 20, **settings)
    parts = [stream(images, labels, first, 5, **settings) for first in (0, 5, 10, 15)]
    for step in range(20):
        assert np.array_equal(whole[step][0], parts[step // 5][step % 5][0])


def test_stream_of_half_batches_makes_up_the_whole_ones(images, labels) -> None:
    whole, halves = (
        numbers(stream(images, labels, 0, 12)),
        numbers(stream(images, labels, 0, 24, batch_size=5)),
    )
    for step, batch in enumerate(whole):
        assert sorted(halves[2 * step] + halves[2 * step + 1]) == batch


def test_stream_mirrors_the_other_half_in_its_second_pass(images, labels) -> None:
    pictures = np.zeros((100, 8, 8, 1), np.uint8)
    pictures[:, :, 0, 0] = np.arange(100)[:, None]
    whole = stream(pictures, labels, 0, 19, flip=True, strength=0.01)
    turns: dict[int, list[bool]] = {}
    for index in range(19):
        for picture in whole[index][0]:
            number = int(picture.max())
            turns.setdefault(number, []).append(picture[0, 0, 0] != number)
    assert all(sorted(turn) == [False, True] for number, turn in turns.items() if number)

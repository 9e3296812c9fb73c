"""Mirroring and shifting batches of small images."""

import numpy as np
import pytest

from search.training.augmentation import Draw, augment, draw, mirrored_in


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)


def shift(images: np.ndarray, down: int, right: int, reach: int = 2) -> np.ndarray:
    """All images cut out at one place of their reflected surroundings."""
    count = len(images)
    return augment(images, Draw(np.zeros(count, bool), np.full(count, down), np.full(count, right), reach))


def test_image_cut_from_the_middle_is_as_it_was(images: np.ndarray) -> None:
    assert np.array_equal(shift(images, 2, 2), images)


def test_shift_moves_pixels_and_fills_by_reflection(images: np.ndarray) -> None:
    moved = shift(images, 0, 3)
    assert np.array_equal(moved[:, 2:, :-1], images[:, :-2, 1:])
    # Two rows came in from above: mirrored at the first row, which is not repeated.
    assert np.array_equal(moved[:, :2, :-1], images[:, 2:0:-1, 1:])
    assert np.array_equal(moved[:, 2:, -1], images[:, :-2, -2])


def test_only_the_chosen_images_are_mirrored(images: np.ndarray) -> None:
    mirrored = np.array([True, False, True, False, False, False])
    found = augment(images, Draw(mirrored, np.zeros(6, int), np.zeros(6, int), 0))
    assert np.array_equal(found[mirrored], images[mirrored][:, :, ::-1])
    assert np.array_equal(found[~mirrored], images[~mirrored])


def test_augment_changes_no_image_of_its_callers(images: np.ndarray) -> None:
    before = images.copy()
    images.flags.writeable = False
    found = augment(images, draw(np.ones(6, bool), 16, 2.0, np.random.default_rng(1)))
    assert np.array_equal(images, before)
    assert (found.shape, found.dtype) == (images.shape, images.dtype)


@pytest.mark.parametrize(
    ("strength", "side", "reach"), [(0.0, 32, 0), (1.0, 32, 2), (2.0, 32, 4), (1.0, 8, 0)]
)
def test_reach_of_shifts_follows_strength_and_side(strength: float, side: int, reach: int) -> None:
    drawn = draw(np.zeros(500, bool), side, strength, np.random.default_rng(0))
    assert drawn.reach == reach
    for places in (drawn.down, drawn.right):
        assert set(places) == set(range(2 * reach + 1))


def test_draw_is_the_same_for_the_same_seed_only() -> None:
    one, again, other = (draw(np.zeros(50, bool), 32, 1.0, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one.down, again.down)
    assert np.array_equal(one.right, again.right)
    assert not np.array_equal(one.down, other.down)


def test_mirrored_halves_alternate_from_epoch_to_epoch() -> None:
    even, odd, next_even = (mirrored_in(epoch, 1000, seed=3) for epoch in (0, 1, 2))
    assert np.array_equal(even, ~odd)
    assert np.array_equal(even, next_even)
    assert 400 < even.sum() < 600
    assert not np.array_equal(even, mirrored_in(0, 1000, seed=4))

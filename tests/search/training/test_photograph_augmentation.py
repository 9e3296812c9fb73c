"""Photographs seen anew: mirrored, turned, zoomed, moved, with another contrast."""

from typing import Any

import numpy as np
import pytest

from search.training.augmentation import CONTRAST, SHIFT, TURN, ZOOM, Views, draw_views, photograph


@pytest.fixture
def images() -> np.ndarray:
    """Smooth pictures, as photographs are: ``(4, 32, 32, 3)``."""
    coarse = np.random.default_rng(0).integers(0, 256, (4, 5, 5, 3)).astype(float)
    rows = np.linspace(0, 3.999, 32)
    low, part = rows.astype(int), (rows % 1)[:, None, None]
    once = coarse[:, low] * (1 - part) + coarse[:, low + 1] * part
    part = part.reshape(1, 32, 1)
    return np.rint(once[:, :, low] * (1 - part) + once[:, :, low + 1] * part).astype(np.uint8)


def see(images: np.ndarray, **changed: Any) -> np.ndarray:
    """All images in one view, plain but for what is said."""
    plain = {"mirrored": False, "turn": 0.0, "zoom": 1.0, "down": 0.0, "right": 0.0, "contrast": 1.0}
    return photograph(images, Views(*(np.full(len(images), value) for value in (plain | changed).values())))


def difference(one: np.ndarray, other: np.ndarray) -> int:
    return int(abs(one.astype(int) - other.astype(int)).max())


def test_plain_view_is_the_image_to_the_bit(images: np.ndarray) -> None:
    assert np.array_equal(see(images), images)


def test_mirrored_view_is_left_to_right(images: np.ndarray) -> None:
    assert np.array_equal(see(images, mirrored=True), images[:, :, ::-1])


def test_quarter_turn_is_counter_clockwise_about_the_middle(images: np.ndarray) -> None:
    assert difference(see(images, turn=np.pi / 2), np.rot90(images, axes=(1, 2))) <= 1


def test_move_is_by_fractions_of_the_side_and_reflects(images: np.ndarray) -> None:
    moved = see(images, down=4 / 32, right=-2 / 32)
    assert difference(moved[:, 4:, :-2], images[:, :-4, 2:]) <= 1
    assert difference(moved[:, :4, :-2], images[:, 4:0:-1, 2:]) <= 1


def test_zoom_of_two_shows_the_middle_quarter(images: np.ndarray) -> None:
    near = see(images, zoom=2.0).astype(int)
    halved = near.reshape(4, 16, 2, 16, 2, 3).mean(axis=(2, 4))
    assert abs(halved - images[:, 8:24, 8:24]).max() < 8


def test_zoom_out_reflects_the_picture_around_itself(images: np.ndarray) -> None:
    far = see(images, zoom=0.25)
    assert far.std() > 10
    assert far.min() >= images.min()


def test_contrast_spreads_values_about_their_mean(images: np.ndarray) -> None:
    mild = np.clip(images, 100, 150)
    more, less = (see(mild, contrast=factor).astype(float) for factor in (1.5, 0.5))
    assert more.std() == pytest.approx(1.5 * mild.std(), rel=0.05)
    assert less.std() == pytest.approx(0.5 * mild.std(), rel=0.05)
    assert less.mean() == pytest.approx(mild.mean(), abs=3)


@pytest.mark.parametrize("shape", [(3, 20, 31, 3), (3, 9, 7, 1), (2, 1, 1, 1)])
def test_view_keeps_shape_and_dtype_and_its_callers_images(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    before = images.copy()
    images.flags.writeable = False
    random = np.random.default_rng(2)
    seen = photograph(images, draw_views(np.ones(len(images), bool), 2.0, random))
    assert (seen.shape, seen.dtype) == (images.shape, images.dtype)
    assert np.array_equal(images, before)


def test_views_grow_with_the_one_strength() -> None:
    weak, strong = (draw_views(np.zeros(2000, bool), s, np.random.default_rng(0)) for s in (0.5, 2.0))
    limits = {"turn": TURN, "zoom": ZOOM, "down": SHIFT, "right": SHIFT, "contrast": CONTRAST}
    for name, limit in limits.items():
        for views, strength in ((weak, 0.5), (strong, 2.0)):
            values = getattr(views, name)
            values = np.log(values) if name in ("zoom", "contrast") else values
            assert abs(values).max() == pytest.approx(strength * limit, rel=0.01)
            assert abs(values.mean()) < 0.05 * strength * limit


def test_views_of_no_strength_are_plain(images: np.ndarray) -> None:
    views = draw_views(np.zeros(4, bool), 0.0, np.random.default_rng(0))
    assert np.array_equal(photograph(images, views), images)


def test_views_are_the_same_for_the_same_seed_only() -> None:
    one, again, other = (draw_views(np.zeros(9, bool), 1.0, np.random.default_rng(s)) for s in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not np.array_equal(one.turn, other.turn)

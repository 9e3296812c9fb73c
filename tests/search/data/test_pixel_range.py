import re

import numpy as np
import pytest

from search.data.pixel_range import (
    FLOATS,
    RUNGS,
    UNIT,
    WHITE,
    WHOLE,
    Misfit,
    check_fits,
    decide,
    measure,
    merge,
    to_pixels,
)


def whole(*values: int, dtype: type = np.int32) -> np.ndarray:
    return np.array(values, dtype)


@pytest.mark.parametrize(
    ("high", "name"),
    [
        (2, "8 bits"),
        (255, "8 bits"),
        (256, "10 bits"),
        (1023, "10 bits"),
        (1024, "12 bits"),
        (4095, "12 bits"),
        (4096, "14 bits"),
        (16383, "14 bits"),
        (16384, "16 bits"),
        (65535, "16 bits"),
    ],
)
def test_whole_numbers_have_the_fewest_bits_that_hold_them(high: int, name: str) -> None:
    assert decide(measure(whole(0, 1, high, high))) == name


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ([0, 0.5, 1], UNIT),
        ([0, 0.5, 1.0000001], UNIT),
        ([-0.0000001, 0.5, 1], UNIT),
        ([0, 0, 0.001], UNIT),
        ([0, 128.5, 255], FLOATS),
        ([-0.2, 128.5, 255.3], FLOATS),
        ([0.0, 3, 16], FLOATS),
    ],
)
def test_floats_are_from_0_to_1_or_to_255(values: list[float], name: str) -> None:
    assert decide(measure(np.array(values))) == name


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (whole(-1, 500), "values from -1 to 500"),
        (whole(0, 70_000, 70_000), "values from 0 to 70,000"),
        (whole(0, 1, 1), "in more than 8 bits: .* save masks as uint8"),
        (whole(0, 0), "values from 0 to 0"),
        (np.array([0, 0.9, 1.5]), "values from 0 to 1.5, and 1 of 2 up to 1: expected floats from 0 to 1 or"),
        (np.array([0, 0.9, -0.1]), "values from -0.1 to 0.9"),
        (np.array([0, 3000.0]), "values from 0 to 3,000"),
        (np.array([0, np.nan]), "values from nan to nan: .* replace NaN"),
        (np.array([0, np.inf]), "replace NaN and infinity"),
    ],
)
def test_values_in_no_range_are_refused(values: np.ndarray, message: str) -> None:
    with pytest.raises(Misfit, match=message):
        decide(measure(values))


@pytest.mark.parametrize("stray", [300, 1500, 5000, 65535])
def test_one_stray_whole_number_flips_nothing(stray: int) -> None:
    values = np.arange(256).repeat(2)
    values[7] = stray
    with pytest.raises(Misfit, match=rf"only 1 of 51\d above .*, up to {stray:,}|only 1 of 51\d above"):
        decide(measure(values))


def test_few_stray_whole_numbers_among_many_flip_nothing() -> None:
    values = np.full(1_000_000, 200, np.uint16)
    values[:10] = 65535
    with pytest.raises(Misfit, match="only 10 of 1,000,000 above 16,383"):
        decide(measure(values))
    values[:11] = 65535
    assert decide(measure(values)) == "16 bits"


@pytest.mark.parametrize("stray", [1.01, 1.5, 200.0])
def test_one_stray_float_flips_nothing(stray: float) -> None:
    values = np.linspace(0, 1, 512)
    values[7] = stray
    with pytest.raises(Misfit, match=r"values from 0 to .* up to 1: expected floats .* in all"):
        decide(measure(values))


def test_merge_is_what_all_images_together_are() -> None:
    images = np.random.default_rng(0).integers(0, 5000, (9, 4, 4))
    parts = merge(measure(image, str(number)) for number, image in enumerate(images))
    assert parts[:5] == measure(images)[:5]
    assert images[int(parts.highest)].max() == images.max()
    assert images[int(parts.lowest)].min() == images.min()


def test_merge_names_the_image_that_holds_nan() -> None:
    parts = merge([measure(np.array([0, 1.0]), "a"), measure(np.array([0, np.nan]), "b")])
    with pytest.raises(Misfit, match=re.escape("from nan to 1 (b)")):
        decide(parts)


@pytest.mark.parametrize("name", [name for name in WHITE if name in WHOLE])
def test_whole_numbers_keep_their_high_bits(name: str) -> None:
    values = np.arange(WHITE[name] + 1)
    pixels = to_pixels(values, name)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, values // ((WHITE[name] + 1) // 256))


@pytest.mark.parametrize("name", [UNIT, FLOATS])
def test_floats_are_rounded(name: str) -> None:
    values = np.arange(256) / 255 * WHITE[name]
    for off in (-0.4, 0, 0.4):
        np.testing.assert_array_equal(to_pixels(values + off / 255 * WHITE[name], name), np.arange(256))


@pytest.mark.parametrize("name", WHITE)
def test_a_part_of_another_range_does_not_fit(name: str) -> None:
    white = WHITE[name]
    dtype = np.float64 if name in (UNIT, FLOATS) else np.int64
    check_fits(measure(np.array([0, white], dtype)), name)
    check_fits(measure(np.array([0, white / 8], dtype)), name)
    for wrong in (white * 1.1 + 1, white / 17, -1):
        with pytest.raises(Misfit):
            check_fits(measure(np.array([0, wrong], dtype)), name)
    with pytest.raises(Misfit, match="expected"):
        check_fits(measure(np.array([0, white], np.int64 if dtype is np.float64 else np.float64)), name)


def test_one_image_may_be_dark() -> None:
    check_fits(measure(whole(0, 3)), "16 bits", least=False)
    check_fits(measure(np.zeros(3)), FLOATS, least=False)
    with pytest.raises(Misfit, match="far below floats 0 to 255"):
        check_fits(measure(np.array([0, 0.9])), FLOATS, least=False)


def test_rungs_are_the_ranges_below() -> None:
    assert RUNGS[1:] == tuple(WHITE[name] for name in WHOLE[:-1])

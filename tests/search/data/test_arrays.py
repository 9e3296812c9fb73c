from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.data.preparation import prepare
from search.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 6, 5, 3), dtype=np.uint8)
LABELS = np.arange(12) % 3


def four(**changed: Any) -> tuple[Any, ...]:
    whole = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:6], "y_test": LABELS[:6]}
    return tuple((whole | changed).values())


@pytest.mark.parametrize("data", [IMAGES[:4], 5, {"x_train": IMAGES}])
def test_what_is_no_tuple_of_arrays_is_refused(cache: Path, data: Any) -> None:
    with pytest.raises(InputError, match=f"data of type {type(data).__name__}: expected the four arrays"):
        prepare(data, cache=cache)


def test_arrays_arrive_as_they_are(cache: Path) -> None:
    dataset = prepare(four(), cache=cache)
    images, labels = dataset.train()
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)
    np.testing.assert_array_equal(dataset.test()[0], IMAGES[:6])
    assert (dataset.source, dataset.classes, dataset.flip) == ("arrays", ("0", "1", "2"), True)
    assert (dataset.height, dataset.width, dataset.channels) == (6, 5, 3)
    assert (dataset.train_counts, dataset.test_counts) == ((4, 4, 4), (2, 2, 2))
    assert labels.dtype == np.int64


def test_arrays_in_keras_pairs(cache: Path) -> None:
    x_train, y_train, x_test, y_test = four(y_train=LABELS[:, np.newaxis])
    assert prepare(((x_train, y_train), (x_test, y_test)), cache=cache).train_counts == (4, 4, 4)


@pytest.mark.parametrize("scale", [1, 255])
def test_float_arrays_become_the_same_pixels(cache: Path, scale: int) -> None:
    floats = (IMAGES / 255 * scale).astype(np.float32)
    dataset = prepare(four(x_train=floats, x_test=floats[:6]), cache=cache)
    np.testing.assert_array_equal(dataset.train()[0], IMAGES)


def test_equal_content_has_one_fingerprint(cache: Path) -> None:
    plain = prepare(four(), cache=cache)
    floats = IMAGES / 255
    assert prepare(four(x_train=floats, x_test=floats[:6]), cache=cache).folder == plain.folder


def test_other_test_images_have_another_fingerprint(cache: Path) -> None:
    assert prepare(four(), cache=cache) != prepare(four(x_test=IMAGES[6:]), cache=cache)


@pytest.mark.parametrize("over", [1.0000001, 1.001])
def test_one_float_a_little_over_1_changes_nothing(cache: Path, over: float) -> None:
    floats = IMAGES / 255
    floats[np.unravel_index(IMAGES.argmax(), IMAGES.shape)] = over
    dataset = prepare(four(x_train=floats, x_test=floats[:6]), cache=cache)
    np.testing.assert_array_equal(dataset.train()[0], IMAGES)
    assert dataset.preprocessing["deeper_than_8_bits"] == "floats 0 to 1"


def test_arrays_of_integers_up_to_255_have_8_bits(cache: Path) -> None:
    plain = prepare(four(), cache=cache)
    said: list[str] = []
    wide = prepare(four(x_train=IMAGES.astype(np.int64)), cache=cache, say=said.append)
    assert (wide.fingerprint, wide.preprocessing) == (plain.fingerprint, plain.preprocessing)
    assert "taken as" not in "".join(said)


def test_arrays_of_12_bits_are_said_to_be_so(cache: Path) -> None:
    deep = IMAGES.astype(np.uint16) * 16
    for _ in range(2):
        said: list[str] = []
        dataset = prepare(four(x_train=deep, x_test=deep[:6]), cache=cache, say=said.append)
        assert "data (arrays): pixels are taken as 12 bits (0 to 4,095)" in said
    np.testing.assert_array_equal(dataset.train()[0], IMAGES)
    assert dataset.preprocessing["deeper_than_8_bits"] == "12 bits"
    # Another file of 16 bits would be read otherwise, so that it is another data set.
    assert dataset.fingerprint != prepare(four(), cache=cache).fingerprint


def test_grey_arrays_get_a_channel_and_no_flip(cache: Path) -> None:
    dataset = prepare(four(x_train=IMAGES[..., 0], x_test=IMAGES[:6, :, :, 0]), cache=cache)
    assert dataset.train()[0].shape == (12, 6, 5, 1)
    assert not dataset.flip


def test_boolean_arrays_become_black_and_white(cache: Path) -> None:
    masks = IMAGES > 127
    dataset = prepare(four(x_train=masks, x_test=masks[:6]), cache=cache)
    assert np.unique(dataset.train()[0]).tolist() == [0, 255]


@pytest.mark.parametrize("dtype", [object, str])
def test_string_labels_become_classes(cache: Path, dtype: type) -> None:
    names = np.array(["cat", "ant", "bee"], dtype=dtype)[LABELS]
    dataset = prepare(four(y_train=names, y_test=names[:6]), cache=cache)
    assert dataset.classes == ("ant", "bee", "cat")
    assert [dataset.classes[label] for label in dataset.train()[1]] == names.tolist()


def test_arrays_are_resized(cache: Path) -> None:
    dataset = prepare(four(), image_size=8, cache=cache)
    assert dataset.train()[0].shape == (12, 8, 8, 3)


def test_arrays_are_cropped(cache: Path) -> None:
    dataset = prepare(four(), image_size=5, resize="crop", cache=cache)
    assert dataset.train()[0].shape == (12, 5, 5, 3)
    assert dataset.preprocessing["resize"] == "crop"
    assert prepare(four(), image_size=5, cache=cache).fingerprint != dataset.fingerprint


BAD = {
    "standardised": ({"x_train": IMAGES / 128.0 - 1}, "holds float64, values from -1 .*not standardised"),
    "nan": ({"x_train": np.full((12, 6, 5, 3), np.nan)}, "values from nan"),
    "one part in 16 bits": (
        {"x_train": IMAGES.astype(np.uint16) * 257},
        r"x_test holds uint8, 8 bits: expected 16 bits \(0 to 65,535\) as in x_train; scale both alike",
    ),
    "test part from 0 to 1": (
        {"x_test": IMAGES[:6] / 255},
        r"x_test holds float64, floats: expected 8 bits \(0 to 255\) as in x_train",
    ),
    "floats of two ranges": (
        {"x_train": IMAGES.astype(np.float32), "x_test": IMAGES[:6] / 255},
        r"values from 0 to 1, far below floats 0 to 255 as in x_train",
    ),
    "training part from 0 to 1": (
        {"x_train": IMAGES / 255, "x_test": IMAGES[:6].astype(np.float32)},
        "values from 0 to 255: expected floats 0 to 1 as in x_train",
    ),
    "booleans in one part": (
        {"x_train": IMAGES > 127},
        "x_train holds bool, x_test uint8: expected one type",
    ),
    "a mask of integers": (
        {"x_train": (IMAGES > 127).astype(int)},
        "values from 0 to 1, in more than 8 bits",
    ),
    "above 16 bits": ({"x_train": IMAGES.astype(int) * 300}, "expected whole numbers from 0 to 65,535"),
    "a stray value": ({"x_train": np.where(IMAGES[0, 0, 0, 0] == IMAGES, 255, 0.5) * (IMAGES > 0)}, "in all"),
    "channels first": ({"x_train": IMAGES.transpose(0, 3, 1, 2)}, "move the channels to the end"),
    "flat": ({"x_train": IMAGES.reshape(12, -1)}, r"shape \(12, 90\)"),
    "text": ({"x_train": np.full((12, 6, 5, 3), "a")}, "expected numbers"),
    "no images": ({"x_train": IMAGES[:0], "y_train": LABELS[:0]}, "at least one image"),
    "two sizes": ({"x_test": IMAGES[:6, :4]}, "of x_test 4x5x3: expected one size"),
    "lengths differ": ({"y_train": LABELS[:11]}, "12 images, but y_train 11 labels"),
    "test lengths differ": ({"y_test": LABELS[:5]}, "6 images, but y_test 5 labels"),
    "negative label": (
        {"y_train": LABELS - 1, "y_test": LABELS[:6] - 1},
        "from -1 to 1: labels out of range",
    ),
    "label gap": (
        {"y_train": LABELS * 100, "y_test": LABELS[:6] * 100},
        "from 0 to 200: labels out of range",
    ),
    "test label": ({"y_test": LABELS[:6] + 1}, "y_test has the label 3, which y_train has not"),
    "half labels": ({"y_train": LABELS + 0.5}, "expected whole numbers"),
    "one-hot": ({"y_train": np.eye(3)[LABELS]}, "argmax"),
    "ragged": ({"x_train": [[[1, 2], [3]]] * 12}, "x_train cannot be made an array"),
    "dates": ({"y_train": LABELS.astype("datetime64[D]")}, "y_train holds datetime64"),
    "masked": ({"x_train": np.ma.masked_array(IMAGES)}, "x_train is a masked array"),
    "one class": ({"y_train": LABELS * 0, "y_test": LABELS[:6] * 0}, "one class"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arrays_are_refused_in_one_line(cache: Path, name: str) -> None:
    changed, message = BAD[name]
    with pytest.raises(InputError, match=message) as caught:
        prepare(four(**changed), cache=cache)
    assert "\n" not in str(caught.value)
    assert not list(cache.glob("*/images.npy"))


def test_three_arrays_are_refused(cache: Path) -> None:
    with pytest.raises(InputError, match="3 parts: expected the four arrays"):
        prepare((IMAGES, LABELS, IMAGES), cache=cache)

from pathlib import Path

import numpy as np
import pytest

from search.data.blank_images import blank_notes, blanks
from search.data.preparation import prepare

NOISE = np.random.default_rng(0).integers(0, 256, (12, 6, 5, 3), dtype=np.uint8)
LABELS = np.arange(12) % 3


def notes(train: np.ndarray, test: np.ndarray = NOISE[:2], names: list[str] | None = None) -> list[str]:
    return blank_notes(train, LABELS, test, ("ant", "bee", "cat"), names or [])


def test_nothing_is_said_of_pictures() -> None:
    assert notes(NOISE) == []


def test_images_of_one_colour_are_blank() -> None:
    images = NOISE.copy()
    images[1], images[2] = 77, (255, 0, 0)
    images[3, 0, 0, 0] ^= 1
    assert np.flatnonzero(blanks(images)).tolist() == [1, 2]


def test_a_blank_image_is_named() -> None:
    images = NOISE.copy()
    images[4] = 0
    assert notes(images) == [
        "warning: blank images: 1 training image of one colour (the first is number 4, counted from 0, of the class "
        "'bee'): look at them"
    ]
    assert (
        "2 training images of one colour (the first is b/4.png,"
        in notes(
            np.where(np.arange(12)[:, None, None, None] // 2 == 2, np.uint8(0), NOISE),
            names=[f"b/{i}.png" for i in range(12)],
        )[0]
    )


def test_a_blank_class_is_named() -> None:
    images = NOISE.copy()
    images[LABELS == 1] = 0
    assert notes(images) == [
        "warning: blank images: all 4 training images of the class 'bee' are of one colour: look at the files"
    ]


def test_blank_test_images_are_counted() -> None:
    assert notes(NOISE, np.zeros_like(NOISE[:3])) == ["warning: blank images: 3 test images of one colour"]


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0, 1, ["two values, 0 and 1, of 0 to 255"]),
        (0, 128, ["two values, 0 and 128, of 0 to 255"]),
        (0, 255, []),
    ],
)
def test_two_values_are_kept_and_warned_of(low: int, high: int, said: list[str], cache: Path) -> None:
    masks = np.where(NOISE > 127, np.uint8(high), np.uint8(low))
    found: list[str] = []
    dataset = prepare((masks, LABELS, masks[:6], LABELS[:6]), cache=cache, say=found.append)
    np.testing.assert_array_equal(dataset.train()[0], masks)
    assert [line for line in said if line not in "\n".join(found)] == []
    assert ("two values" in "\n".join(found)) == bool(said)


def test_few_values_are_warned_of() -> None:
    assert "hold values from 0 to 16 of 0 to 255" in notes(NOISE // 16 + NOISE // 255)[0]
    assert notes(NOISE // 8 + NOISE // 200)[0:] == []

"""The predictions of a trial's folds: put together, and not believed where anything is amiss."""

from pathlib import Path

import numpy as np
import pytest

from search.training.predictions import read_predictions, write_predictions

FOLD_OF = np.array([0, 1, 0, 1, 1])
LOGITS = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    found = [tmp_path / f"{fold}.npz" for fold in (0, 1)]
    for fold, file in enumerate(found):
        chosen = np.flatnonzero(fold == FOLD_OF)
        write_predictions(file, fold, chosen, LOGITS[chosen])
    return found


def test_predictions_of_all_folds_are_put_in_the_order_of_the_images(files: list[Path]) -> None:
    np.testing.assert_array_equal(read_predictions(files, FOLD_OF, 3), LOGITS)


def test_predictions_with_a_fold_that_is_absent_are_none(files: list[Path]) -> None:
    files[1].unlink()
    assert read_predictions(files, FOLD_OF, 3) is None
    assert read_predictions(files[:1], FOLD_OF, 3) is None


def test_predictions_with_a_damaged_byte_are_none(files: list[Path]) -> None:
    data = bytearray(files[0].read_bytes())
    data[data.index(b"array00001.npy") + 140] ^= 1
    files[0].write_bytes(data)
    assert read_predictions(files, FOLD_OF, 3) is None


def test_predictions_of_other_images_folds_or_classes_are_none(files: list[Path]) -> None:
    assert read_predictions(files, FOLD_OF[::-1], 3) is None
    assert read_predictions(files[::-1], FOLD_OF, 3) is None
    assert read_predictions(files, FOLD_OF, 4) is None


def test_predictions_that_are_no_numbers_are_none(files: list[Path]) -> None:
    write_predictions(files[0], 0, np.array([0, 2]), np.full((2, 3), np.nan, np.float32))
    assert read_predictions(files, FOLD_OF, 3) is None

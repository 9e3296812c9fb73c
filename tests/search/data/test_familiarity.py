"""Whether images are anything like the training images, by features that are made up."""

from pathlib import Path

import numpy as np
import pytest

from search.data.familiarity import (
    FILE,
    NEAREST,
    QUANTILE,
    Familiarity,
    measure_familiarity,
    read_familiarity,
    write_familiarity,
)
from search.errors import InputError


def of_kind(kind: int, count: int, seed: int = 0) -> np.ndarray:
    """Features that point about where those of their kind do, of many lengths."""
    random = np.random.default_rng((kind, seed))
    features = random.random((count, 64)) * 0.5
    features[:, 20 * kind : 20 * kind + 20] += 1
    return (features * random.uniform(0.5, 3, (count, 1))).astype(np.float32)


@pytest.fixture
def known() -> Familiarity:
    found = measure_familiarity(of_kind(0, 200))
    assert found is not None
    return found


def test_images_of_another_kind_are_unlike_and_new_ones_of_the_same_kind_are_not(known: Familiarity) -> None:
    assert known.unlike(of_kind(1, 100)).all()
    assert known.unlike(of_kind(0, 300, seed=1)).mean() == pytest.approx(QUANTILE, abs=0.03)


def test_length_of_features_is_no_matter(known: Familiarity) -> None:
    features = of_kind(0, 50, seed=2)
    np.testing.assert_array_equal(known.unlike(features), known.unlike(40 * features))


def test_too_few_images_tell_nothing() -> None:
    assert measure_familiarity(of_kind(0, NEAREST)) is None
    assert measure_familiarity(of_kind(0, NEAREST + 1)) is not None


def test_file_tells_the_same(known: Familiarity, tmp_path: Path) -> None:
    write_familiarity(tmp_path / FILE, known)
    read = read_familiarity(tmp_path)
    assert read is not None
    np.testing.assert_array_equal(read.features, known.features)
    assert read.least == known.least


def test_export_without_the_file_tells_nothing(tmp_path: Path) -> None:
    assert read_familiarity(tmp_path) is None


def test_spoilt_file_is_refused_by_name(known: Familiarity, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"x")
    with pytest.raises(InputError, match=r"its familiarity\.npz is spoilt .* delete it, or export again"):
        read_familiarity(tmp_path)
    write_familiarity(tmp_path / FILE, Familiarity(known.features, 7.0))
    with pytest.raises(InputError, match="its numbers are no likeness"):
        read_familiarity(tmp_path)

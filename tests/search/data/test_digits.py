from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from search.data.preparation import prepare


def test_digits_are_all_there_in_8_bits(cache: Path) -> None:
    dataset = prepare("digits", cache=cache)
    images = np.concatenate([dataset.train()[0], dataset.test()[0]])
    assert images.shape == (1797, 8, 8, 1)
    assert np.unique(images).tolist() == np.rint(np.arange(17) * 255 / 16).tolist()
    assert (dataset.classes, dataset.flip) == (tuple("0123456789"), False)


def test_digits_split_is_stratified_and_disjoint(cache: Path) -> None:
    dataset = prepare("digits", cache=cache)
    assert sum(dataset.test_counts) == 359
    together = np.add(dataset.train_counts, dataset.test_counts)
    assert together.tolist() == np.bincount(load_digits().target).tolist()
    assert max(dataset.test_counts) - min(dataset.test_counts) <= 2


def test_digits_of_another_seed_or_fraction_differ(cache: Path) -> None:
    names = {
        prepare("digits", cache=cache, seed=seed, test=test).fingerprint
        for seed, test in [(0, 0.2), (1, 0.2), (0, 0.3)]
    }
    assert len(names) == 3


def test_digits_are_resized(cache: Path) -> None:
    assert prepare("digits", image_size=16, cache=cache).train()[0].shape[1:] == (16, 16, 1)

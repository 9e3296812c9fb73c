import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier
from sklearn.svm import SVC

from search.errors import InputError
from search.metrics import baselines
from search.metrics.baselines import check_baselines, evenly_spaced, fit_baseline


@pytest.fixture
def images() -> tuple[np.ndarray, np.ndarray]:
    """Three hundred grey images of three classes that a linear model tells apart, mostly; sorted by class."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(3, dtype=np.int64), 100)
    pixels = random.integers(0, 200, (300, 6, 6, 1))
    pixels[np.arange(300), labels, 0, 0] += 55
    return pixels.astype(np.uint8), labels


def test_svm_equals_scikit_learn_called_by_hand(images: tuple[np.ndarray, np.ndarray]) -> None:
    pixels, labels = images
    chosen = np.arange(0, 300, 2)
    by_hand = SVC(kernel="linear", C=1.0).fit(pixels[chosen].reshape(150, -1) / 255, labels[chosen])
    found = fit_baseline("svm", pixels, labels, chosen, 0)

    assert found.how.startswith("exact, SVC")
    assert (found.predict(pixels) == by_hand.predict(pixels.reshape(300, -1) / 255)).all()


@pytest.mark.parametrize("name", ["svm", "logistic"])
def test_fit_that_would_take_long_is_approximate_and_says_so(
    images: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(baselines, "MOST_WORK", 1.0)
    found = fit_baseline(name, *images, np.arange(300), 0)

    assert isinstance(found.estimator, SGDClassifier)
    assert found.how.startswith("approximate, SGDClassifier")
    assert (found.predict(images[0]) == images[1]).mean() > 0.5


def test_images_over_the_memory_are_taken_evenly(
    images: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baselines, "MOST_PIXELS", 36 * 30)
    found = fit_baseline("svm", *images, np.arange(300), 0)

    assert found.images == 30
    assert list(found.estimator.classes_) == [0, 1, 2]


def test_evenly_takes_all_where_they_are_few() -> None:
    assert evenly_spaced(np.arange(5), 9).tolist() == [0, 1, 2, 3, 4]
    assert evenly_spaced(np.arange(100), 3).tolist() == [0, 50, 99]


def test_unknown_baseline_is_refused() -> None:
    assert check_baselines(["logistic", "svm", "svm"]) == ("svm", "logistic")
    with pytest.raises(InputError, match="--baseline 'tree': expected one or more of svm, logistic"):
        check_baselines(["tree"])

from itertools import pairwise

import numpy as np
import pytest

from search.metrics.calibration import calibration_error, fit_temperature, least_loss
from search.metrics.classification import Scores


def drawn(count: int, temperature: float, seed: int = 0) -> Scores:
    """Labels drawn from softmax(logits / temperature): the scores are off by exactly this temperature."""
    random = np.random.default_rng(seed)
    logits = random.normal(scale=4, size=(count, 5)).astype(np.float32)
    noise = random.gumbel(size=logits.shape)
    return Scores((logits / temperature + noise).argmax(axis=1).astype(np.int64), logits)


@pytest.mark.parametrize("temperature", [0.5, 2.5])
def test_temperature_is_the_one_that_the_labels_were_drawn_at(temperature: float) -> None:
    assert fit_temperature(drawn(20_000, temperature)) == pytest.approx(temperature, rel=0.05)


def test_temperature_mends_the_calibration_of_other_images() -> None:
    fitted = fit_temperature(drawn(5_000, 2.5))
    test = drawn(5_000, 2.5, seed=1)

    assert fitted is not None
    assert calibration_error(test) > 0.1
    assert calibration_error(Scores(test.labels, test.logits, fitted)) < 0.03


def test_temperature_changes_no_predicted_class() -> None:
    scores = drawn(500, 2.0)

    assert (Scores(scores.labels, scores.logits, 2.0).predicted == scores.predicted).all()


def right(count: int, certainty: float) -> Scores:
    """Images all classified right, each with this confidence."""
    labels = np.arange(count, dtype=np.int64) % 5
    return Scores(labels, np.log(4 * certainty / (1 - certainty)) * np.eye(5, dtype=np.float32)[labels])


def test_temperature_without_a_mistake_is_what_no_mistake_leaves_possible() -> None:
    """A net 88 % sure of 144 images, each of which it had right, was said to show no need of a temperature."""
    unsure = right(144, 0.88)
    fitted = fit_temperature(unsure)

    assert fitted is not None
    assert fitted < 1
    # The rule of three: no mistake among n says that there are fewer than 3 in n.
    assert Scores(unsure.labels, unsure.logits, fitted).confidence == pytest.approx(np.exp(-3 / 144))


def test_temperature_without_a_mistake_is_none_where_that_may_be_chance() -> None:
    assert fit_temperature(right(144, 0.985)) is None
    assert fit_temperature(right(10, 0.75)) is None
    assert fit_temperature(right(10, 0.7)) is not None


def test_temperature_of_outputs_without_a_difference_is_none() -> None:
    assert fit_temperature(Scores(np.zeros(50, np.int64), np.zeros((50, 5), np.float32))) is None


def test_temperature_of_a_smoothed_net_mends_the_calibration_of_other_images() -> None:
    """Digits: trained with smoothed labels, right nearly always, and never sure."""
    sharp = drawn(4_000, 0.3, seed=2)
    validation, test = (
        Scores(sharp.labels[part], sharp.logits[part]) for part in (slice(2000), slice(2000, None))
    )
    chosen = np.flatnonzero(validation.predicted == validation.labels)[:150]
    fitted = fit_temperature(Scores(validation.labels[chosen], validation.logits[chosen]))

    assert fitted is not None
    assert calibration_error(Scores(test.labels, test.logits, fitted)) < calibration_error(test) / 2


def test_temperature_that_chance_explains_is_none() -> None:
    assert fit_temperature(drawn(24, 1.0)) is None


def test_temperature_out_of_bounds_is_none() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(scale=50, size=(500, 5)).astype(np.float32)
    labels = random.integers(0, 5, 500)  # outputs that know nothing: the hotter the better

    assert fit_temperature(Scores(labels, logits)) is None


def test_least_loss_is_that_of_the_best_temperature_and_the_same_for_outputs_that_are_scaled() -> None:
    random = np.random.default_rng(0)
    labels, logits = random.integers(0, 3, 300), random.normal(size=(300, 3)).astype(np.float32)
    logits[np.arange(300), labels] += 2
    found = least_loss(Scores(labels, logits))
    around = [Scores(labels, logits, temperature).loss for temperature in np.geomspace(0.2, 5, 400)]
    assert found == pytest.approx(min(around), abs=1e-4)
    assert found <= Scores(labels, logits).loss
    assert least_loss(Scores(labels, 5 * logits)) == pytest.approx(found, abs=1e-5)


def test_calibration_error_is_that_of_its_definition() -> None:
    scores = drawn(300, 2.0)
    edges = np.linspace(0, 1, 16)
    expected = 0.0
    for low, high in pairwise(edges):
        inside = (scores.confidence >= low) & (scores.confidence < high)
        if inside.any():
            right = np.mean(scores.predicted[inside] == scores.labels[inside])
            expected += inside.mean() * abs(scores.confidence[inside].mean() - right)

    assert calibration_error(scores) == pytest.approx(expected)


def test_calibration_error_counts_a_confidence_of_one() -> None:
    logits = np.array([[1e4, 0.0], [1e4, 0.0]], dtype=np.float32)

    assert calibration_error(Scores(np.array([0, 1], dtype=np.int64), logits)) == pytest.approx(0.5)

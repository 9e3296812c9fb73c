"""How much better a configuration is than the default, shrunk by its noise."""

import math

import pytest

from search.exporting.advantage import advantages, noise


def test_noise_of_rounds_and_configurations_is_none() -> None:
    variance, freedom = noise({0: [0.1, 0.4, 0.3], 1: [0.3, 0.6, 0.5]}, 0.0)
    assert variance == pytest.approx(0.0)
    assert freedom == 2


def test_noise_is_at_least_that_of_one_image() -> None:
    assert noise({0: [0.5, 0.6], 1: [0.6, 0.7]}, 0.1)[0] == pytest.approx(0.01 / 12)


def test_little_is_left_of_a_lead_of_less_than_its_error() -> None:
    found = advantages({0: [0.90, 0.94], 5: [0.93, 0.92]}, 0, 0.0, lower_is_better=False)[5]
    assert found.gap == pytest.approx(0.005)
    assert found.error > found.gap
    assert 0 < found.shrunk < found.gap / 4
    assert 0.5 < found.probability < 0.6


def test_lead_of_two_errors_keeps_four_fifths() -> None:
    # Two differences of 0.01 and 0.03: their mean, 0.02, has the standard error 0.01.
    found = advantages({0: [0.5, 0.5], 5: [0.51, 0.53]}, 0, 0.0, lower_is_better=False)[5]
    assert (found.gap, found.error) == (pytest.approx(0.02), pytest.approx(0.01))
    assert found.shrunk == pytest.approx(0.8 * 0.02)
    assert found.probability == pytest.approx(0.5 + math.atan(math.sqrt(0.8 * 4)) / math.pi)


def test_one_that_is_behind_is_probably_worse() -> None:
    found = advantages({0: [0.5, 0.5], 5: [0.49, 0.47]}, 0, 0.0, lower_is_better=False)[5]
    assert found.gap == pytest.approx(-0.02)
    assert found.probability == pytest.approx(0.5 - math.atan(math.sqrt(0.8 * 4)) / math.pi)


def test_lower_loss_is_ahead() -> None:
    found = advantages({0: [0.50, 0.52], 5: [0.40, 0.44]}, 0, 0.0, lower_is_better=True)[5]
    assert found.gap == pytest.approx(0.09)
    assert found.shrunk > 0


def test_equal_values_prove_nothing() -> None:
    found = advantages({0: [0.5, 0.5], 5: [0.5, 0.5]}, 0, 0.0, lower_is_better=False)[5]
    assert (found.gap, found.shrunk, found.probability) == (0.0, 0.0, 0.5)

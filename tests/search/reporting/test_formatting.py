"""Figures and intervals that the report computes itself."""

import pytest

from search.formatting import count
from search.reporting.formatting import (
    DASH,
    accuracy_interval,
    decimal_or_dash,
    interval_of_test,
    macro_f1_interval,
    si_units,
)


def test_macro_f1_interval_holds_the_figure_and_is_the_same_again() -> None:
    matrix = [[45, 5], [10, 40]]
    low, high = macro_f1_interval(matrix)
    assert low < 0.8496 < high
    assert high - low == pytest.approx(0.14, abs=0.03)
    assert macro_f1_interval(matrix) == (low, high)


def test_macro_f1_interval_narrows_with_more_images() -> None:
    few, many = macro_f1_interval([[9, 1], [2, 8]]), macro_f1_interval([[900, 100], [200, 800]])
    assert many[1] - many[0] < 0.2 * (few[1] - few[0])


def test_macro_f1_interval_bears_a_class_without_images() -> None:
    low, high = macro_f1_interval([[10, 0, 0], [0, 10, 0], [0, 0, 0]])
    assert (low, high) == (1, 1)


def test_interval_of_the_test_is_wilsons_where_a_summary_has_none() -> None:
    low, high = interval_of_test({"test_accuracy": 0.873, "test_images": 10_000})
    assert (low, high) == (pytest.approx(0.8663, abs=1e-4), pytest.approx(0.8794, abs=1e-4))


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_what_is_no_number_is_a_dash(value: float | None) -> None:
    assert decimal_or_dash(value) == DASH


def test_interval_of_no_images_is_a_dash() -> None:
    assert accuracy_interval(0.5, 0) == DASH


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0 FLOP"),
        (999, "999 FLOP"),
        (405_568, "406 kFLOP"),
        (999_499, "999 kFLOP"),
        (999_500, "1 MFLOP"),
        (1.9e14, "190 TFLOP"),
    ],
)
def test_large_numbers_are_said_by_their_power(number: float, words: str) -> None:
    assert si_units(number, "FLOP") == words


def test_one_thing_is_not_many() -> None:
    assert [count(1, "trial"), count(2, "trial"), count(0, "class", "classes")] == [
        "1 trial",
        "2 trials",
        "0 classes",
    ]

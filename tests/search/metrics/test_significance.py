"""Whether cells differ by more than noise, on made-up numbers."""

import pytest
from scipy.stats import f_oneway

from search.metrics.significance import compare_cells


def test_repeats_close_together_and_cells_far_apart_exceed_the_noise() -> None:
    cells = {"filters=16": [0.60, 0.61, 0.605], "filters=32": [0.65, 0.655, 0.645]}
    verdict = compare_cells(cells, 5000)
    assert verdict.differ is True
    assert verdict.p == pytest.approx(f_oneway(*cells.values()).pvalue)
    assert "exceed the noise between repeats" in verdict.sentence
    assert "from 60.50% (filters=16) to 65.00% (filters=32)" in verdict.sentence
    assert "over 6 runs" in verdict.sentence


def test_repeats_as_far_apart_as_cells_do_not_exceed_it() -> None:
    verdict = compare_cells({"a": [0.60, 0.66, 0.63], "b": [0.61, 0.65, 0.64]}, 5000)
    assert verdict.differ is False
    assert "do not exceed the noise" in verdict.sentence


def test_repeats_that_are_all_alike_are_no_division_by_zero() -> None:
    assert 0.0 < (compare_cells({"a": [0.5, 0.5], "b": [0.6, 0.6]}, 100).p or 0.0) < 0.01
    assert compare_cells({"a": [0.5, 0.5], "b": [0.5, 0.5]}, 100).p == 1.0


def test_noise_that_is_that_of_rounding_is_not_said_to_be_of_the_repeats() -> None:
    sentence = compare_cells({"a": [0.5, 0.5], "b": [0.6, 0.6]}, 100).sentence
    assert (
        "the repeats of one cell 0.00, taken as 0.29 since an accuracy is rounded to whole images" in sentence
    )
    assert "taken as" not in compare_cells({"a": [0.5, 0.52], "b": [0.6, 0.6]}, 100).sentence


def test_difference_of_one_image_is_not_certain_where_repeats_are_alike() -> None:
    verdict = compare_cells({"a": [0.50, 0.50], "b": [0.51, 0.51]}, 100)
    assert verdict.p is not None
    assert verdict.p > 0.001


def test_one_repeated_cell_among_single_ones_is_enough_to_judge() -> None:
    assert compare_cells({"a": [0.5, 0.51], "b": [0.7], "c": [0.3]}, 100).differ is True


def test_one_run_a_cell_cannot_tell_and_is_compared_with_the_binomial_error() -> None:
    verdict = compare_cells({"a": [0.60], "b": [0.61]}, 400)
    assert (verdict.differ, verdict.p) == (None, None)
    assert verdict.sentence.startswith("One run a cell cannot tell")
    assert "standard error of 2.44 points" in verdict.sentence  # sqrt(0.605 * 0.395 / 400)
    assert "up to 6.78 points" in verdict.sentence  # 1.96 times the square root of two of that
    assert "this is within the noise; --repeat 3 would tell" in verdict.sentence


def test_one_run_a_cell_that_differs_by_more_than_the_images_noise_may_still_be_chance() -> None:
    verdict = compare_cells({"a": [0.50], "b": [0.70]}, 5000)
    assert verdict.differ is None
    assert "more than the validation images' noise, and may still be the training's" in verdict.sentence


@pytest.mark.parametrize("runs", [1, 2])
def test_cells_that_are_all_alike_are_said_to_be(runs: int) -> None:
    sentence = compare_cells({"a": [2 / 3] * runs, "b": [2 / 3] * runs}, 24).sentence
    assert "validation accuracy is 66.67% in all cells; " in sentence


@pytest.mark.parametrize(("cells", "says"), [({}, "No cell"), ({"a": [0.5, 0.6]}, "Only one cell")])
def test_fewer_than_two_cells_are_not_compared(cells: dict[str, list[float]], says: str) -> None:
    verdict = compare_cells(cells, 100)
    assert verdict.differ is None
    assert verdict.sentence.startswith(says)


def test_one_class_alone_is_no_error() -> None:
    assert "within the noise" in compare_cells({"a": [1.0], "b": [1.0]}, 10).sentence

"""Which of several backbones is taken: by what is right, and by a study of two."""

import numpy as np
import pytest

from search.study.backbone_choice import cheapest_as_good


@pytest.mark.parametrize(
    ("only_dear", "only_cheap", "chosen"), [(6, 2, 0), (4, 2, 1), (0, 0, 1), (1, 0, 1), (2, 4, 1)]
)
def test_cheapest_within_a_standard_error_of_the_best_is_taken(
    only_dear: int, only_cheap: int, chosen: int
) -> None:
    right = np.ones((2, 245), bool)
    right[1, :only_dear] = False
    right[0, 100 : 100 + only_cheap] = False
    assert cheapest_as_good(right, [9.0, 1.0]) == chosen


def test_of_equally_cheap_ones_the_better_is_taken() -> None:
    right = np.ones((2, 50), bool)
    right[0, 0] = False
    assert cheapest_as_good(right, [1.0, 1.0]) == 1

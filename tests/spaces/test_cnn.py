"""What the default space tries first, by the compute that there is."""

import pytest

from spaces import cnn
from spaces.contract import InputSpec


def first_widths(passes: float) -> list[int]:
    """Filters of the configurations of its own, where 32 filters would make so many passes; 0 for unknown."""
    unknown = InputSpec(32, 32, 3, 10)
    compute = 3 * passes * cnn.cost(cnn.first(unknown)[0], unknown).flops
    return [values["filters"] for values in cnn.first(InputSpec(32, 32, 3, 10, compute=compute))]


@pytest.mark.parametrize("passes", [0, 6, 10, 19])
def test_default_is_as_it_is_for_about_ten_passes(passes: float) -> None:
    assert first_widths(passes) == [32, 56, 16]


@pytest.mark.parametrize(("passes", "default"), [(33, 56), (58, 80), (3, 16), (1000, 96)])
def test_default_is_as_wide_as_makes_ten_passes(passes: float, default: int) -> None:
    widths = first_widths(passes)
    assert widths[0] == default
    assert len(widths) == len(set(widths)), "each is another configuration"

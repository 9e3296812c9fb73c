"""Which of several nets is preferred, and which are worth their cost."""

import pytest

from search.metrics.preference import PREFERENCES, Priced, front, mean_error, preferred, share_error

NETS = [Priced(4, 0.95, 9e6, 300_000), Priced(7, 0.942, 2e6, 90_000), Priced(2, 0.931, 1e6, 40_000)]


def numbers(error: float | None, nets: list[Priced] = NETS, lower: bool = False) -> list[int]:
    return [preferred(nets, nets[0], what, error, lower_is_better=lower).number for what in PREFERENCES]


def test_cheapest_within_one_standard_error_is_balanced_and_smallest_within_two_points_small() -> None:
    assert numbers(0.0114) == [4, 7, 2]


def test_best_is_balanced_where_the_others_are_further_away_or_the_noise_is_unknown() -> None:
    assert numbers(0.001) == [4, 4, 2]
    assert numbers(None)[1] == 4


def test_net_that_is_just_within_reach_counts() -> None:
    assert numbers(0.95 - 0.942)[1] == 7


def test_lower_losses_are_better() -> None:
    losses = [Priced(4, 0.20, 9e6, 300_000), Priced(7, 0.21, 2e6, 90_000), Priced(2, 0.30, 1e6, 40_000)]
    assert numbers(0.02, losses, lower=True)[:2] == [4, 7]


def test_of_equally_cheap_nets_the_better_is_taken() -> None:
    equal = [Priced(4, 0.95, 1e6, 10), Priced(5, 0.94, 1e6, 10)]
    assert numbers(0.02, equal) == [4, 4, 4]


def test_parameters_count_where_operations_do_not_compare() -> None:
    over_backbones = [Priced(1, 0.95, None, 300), Priced(2, 0.95, None, 100)]
    assert numbers(0.01, over_backbones) == [1, 2, 2]


def test_front_has_what_no_other_beats_in_both() -> None:
    nets = [*NETS, Priced(9, 0.93, 3e6, 1), Priced(11, 0.95, 9e6, 1), Priced(12, 0.931, 1e6, 1)]
    found = front(nets, lambda net: net.cost[0], lower_is_better=False)
    assert [net.number for net in found] == [2, 7, 4]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_error_of_a_share_is_about_the_binomial_one_and_never_nothing(share: float) -> None:
    about = (share * (1 - share) / 100) ** 0.5
    assert share_error(share, 100) == pytest.approx(about, abs=0.011)
    assert share == 0.0 or share_error(share, 100) > 0.009


def test_error_of_a_mean_takes_two_values() -> None:
    assert mean_error([0.9]) is None
    assert mean_error([0.8, 1.0]) == pytest.approx(0.1)

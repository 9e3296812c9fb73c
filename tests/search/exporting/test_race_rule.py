"""The rules of the race, on numbers."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from search.exporting.race_rule import LEVEL, MOST_ROUNDS, eliminations, entrant_count, leader, why_over


@pytest.mark.parametrize(
    ("costs", "budget", "count"),
    [
        ([1, 1, 1, 1, 1, 1], 100, 4),
        ([1, 1, 1, 1], 8, 4),
        ([1, 1, 1, 1], 7.9, 3),
        ([1, 1, 1, 1], 4, 2),
        ([1, 1, 1, 1], 2, 2),
        ([1, 1, 1, 1], 1.9, 0),
        ([1, 9, 1, 1], 7, 0),
        ([1], 100, 0),
        ([], 100, 0),
    ],
)
def test_entrants_are_as_many_as_two_rounds_are_paid_for(costs, budget, count) -> None:
    assert entrant_count(costs, budget) == count


def test_rival_that_is_behind_with_every_seed_drops_out() -> None:
    values = {3: [0.950, 0.961, 0.955], 8: [0.900, 0.912, 0.904]}
    found = eliminations(values, 0.001, lower_is_better=False)

    assert list(found) == [8]
    assert found[8].leader == 3
    assert found[8].gap == pytest.approx(0.05)
    assert "0.0500 behind trial 3" in found[8].reason


def test_of_two_it_is_the_paired_t_test() -> None:
    ours, theirs = [0.95, 0.97, 0.93, 0.96], [0.93, 0.965, 0.90, 0.965]
    open_, settled = {0: ours, 1: theirs}, {0: ours, 1: [*theirs[:3], 0.94]}

    assert ttest_rel(*open_.values(), alternative="greater").pvalue > LEVEL
    assert not eliminations(open_, 0, lower_is_better=False)
    expected = ttest_rel(*settled.values(), alternative="greater")
    assert expected.pvalue < LEVEL
    assert eliminations(settled, 0, lower_is_better=False)[1].t == pytest.approx(expected.statistic)


def test_seeds_that_are_good_or_bad_for_all_are_no_noise() -> None:
    """Unpaired, the spread over the seeds would hide the difference."""
    values = {0: [0.70, 0.80, 0.90], 1: [0.68, 0.779, 0.881]}

    assert list(eliminations(values, 0.0001, lower_is_better=False)) == [1]


def test_difference_within_the_noise_is_undecided() -> None:
    values = {0: [0.95, 0.90, 0.93], 1: [0.92, 0.93, 0.92], 2: [0.94, 0.91, 0.90]}

    assert eliminations(values, 0.001, lower_is_better=False) == {}


def test_one_round_decides_nothing() -> None:
    assert eliminations({0: [0.9], 1: [0.1]}, 0.001, lower_is_better=False) == {}


def test_two_equal_differences_of_one_image_are_no_proof() -> None:
    """On 100 images both say one image more, with no spread at all."""
    assert eliminations({0: [0.95, 0.94], 1: [0.94, 0.93]}, 0.01, lower_is_better=False) == {}
    assert list(eliminations({0: [0.95, 0.94], 1: [0.90, 0.89]}, 0.01, lower_is_better=False)) == [1]


def test_of_losses_the_lower_lead() -> None:
    values = {0: [0.9, 0.95, 0.92], 1: [0.2, 0.25, 0.23]}

    assert leader(values, lower_is_better=True) == 1
    assert list(eliminations(values, 0, lower_is_better=True)) == [0]


def test_of_equal_means_the_first_leads() -> None:
    assert leader({5: [0.9, 0.8], 2: [0.8, 0.9]}, lower_is_better=False) == 5
    assert eliminations({5: [0.9, 0.8], 2: [0.9, 0.8]}, 0, lower_is_better=False) == {}


def test_best_configuration_rarely_drops_out() -> None:
    random, lost, settled = np.random.default_rng(0), 0, 0
    for _ in range(300):
        shared, own = random.normal(size=(1, MOST_ROUNDS)), random.normal(size=(3, MOST_ROUNDS))
        table = 0.9 + 0.01 * (own + shared - np.array([[0.0], [1.0], [2.0]]))
        racing = {0, 1, 2}
        for rounds in range(1, MOST_ROUNDS + 1):
            values = {name: table[name, :rounds].tolist() for name in sorted(racing)}
            racing -= set(eliminations(values, 0.0001, lower_is_better=False))
        lost += 0 not in racing
        settled += racing == {0}

    assert lost <= 9
    assert settled >= 90


@pytest.mark.parametrize(
    ("racing", "rounds", "spent", "why"),
    [
        (1, 2, 4.0, "decided"),
        (0, 1, 2.0, "decided"),
        (2, MOST_ROUNDS, 4.0, "rounds"),
        (2, 2, 8.1, "compute"),
        (2, 2, 8.0, ""),
        (2, 0, 0.0, ""),
    ],
)
def test_race_is_over_once_decided_run_or_paid(racing: int, rounds: int, spent: float, why: str) -> None:
    assert why_over(racing, rounds, spent, next_round=2.0, budget=10.0) == why

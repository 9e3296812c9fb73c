"""The rule of the race: which of the best configurations is really the best, at a bounded cost.

Idea: a search reports the highest of many noisy values, so that its winner owes a part of its value to luck (Cawley and
Talbot, JMLR 11, 2010). A race trains the best few configurations again, all with the same fresh seeds, one seed a
round. After each round it drops those that are clearly behind, so that its compute goes to those between whom the
question is open (Maron and Moore, NIPS 1994; F-Race: Birattari et al., GECCO 2002; with blocks and a t-test as in
irace: Lopez-Ibanez et al., 2016).

Rule: let ``x[i, s]`` be the value of configuration ``i`` with seed ``s``, for ``k`` configurations that still race and
``r`` rounds. A seed that is good or bad for all tells nothing of their order. The noise is therefore what remains when
the means of configurations and of seeds are taken off:

    e[i, s] = x[i, s] - mean of i - mean of s + mean of all
    v       = sum of e[i, s]^2 / ((k - 1) (r - 1))
    t[i]    = (mean of the leader - mean of i) / sqrt(2 v / r)

From the second round on, configuration ``i`` drops out where ``t[i]`` exceeds the quantile ``1 - 0.05 / (k - 1)`` of
Student's t with ``(k - 1) (r - 1)`` degrees of freedom. For two configurations this is the one-sided paired t-test. For
more, the noise of all pairs is pooled, because two or three differences of one pair say next to nothing of it, and the
level is divided by the number of rivals, so that any configuration may turn out to be the leader (comparisons with the
best: Hsu, Annals of Statistics 12, 1984; Bonferroni's bound in place of Dunnett's).

Example: three configurations after two rounds, with means 0.955, 0.950 and 0.910. Then v = 0.0000167 with 2 degrees of
freedom, sqrt(2 v / 2) = 0.0041, and the bound is 4.3. Trial 2 is 1.2 standard errors behind and races on; trial 3 is
11.0 behind and drops out:

    >>> values = {1: [0.95, 0.96], 2: [0.94, 0.96], 3: [0.90, 0.92]}
    >>> {number: each.reason for number, each in eliminations(values, 0, lower_is_better=False).items()}
    {3: '0.0450 behind trial 1 in the mean, 11.0 standard errors (over 4.3, one-sided 95 %, is taken for clear)'}

The best mean is exported, of equal ones the default's; and a race against the default is over as soon as nobody is
ahead of it, which saves two thirds of the compute. With the best two of five configurations that are as good as the
default on average, with a deviation of 2 points, races on some 170 photographs gain (``benchmarks/races.py``)

    this rule                                                1.4 of 2.3 points     2 of 100 exports are 0.5 worse
    the default, where a lead is within one standard error   1.1                   1
    the best mean, and no end before the last round          1.6                   3

As in F-Race, the level is not corrected for being asked again after every round: the best of two to four configurations
dropped out in 1 to 4 of 100 simulated races in which it was ahead by half the noise of a value.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from search.exporting.advantage import Values, noise

# In a study whose trials count epochs at most so many configurations race, each trained with at most so many seeds.
MOST_RACERS, MOST_ROUNDS = 4, 5
# A comparison needs a spread, which takes two values.
LEAST_ROUNDS = 2
# The part of the search's compute that a race may take there.
COMPUTE_SHARE = 0.25
LEVEL = 0.05


@dataclass(frozen=True)
class Elimination:
    """Why a configuration drops out.

    Attributes:
        leader: The configuration with the best mean.
        gap: How far the eliminated one's mean is behind; above zero.
        t: The gap in standard errors of the difference of two means.
        bound: The quantile that ``t`` exceeds.
    """

    leader: int
    gap: float
    t: float
    bound: float

    @property
    def reason(self) -> str:
        """The same in words."""
        return (
            f"{self.gap:.4f} behind trial {self.leader} in the mean, {self.t:.1f} standard errors "
            f"(over {self.bound:.1f}, one-sided 95 %, is taken for clear)"
        )


def entrant_count(costs: Sequence[float], budget: float) -> int:
    """How many of the best configurations may race: as many as the budget pays two rounds for.

    Where it does not pay two rounds for the best two, these two run one round.

    Args:
        costs: FLOPs of one training of each configuration, the search's best first.
        budget: FLOPs for all trainings together.

    Returns:
        The number; 0 where there can be no race.
    """
    for count in range(min(MOST_RACERS, len(costs)), 1, -1):
        if LEAST_ROUNDS * sum(costs[:count]) <= budget:
            return count
    return 2 if len(costs) >= 2 and sum(costs[:2]) <= budget else 0


def leader(values: Values, *, lower_is_better: bool) -> int:
    """The configuration with the best mean; of equal ones the first."""
    sign = 1 if lower_is_better else -1
    return min(values, key=lambda number: sign * fmean(values[number]))


def eliminations(values: Values, step: float, *, lower_is_better: bool) -> dict[int, Elimination]:
    """The configurations that are clearly behind the leader, by the rule at the head of this module.

    Args:
        values: Of those that still race: finite, and equally many of each.
        step: The difference that one validation image makes, where values come in such steps, else 0. No value is known
            more precisely, so that two equal differences are no proof of a third.
        lower_is_better: Whether the values are losses.

    Returns:
        Each such configuration with the reason; empty before there are two rounds.
    """
    from scipy.stats import t

    if len(values) < 2 or min(map(len, values.values())) < LEAST_ROUNDS:
        return {}
    variance, freedom = noise(values, step)
    means = {number: float(np.mean(row)) for number, row in values.items()}
    error = math.sqrt(2 * variance / min(map(len, values.values())))
    bound = float(t.ppf(1 - LEVEL / (len(values) - 1), freedom))
    first = leader(values, lower_is_better=lower_is_better)
    compared = {
        number: Elimination(first, gap, gap / error if error else math.inf, bound)
        for number, value in means.items()
        if (gap := abs(value - means[first])) > 0
    }
    return {number: elimination for number, elimination in compared.items() if elimination.t > bound}


def nobody_ahead(values: Values, default: int | None, *, lower_is_better: bool) -> bool:
    """Whether the default configuration is better, on the mean, than all others that still race.

    Args:
        values: Of those that still race, equally many of each.
        default: Number of its trial; None where it does not race.
        lower_is_better: Whether the values are losses.
    """
    if default is None or not values.get(default):
        return False
    sign = 1 if lower_is_better else -1
    means = {number: sign * fmean(row) for number, row in values.items()}
    return all(mean > means[default] for number, mean in means.items() if number != default)


def why_over(
    racing: int,
    rounds: int,
    spent: float,
    next_round: float,
    budget: float,
    most: int = MOST_ROUNDS,
    *,
    hopeless: bool = False,
) -> str:
    """Why the race ends before another round: ``decided``, ``behind``, ``rounds``, ``compute``; empty where it goes on.

    Args:
        racing: Number of configurations that still race.
        rounds: Number of rounds run.
        spent: FLOPs of these rounds.
        next_round: FLOPs that another round would take.
        budget: FLOPs for the whole race.
        most: The most rounds.
        hopeless: Whether nobody is ahead of the default, where that is what counts.
    """
    if racing < 2:
        return "decided"
    if rounds >= most:
        return "rounds"
    if hopeless:
        return "behind"
    return "compute" if spent + next_round > budget else ""

"""The race's rules, on numbers alone: how many enter, who is clearly behind, when it is over.

A search reports the highest of many noisy values, so that its winner's own value promises too much and its winner may
be none (Cawley and Talbot, JMLR 11, 2010). A race trains the best few again, all with the same seeds, and drops out
those that are clearly behind, so that what it may spend goes to those between whom it is open (Maron and Moore,
NIPS 1994; F-Race: Birattari et al., GECCO 2002; with blocks and a t-test as in irace, Lopez-Ibanez et al. 2016).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# Of the best, as many as this enter; each is trained with at most so many seeds.
MOST, ROUNDS = 4, 5
# From the second round on there is a spread to compare with.
LEAST_ROUNDS = 2
# Of the search's compute.
SHARE = 0.25
LEVEL = 0.05
# What the values of a configuration are: one for each seed, in the order of the seeds.
Values = Mapping[int, Sequence[float]]


@dataclass(frozen=True)
class Behind:
    """Why a configuration drops out.

    Attributes:
        leader: The one with the best mean.
        gap: How far its own mean is behind, above zero.
        t: The gap, in standard errors of the difference of two means.
        bound: What ``t`` exceeds.
    """

    leader: int
    gap: float
    t: float
    bound: float

    @property
    def reason(self) -> str:
        """For a person."""
        return (
            f"{self.gap:.4f} behind trial {self.leader} in the mean, {self.t:.1f} standard errors "
            f"(over {self.bound:.1f}, one-sided 95 %, is taken for clear)"
        )


def entrants(costs: Sequence[float], budget: float) -> int:
    """How many of the best may race; fewer than two is no race.

    As many as can run the two rounds that a comparison needs; where not even the best two can, these two run one.

    Args:
        costs: Of one training of each configuration, the search's best first.
        budget: For all trainings together.
    """
    for count in range(min(MOST, len(costs)), 1, -1):
        if LEAST_ROUNDS * sum(costs[:count]) <= budget:
            return count
    return 2 if len(costs) >= 2 and sum(costs[:2]) <= budget else 0


def means(values: Values) -> dict[int, float]:
    """Of each configuration."""
    return {name: float(np.mean(of_one)) for name, of_one in values.items()}


def leader(values: Values, *, lower_is_better: bool) -> int:
    """The configuration with the best mean; of equal ones the first."""
    found = means(values)
    return min(found, key=lambda name: found[name] if lower_is_better else -found[name])


def behind(values: Values, step: float, *, lower_is_better: bool) -> dict[int, Behind]:
    """The configurations that are clearly worse than the leader.

    Each is compared with the leader by a one-sided t-test of the paired differences. The noise is that of all who still
    race, taken together (the residual of a two-way layout of configurations and seeds: of two it is the paired t-test
    itself), because two or three differences of one pair say next to nothing of it; the level is divided by the number
    of rivals, so that the leader may be whoever leads (comparisons with the best: Hsu, Annals of Statistics 12, 1984,
    with Bonferroni's bound for Dunnett's). As in F-Race it is not corrected for being asked again after every round:
    in 1 to 4 of 100 simulated races of two to four, whose best was ahead by half the noise of a value, it dropped out.

    Args:
        values: Finite, of those who still race, equally many of each.
        step: What one validation image makes, where values come in such steps, else 0: no value is known to less, so
            that two equal differences are no proof of a third.
        lower_is_better: Whether the values are losses.

    Returns:
        Of each such configuration why; nothing before there are two rounds.
    """
    from scipy.stats import t

    if len(values) < 2 or min(map(len, values.values())) < LEAST_ROUNDS:
        return {}
    table = np.array([list(of_one) for of_one in values.values()])
    count, rounds = table.shape
    residual = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
    freedom = (count - 1) * (rounds - 1)
    # A value that is rounded to a step has at least this variance.
    variance = max(float((residual**2).sum()) / freedom, step**2 / 12)
    error = math.sqrt(2 * variance / rounds)
    bound = float(t.ppf(1 - LEVEL / (count - 1), freedom))
    first = leader(values, lower_is_better=lower_is_better)
    of_all = means(values)
    found = {
        name: Behind(first, gap, gap / error if error else math.inf, bound)
        for name, mean in of_all.items()
        if (gap := abs(mean - of_all[first])) > 0
    }
    return {name: one for name, one in found.items() if one.t > bound}


def over(racing: int, rounds: int, spent: float, next_round: float, budget: float) -> str:
    """Why the race ends before another round: ``decided``, ``rounds`` or ``compute``; empty where it goes on.

    Args:
        racing: How many still race.
        rounds: How many rounds are run.
        spent: On them.
        next_round: What another would cost.
        budget: For all.
    """
    if racing < 2:
        return "decided"
    if rounds >= ROUNDS:
        return "rounds"
    return "compute" if spent + next_round > budget else ""

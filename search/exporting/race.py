"""The race: which of the best configurations is really the best, at a bounded cost.

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

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, mean, stdev
from typing import TYPE_CHECKING

import numpy as np

from search.exporting.advantage import Advantage, Values, advantages, noise
from search.exporting.preference import Preference
from search.exporting.race_runs import RaceRun
from search.metrics.preference import ACCURATE, BALANCED, Priced, preferred
from search.study.prices import of_what, price

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.config.study_config import StudyConfig


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


@dataclass
class Racer:
    """One configuration in the race.

    Attributes:
        trial: The search's trial of this configuration.
        runs: Its trainings, one a round.
        eliminated: Why it dropped out; empty while it races.
    """

    trial: "FrozenTrial"
    runs: list[RaceRun] = field(default_factory=list)
    eliminated: str = ""

    @property
    def values(self) -> list[float]:
        """The values of its trainings that did not diverge."""
        return [run.value for run in self.runs if run.value is not None]

    @property
    def mean(self) -> float | None:
        """The mean of its values; None where its first training diverged."""
        return mean(self.values) if self.values else None

    @property
    def deviation(self) -> float | None:
        """The standard deviation of its values; None of fewer than two."""
        return stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Race:
    """A race that is over.

    Attributes:
        config: The study's settings.
        racers: In the order of the search, its best first.
        seeds: One a round.
        ended_because: See ``why_over``.
        search_compute: FLOPs that the search had spent.
        default: Number of the trial of the space's default configuration, where that races.
        step: See ``eliminations``.
        prefer: What is exported of the racers: the most ``accurate``, or a cheaper one, see ``preference``.
    """

    config: "StudyConfig"
    racers: Sequence[Racer]
    seeds: Sequence[int]
    ended_because: str
    search_compute: float
    default: int | None = None
    step: float = 0.0
    prefer: str = ACCURATE

    @property
    def racing(self) -> list[Racer]:
        """Those that have not dropped out, between whom the race was left open."""
        return [racer for racer in self.racers if not racer.eliminated]

    @property
    def winner(self) -> Racer:
        """The one that is exported: the most accurate, or what ``prefer`` says."""
        found = None if self.prefer == ACCURATE else self.preference
        if found is None:
            return self.most_accurate
        return next(racer for racer in self.racers if racer.trial.number == found.chosen.number)

    @property
    def preference(self) -> Preference | None:
        """What is preferred of the racers, by their means; None where what they cost is not known.

        A balanced one is among those that have not dropped out, and the best mean leads it by no more than one standard
        error of their difference. A small one may have dropped out by being behind, if by less than two points; it is
        compared by the rounds that it has run.
        """
        first, racing, among = self.most_accurate, values_of(self.racing), self.racing
        if self.prefer not in (ACCURATE, BALANCED):
            among = [racer for racer in self.racers if all(run.value is not None for run in racer.runs)]
        priced = [self._price(racer, first) for racer in among]
        nets = [net for net in priced if net is not None]
        best = next((net for net in nets if net.number == first.trial.number), None)
        if best is None:
            return None
        rounds = min(map(len, racing.values()))
        error = None
        if len(racing) > 1 and rounds >= LEAST_ROUNDS:
            error = math.sqrt(2 * noise(racing, self.step)[0] / rounds)
        chosen = preferred(nets, best, self.prefer, error, lower_is_better=self.config.metric == "loss")
        return Preference(
            self.prefer, nets, best, chosen, error, self.config.metric, "racer", of_what(self.config)
        )

    def _price(self, racer: Racer, first: Racer) -> Priced | None:
        """What a racer costs, with the mean that it would have at the first one's rounds."""
        rounds = len(racer.values)
        if first.mean is None or racer.mean is None:
            return None
        behind = float(np.mean(first.values[:rounds])) - racer.mean
        return price(self.config, racer.trial, first.mean - behind)

    @property
    def most_accurate(self) -> Racer:
        """The one with the best mean among those that have not dropped out; of equal ones the default."""
        values = values_of(sorted(self.racing, key=lambda racer: racer.trial.number != self.default))
        first = leader(values, lower_is_better=self.config.metric == "loss")
        return next(racer for racer in self.racing if racer.trial.number == first)

    def advantage_of(self, number: int) -> Advantage | None:
        """How much better the configuration of a trial is than the default, by the rounds that both have run.

        None where the default is not there, or the configuration itself, or where there are fewer than two rounds.
        """
        compared = {racer.trial.number: racer for racer in self.racing}
        compared |= {
            racer.trial.number: racer for racer in self.racers if racer.trial.number in (number, self.default)
        }
        if self.default is None or self.default not in compared or number in (self.default, None):
            return None
        rounds = min(len(racer.values) for racer in compared.values())
        if rounds < LEAST_ROUNDS:
            return None
        values = {each: racer.values[:rounds] for each, racer in compared.items()}
        lower = self.config.metric == "loss"
        return advantages(values, self.default, self.step, lower_is_better=lower)[number]

    @property
    def compute(self) -> float:
        """FLOPs of all its trainings."""
        return sum(run.compute for racer in self.racers for run in racer.runs)

    @property
    def share(self) -> float:
        """Its compute over that of the search; 0 in a space that does not count its operations."""
        return self.compute / self.search_compute if self.search_compute else 0.0

    @property
    def weights(self) -> Path:
        """The winner's weights of the first seed, which was chosen before anything was known of it."""
        kept = self.winner.runs[0].weights
        if kept is None:  # Whoever diverged with the first seed has dropped out.
            raise ValueError(f"trial {self.winner.trial.number} has no weights of the first seed")
        return kept

    @property
    def exported_trial(self) -> "FrozenTrial":
        """The winner's trial as if it had been trained with the first seed: what ``weights`` recorded.

        In folds, of which no weights are kept, it is the search's.
        """
        if self.config.folds:
            return self.winner.trial
        run, trial = self.winner.runs[0], copy.copy(self.winner.trial)
        seconds = round(sum(run.outcome["history"]["seconds"]), 3)
        own = {"seed": run.seed, "compute": run.compute, "seconds": seconds, **run.outcome}
        trial.user_attrs = {**trial.user_attrs, **own}
        trial.value = run.value
        return trial


def values_of(racers: Sequence[Racer]) -> Values:
    """The racers' values, as ``leader`` and ``eliminations`` take them."""
    return {racer.trial.number: racer.values for racer in racers}

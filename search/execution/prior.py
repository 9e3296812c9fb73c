"""Sampling that begins around what is known to be good, and leaves it as trials speak: PriorBand's rule around TPE.

The idea: a space's default, and what a user asks to be tried, are better than most of the space. So half of the first
samples lie around these (the prior), while the other half are TPE's, which begin at random and so look everywhere.
Once some trials are complete, part of the prior's half goes to the neighbourhood of the best of them (the incumbent):
the more, the less the good trials lie where the prior would have put them. A prior that is wrong is left after a few
trials; one that is right costs nothing.

The rule (Mallik et al., 2023, https://arxiv.org/abs/2306.12370): a sample is TPE's with probability 1/2. Of the other
half the prior has the share S_p / (S_p + S_i) and the incumbent S_i / (S_p + S_i), where

    S_p = sum over the n best complete trials x_1, x_2, ... x_n of (n + 1 - rank) * p(x_rank),

S_i is the same with i(x), n is a third of the complete trials, from three to 25; with fewer than three complete trials
the prior has it all. Each parameter is laid out from 0 to 1 as its distribution says (by its logarithm, by its
steps). Then p(x) is the mean over the known configurations of a product over the parameters: a normal density around
the configuration's value, of deviation 1/4 and cut off at 0 and 1; of categories, half on its value and half on all of
them alike. i(x) is the same around the best trial. A sample of the prior is drawn from p. One of the incumbent has
about half of its values as they are, and the others drawn from i.

An example with one parameter from 0 to 1 and the default 0.2. Nine trials are complete, and the three best are, best
first, 0.7, 0.6 and 0.8. The densities around 0.2 are there 0.27, 0.56 and 0.11, those around 0.7 are 1.80, 1.66 and
1.66. So S_p = 3 * 0.27 + 2 * 0.56 + 1 * 0.11 = 2.0 and S_i = 10.4: of the next samples 1/2 are TPE's, 0.42 lie around
0.7, and 0.08 around the default. Had the three best been 0.2, 0.3 and 0.1, prior and incumbent would have 1/4 each.

What is known to be good is found in the study itself, so that every worker knows it: the configurations that were
queued before any was sampled, which are the space's own, those of ``--try`` and of ``--from-study``. One whose own
trial was pruned, refused or failed is left out, unless none is left then.
"""

import random
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import optuna
from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from search.study.proposal import contains
from search.study.sweep_cells import FIXED

OF_TPE = 0.5
FEWEST_COMPLETE = 3
MOST_BEST = 25
DEVIATION = 0.25
# The probability that a category stays the centre's, and that a value of the incumbent is left as it is.
SAME = 0.5


class PriorSampler(optuna.samplers.BaseSampler):
    """PriorBand's rule; see the module's docstring.

    Args:
        tpe: Optuna's sampler, which has half of the samples, and all of them where nothing is known to be good.
        seed: Of all that is drawn here.
    """

    def __init__(self, tpe: optuna.samplers.BaseSampler, seed: int) -> None:
        self._tpe, self._random = tpe, random.Random(seed)
        self._centre: Mapping[str, Any] | None = None
        self._of_incumbent = False

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Choose what the next sample is of; of TPE's, the parameters that are sampled together."""
        self._choose(study)
        return {} if self._centre is not None else self._tpe.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values that TPE samples together; none where the sample is not TPE's."""
        return {} if self._centre is not None else self._tpe.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A value of one parameter; a parameter that the centre does not have is sampled evenly."""
        if self._centre is None:
            return self._tpe.sample_independent(study, trial, param_name, param_distribution)
        value = self._centre.get(param_name)
        if param_name not in self._centre or not contains(param_distribution, value):
            return _anywhere(self._random, param_distribution)
        if self._of_incumbent and self._random.random() < SAME:
            return value
        return around(self._random, param_distribution, value)

    def _choose(self, study: optuna.Study) -> None:
        # Of all brackets of Hyperband.
        trials = study._storage.get_all_trials(study._study_id, deepcopy=False)
        known = known_good(trials)
        best = best_complete(trials, study.direction)
        of_prior, of_incumbent = shares(known, best)
        centres: list[Mapping[str, Any] | None] = [None, *known]
        weights = [OF_TPE, *(of_prior / len(known) for _ in known)]
        if of_incumbent:
            centres.append(best[0].params)
            weights.append(of_incumbent)
        place = self._random.choices(range(len(centres)), weights)[0]
        self._centre, self._of_incumbent = centres[place], place > len(known)


def known_good(trials: Sequence[FrozenTrial]) -> list[Mapping[str, Any]]:
    """The configurations that a study was given before it sampled, but for those that turned out bad."""
    given = [trial for trial in trials if FIXED in trial.system_attrs]
    good = [trial for trial in given if trial.state not in (TrialState.PRUNED, TrialState.FAIL)]
    return [trial.system_attrs[FIXED] for trial in good or given]


def best_complete(trials: Sequence[FrozenTrial], direction: optuna.study.StudyDirection) -> list[FrozenTrial]:
    """The best third of the complete trials, at most 25, best first; none where fewer than three are complete."""
    sign = -1.0 if direction == optuna.study.StudyDirection.MAXIMIZE else 1.0
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    complete.sort(key=lambda trial: (sign * float(trial.value or 0.0), trial.number))
    if len(complete) < FEWEST_COMPLETE:
        return []
    return complete[: min(MOST_BEST, max(FEWEST_COMPLETE, len(complete) // 3))]


def shares(known: Sequence[Mapping[str, Any]], best: Sequence[FrozenTrial]) -> tuple[float, float]:
    """The probabilities that a sample is the prior's and the incumbent's; both 0 where nothing is known to be good.

    Args:
        known: The configurations that are known to be good.
        best: The best complete trials, best first.
    """
    if not known:
        return 0.0, 0.0
    if not best:
        return 1 - OF_TPE, 0.0
    weighted = [(len(best) - rank, trial) for rank, trial in enumerate(best)]
    of_prior = sum(
        weight * sum(_density(values, trial) for values in known) / len(known) for weight, trial in weighted
    )
    of_incumbent = sum(weight * _density(best[0].params, trial) for weight, trial in weighted)
    share = of_prior / (of_prior + of_incumbent)
    return (1 - OF_TPE) * share, (1 - OF_TPE) * (1 - share)


def _density(centre: Mapping[str, Any], trial: FrozenTrial) -> float:
    """How likely the trial's configuration is around a centre, as a multiple of its likelihood if all were alike."""
    density = 1.0
    for name, distribution in trial.distributions.items():
        if name not in centre or distribution.single() or not contains(distribution, centre[name]):
            continue
        if isinstance(distribution, CategoricalDistribution):
            same = centre[name] == trial.params[name]
            density *= 1 - SAME + (SAME * len(distribution.choices) if same else 0.0)
        else:
            middle, place = _place(distribution, centre[name]), _place(distribution, trial.params[name])
            normal = NormalDist(middle, DEVIATION)
            density *= normal.pdf(place) / (normal.cdf(1) - normal.cdf(0))
    return density


def _anywhere(chance: random.Random, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return chance.choice(distribution.choices)
    return _number_at(distribution, chance.random())


def around(chance: random.Random, distribution: BaseDistribution, centre: Any) -> Any:
    """Draw a value of one parameter around a centre inside its range."""
    if isinstance(distribution, CategoricalDistribution):
        return centre if chance.random() < SAME else chance.choice(distribution.choices)
    middle = _place(distribution, centre)
    place = chance.gauss(middle, DEVIATION)
    while not 0 <= place <= 1:  # From a middle inside, at least every third is inside.
        place = chance.gauss(middle, DEVIATION)
    return _number_at(distribution, place)


def _place(distribution: BaseDistribution, number: float) -> float:
    """Where a number lies in its range, from 0 to 1."""
    return float(_range(distribution).transform({"": number})[0])


def _number_at(distribution: BaseDistribution, place: float) -> float:
    """The number of a range that lies at a place from 0 to 1; the nearest one where there are steps."""
    number: float = _range(distribution).untransform(np.array([place]))[""]
    return number


def _range(distribution: BaseDistribution) -> _SearchSpaceTransform:
    return _SearchSpaceTransform({"": distribution}, transform_0_1=True)

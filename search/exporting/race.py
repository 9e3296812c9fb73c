"""A race that is over: who ran, what each training came to, who won; its rule is in ``race_rule``."""

import copy
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import numpy as np

from search.exporting.advantage import Advantage, Values, advantages, noise
from search.exporting.preference import Preference
from search.exporting.race_rule import LEAST_ROUNDS, leader
from search.exporting.race_runs import RaceRun
from search.metrics.preference import ACCURATE, BALANCED, Priced, preferred
from search.study.prices import price

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.config.study_config import StudyConfig
    from search.exporting.entrants import Course


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
    def is_complete(self) -> bool:
        """Whether its trial was trained whole; what a pruned one scored on its way says nothing of its end."""
        return self.trial.state.name == "COMPLETE"

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


def still_racing(racers: Sequence[Racer]) -> list[Racer]:
    """Those that have not dropped out."""
    return [racer for racer in racers if not racer.eliminated]


@dataclass(frozen=True)
class Race:
    """A race that is over.

    Attributes:
        config: The study's settings.
        racers: In the order of the search, its best first.
        seeds: One a round.
        ended_because: See ``why_over``.
        search_compute: FLOPs that the search had spent.
        course: How far they raced, and what is exported of them.
        step: See ``eliminations``.
    """

    config: "StudyConfig"
    racers: Sequence[Racer]
    seeds: Sequence[int]
    ended_because: str
    search_compute: float
    course: "Course"
    step: float

    @property
    def racing(self) -> list[Racer]:
        """Those that have not dropped out, between whom the race was left open."""
        return still_racing(self.racers)

    @property
    def winner(self) -> Racer:
        """The one that is exported: the most accurate, or what ``prefer`` says."""
        found = None if self.course.prefer == ACCURATE else self.preference
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
        what, first, racing, among = (
            self.course.prefer,
            self.most_accurate,
            values_of(self.racing),
            self.racing,
        )
        if what not in (ACCURATE, BALANCED):
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
        chosen = preferred(nets, best, what, error, lower_is_better=self.config.metric == "loss")
        return Preference(what, nets, best, chosen, error, self.config, "racer")

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
        values = values_of(sorted(self.racing, key=lambda racer: racer.trial.number != self.course.default))
        first = leader(values, lower_is_better=self.config.metric == "loss")
        return next(racer for racer in self.racing if racer.trial.number == first)

    def advantage_of(self, number: int) -> Advantage | None:
        """How much better the configuration of a trial is than the default, by the rounds that both have run.

        None where the default is not there, or the configuration itself, or where there are fewer than two rounds.
        """
        default = self.course.default
        compared = {racer.trial.number: racer for racer in self.racing}
        compared |= {
            racer.trial.number: racer for racer in self.racers if racer.trial.number in (number, default)
        }
        if default is None or default not in compared or number == default:
            return None
        rounds = min(len(racer.values) for racer in compared.values())
        if rounds < LEAST_ROUNDS:
            return None
        values = {each: racer.values[:rounds] for each, racer in compared.items()}
        lower = self.config.metric == "loss"
        return advantages(values, default, self.step, lower_is_better=lower)[number]

    @property
    def compute(self) -> float:
        """FLOPs of all its trainings."""
        return sum(run.compute for racer in self.racers for run in racer.runs)

    @property
    def share(self) -> float:
        """Its compute over that of the search; 0 in a space that does not count its operations."""
        return self.compute / self.search_compute if self.search_compute else 0.0

    def shrinkage(self, racer: Racer) -> float | None:
        """How much better a racer's value in the search was than the mean of its fresh trainings; negative where worse.

        None where it has diverged, or was pruned.
        """
        if racer.mean is None or racer.trial.value is None or not racer.is_complete:
            return None
        more = racer.trial.value - racer.mean
        return -more if self.config.metric == "loss" else more

    def figures(self) -> dict[str, Any]:
        """The entry ``confirm`` of ``summary.json``: the race and each of its configurations."""
        winner = self.winner
        return {
            "winner": winner.trial.number,
            "decided": self.ended_because == "decided",
            "ended_because": self.ended_because,
            "metric": self.config.metric,
            "mean": winner.mean,
            "standard_deviation": winner.deviation,
            "rounds": len(self.seeds),
            "times": self.course.times,
            "seeds": list(self.seeds),
            "seed_of_the_weights": self.seeds[0],
            "compute": self.compute,
            "search_compute": self.search_compute,
            **({} if self.course.default is None else {"default": self.course.default}),
            "share_of_search_compute": self.share,
            "configurations": [self._figures_of(racer) for racer in self.racers],
        }

    def _figures_of(self, racer: Racer) -> dict[str, Any]:
        ahead = self.advantage_of(racer.trial.number)
        return {
            "trial": racer.trial.number,
            "values": [run.value for run in racer.runs],
            "mean": racer.mean,
            "standard_deviation": racer.deviation,
            "search_value": racer.trial.value,
            **({} if racer.is_complete else {"pruned": True}),
            "shrinkage": self.shrinkage(racer),
            "dropped_after_round": len(racer.runs) if racer.eliminated else None,
            "why_dropped": racer.eliminated or None,
            **({} if ahead is None else {"beyond_the_default": asdict(ahead)}),
            "params": racer.trial.user_attrs["params"],
        }

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

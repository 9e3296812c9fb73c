"""Who races for an export, what each has run, and who has won."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING

from search.evaluation.confirm_runs import Run
from search.evaluation.race import leader

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.config import StudyConfig


@dataclass
class Racer:
    """One configuration in the race.

    Attributes:
        trial: Of the search.
        runs: One a round.
        dropped: Why it dropped out; empty for one that still races.
    """

    trial: "FrozenTrial"
    runs: list[Run] = field(default_factory=list)
    dropped: str = ""

    @property
    def values(self) -> list[float]:
        """Of the trainings that did not diverge."""
        return [run.value for run in self.runs if run.value is not None]

    @property
    def mean(self) -> float | None:
        """None where its first training diverged."""
        return mean(self.values) if self.values else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the seeds; None of fewer than two."""
        return stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Race:
    """A race that is over.

    Attributes:
        config: The study's.
        racers: In the order of the search, best first.
        seeds: Of the rounds.
        why: It ended: see ``over``.
        search_compute: FLOPs that the search had spent.
    """

    config: "StudyConfig"
    racers: Sequence[Racer]
    seeds: Sequence[int]
    why: str
    search_compute: float

    @property
    def racing(self) -> list[Racer]:
        """Those that have not dropped out; after the race, between whom it was left open."""
        return [racer for racer in self.racers if not racer.dropped]

    @property
    def winner(self) -> Racer:
        """The best mean of those that have not dropped out."""
        first = leader(values_of(self.racing), lower_is_better=self.config.metric == "loss")
        return next(racer for racer in self.racers if racer.trial.number == first)

    @property
    def compute(self) -> float:
        """FLOPs of all its trainings."""
        return sum(run.compute for racer in self.racers for run in racer.runs)

    @property
    def weights(self) -> Path:
        """The winner's of the first seed, which was fixed before anything was known of it."""
        kept = self.winner.runs[0].weights
        if kept is None:  # Who diverged with the first seed has dropped out.
            raise ValueError(f"trial {self.winner.trial.number} has no weights of the first seed")
        return kept

    @property
    def trial(self) -> "FrozenTrial":
        """The winner's trial, as if it had been trained with the first seed: what the exported weights recorded."""
        run, trial = self.winner.runs[0], copy.copy(self.winner.trial)
        seconds = round(sum(run.said["history"]["seconds"]), 3)
        own = {"seed": run.seed, "compute": run.compute, "seconds": seconds, **run.said}
        trial.user_attrs = {**trial.user_attrs, **own}
        trial.value = run.value
        return trial


def values_of(racers: Sequence[Racer]) -> dict[int, list[float]]:
    """As ``search.evaluation.race`` takes them."""
    return {racer.trial.number: racer.values for racer in racers}

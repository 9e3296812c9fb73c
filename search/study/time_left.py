"""How long a study may still take, from what its trials took so far.

The idea: a trial takes about as long as those before it took, all told; before one has ended, as long as those in
training take by their pace. A head that is fitted at once takes a second where others take steps for a minute, so that
it says nothing of those; but both are counted, since a search is made of both.

The rule: with m seconds a trial on average, c FLOPs a trial on average, n trials that have not ended, of which those in
training have done d together (two halves are 1), w at work, and b FLOPs left of a ``--budget``,

    left = (min(n, d + b / c) - d) m / w

An example: of 20 trials two were fitted at once, in 3 s each, and the third takes 24 s by its pace. So m = 10 s, and
the 18 that are owed take 180 s; where a budget pays for nine more of them, 90 s.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from statistics import fmean


@dataclass(frozen=True)
class Cost:
    """What a whole trial takes.

    Attributes:
        seconds: Of its worker.
        flops: Of its trainings; 0 where nobody asks.
        at_once: Whether it is fitted at once, in no steps.
    """

    seconds: float
    flops: float = 0.0
    at_once: bool = False


@dataclass(frozen=True)
class TimeLeft:
    """How long a study may still take; None stands for what cannot be told.

    Attributes:
        left: Seconds until it has all its trials, or its compute is spent.
        owed: The same, with the trials in training counted whole: before any has ended, what all of it takes.
        trial: Seconds of a whole trial that takes steps, by the pace of those in training; None once one has ended.
        at_once: Seconds of one that is fitted at once; None where none has ended.
        paid: How many of the trials owed the compute pays for; None where it pays for all.
    """

    left: float | None = None
    owed: float | None = None
    trial: float | None = None
    at_once: float | None = None
    paid: float | None = None


def time_left(
    ended: Sequence[Cost],
    paced: Sequence[Cost],
    owed: float | None,
    begun: float,
    at_work: int,
    compute: float | None = None,
) -> TimeLeft:
    """Estimate how long a study may still take, by the rule at the head of this module.

    Args:
        ended: What each finished or pruned trial took.
        paced: What each trial in training takes by its pace.
        owed: How many trials have not ended; None where nobody says how many the study shall have.
        begun: How many of these are done already: the sum of the parts that are done of each trial in training.
        at_work: Number of trials in training.
        compute: FLOPs that are left for trials; None for no bound.
    """
    at_once = [one.seconds for one in ended if one.at_once]
    by_steps = len(ended) > len(at_once)
    trial = fmean(one.seconds for one in paced) if paced and not by_steps else None
    known = [*ended, *(() if by_steps else paced)]
    found = TimeLeft(trial=trial, at_once=fmean(at_once) if at_once else None)
    if not known:
        return found
    flops = fmean(one.flops for one in known)
    paid = begun + compute / flops if compute is not None and flops else inf
    trials = min(inf if owed is None else owed, paid)
    if trials == inf:
        return found
    each = fmean(one.seconds for one in known) / max(1, at_work)
    pays_for_all = paid == inf or (owed is not None and paid >= owed)
    return replace(
        found, left=max(0.0, trials - begun) * each, owed=trials * each, paid=None if pays_for_all else paid
    )

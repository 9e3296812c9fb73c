"""How fast a study computes, and when its search has to end so that there is time for what follows it.

What comes after the search is known in FLOPs before it begins, but in seconds only once something has been trained. So
the time that is kept free follows what the study's trials have taken: seconds of a worker for each FLOP. A training of
the race takes as long as a trial, with its process, its net and its first step; the final training is one that is long,
and takes as long as the training of trials alone.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from optuna.trial import FrozenTrial, TrialState

from search.execution.stop_requests import Stop
from search.study.compute import compute_of
from search.study.fold_results import SPENT, seconds_spent
from search.study.speed import EXPORT_SECONDS, LEAST_SEARCH, MARGIN

LOOK_SECONDS = 5.0
# The part of the time that a search has at least where a final training follows. It is less than was planned for it:
# where all goes a little slower than was expected, the final training is not to be lost.
LEAST_BEFORE_FINAL = 0.2
# Seconds: a final training may be planned to take just what is free.
ROUNDING = 1e-3


class Rates(NamedTuple):
    """Seconds that a FLOP takes a worker.

    Attributes:
        training: Of a training, once it has begun.
        trial: Of a trial, with all that it takes beside its training.
    """

    training: float
    trial: float


@dataclass
class Pace:
    """How fast a study computes, and what time its run has.

    Attributes:
        trials: Returns the study's trials.
        timeout: Seconds for all of the run; None for no limit.
        end: When that is over, on the clock of ``time.monotonic``.
    """

    trials: Callable[[], Sequence[FrozenTrial]]
    timeout: float | None
    end: float
    _before: frozenset[int] = frozenset()

    def begin(self) -> None:
        """Note which trials had ended before the run: they may have been trained on another machine."""
        self._before = frozenset(trial.number for trial in _timed(self.trials()))

    def rates(self) -> Rates | None:
        """By the trials that have ended in this run, else by those before it; None where there are none."""
        return self._rates_of(self.trials())

    def _rates_of(self, trials: Sequence[FrozenTrial]) -> Rates | None:
        timed = _timed(trials)
        timed = [trial for trial in timed if trial.number not in self._before] or timed
        done = compute_of(timed)
        training = sum(float(trial.user_attrs[SPENT].get("training", 0.0)) for trial in timed)
        if done <= 0 or training <= 0:
            return None
        return Rates(training / done, sum(seconds_spent(trial.user_attrs) for trial in timed) / done)

    def left(self) -> float:
        """Seconds that are left for trainings, those of the export's checks taken off."""
        return self.end - time.monotonic() - EXPORT_SECONDS

    def kept(self, final: Callable[[Rates | None], float], race: float, shrinks: bool = False) -> float:
        """Seconds to keep free after the search.

        Where there would be too little time for the search, first the race is not waited for, then the final training,
        unless it may be shorter than planned. Nothing can follow a search without a trial: until one has finished, no
        time is kept, however slow the first is. The export may then be late by as much as it takes, and by the final
        training where that is made all the same: in folds and with ``--refit``.

        Args:
            final: Returns FLOPs of the final training, given the rates; these are None until they are known.
            race: FLOPs of the race.
            shrinks: Whether the final training may be shorter.
        """
        timeout = self.timeout or 0.0
        most = (1 - LEAST_SEARCH) * timeout
        trials = self.trials()
        if not any(trial.state == TrialState.COMPLETE for trial in trials):
            return 0.0
        rates = self._rates_of(trials)
        planned = final(rates)
        if rates is None:
            return 0.0 if planned or race else min(EXPORT_SECONDS, most)
        trains, races = planned * rates.training, race * rates.trial
        for seconds, search in ((trains + races, LEAST_SEARCH), (trains, LEAST_BEFORE_FINAL)):
            kept = MARGIN * seconds + EXPORT_SECONDS
            if kept <= (1 - search) * timeout + ROUNDING:
                return kept
        return most if planned and shrinks else min(EXPORT_SECONDS, most)


def _timed(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Those that have ended, and of which it is known what they took."""
    return [trial for trial in trials if trial.state.is_finished() and trial.user_attrs.get(SPENT)]


@contextmanager
def keeping_time(stop: Stop, pace: Pace, kept: Callable[[], float] | None) -> Iterator[None]:
    """Within the block, have the deadline of ``stop`` leave the time that the end of the run takes.

    Args:
        stop: Of the search.
        pace: Of the run.
        kept: Returns the seconds to keep free, see ``Pace.kept``; None for a run that does not export.
    """
    pace.begin()
    if pace.timeout is None or kept is None:
        yield
        return
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            with contextlib.suppress(Exception):  # The database is away: what was known before holds.
                stop.deadline = pace.end - kept()
            over.wait(LOOK_SECONDS)

    thread = threading.Thread(target=watch, name="pace", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(LOOK_SECONDS)

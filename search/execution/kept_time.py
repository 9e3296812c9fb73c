"""How fast a run computes, and when its search has to end so that there is time for what follows it.

What comes after the search is known in FLOPs before it begins, but in seconds only once something has been trained
here. So the time that is kept free follows what this run has measured so far: seconds of a worker for each FLOP, all
that is not training included.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from search.execution.stop_requests import Stop
from search.study.speed import EXPORT_SECONDS, LEAST_SEARCH, MARGIN

LOOK_SECONDS = 5.0
# The part of the time that a search has at least where a final training follows. It is less than was planned for it:
# where all goes a little slower than was expected, the final training is not to be lost.
LEAST_BEFORE_FINAL = 0.2
# Seconds: a final training may be planned to take just what is free.
ROUNDING = 1e-3


@dataclass
class Pace:
    """What this run has computed, and how long that took.

    Attributes:
        spent: Returns the study's compute so far, FLOPs.
        workers: Returns how many are computing side by side, those of other commands, too; what follows the search is
            one after the other.
        timeout: Seconds for all of the run; None for no limit.
        end: When that is over, on the clock of ``time.monotonic``.
        has_trial: Returns whether a trial of the study has finished, so that there is something to export.
    """

    spent: Callable[[], float]
    workers: Callable[[], int]
    timeout: float | None
    end: float
    has_trial: Callable[[], bool] = lambda: True
    _began: float = field(default_factory=time.monotonic)
    _before: float = 0.0
    _most_workers: int = 1

    def begin(self) -> None:
        """Note where the run begins to compute."""
        self._began, self._before = time.monotonic(), self.spent()

    def seconds(self, flops: float) -> float | None:
        """How long so much computing takes one worker; None as long as nothing has been measured."""
        done = self.spent() - self._before
        self._most_workers = max(self._most_workers, self.workers())
        if done <= 0:
            return None
        return flops * self._most_workers * (time.monotonic() - self._began) / done

    def left(self) -> float:
        """Seconds that are left for trainings, those of the export's checks taken off."""
        return self.end - time.monotonic() - EXPORT_SECONDS

    def kept(self, final: Callable[[float | None], float], race: float, shrinks: bool = False) -> float:
        """Seconds to keep free after the search.

        Where there would be too little time for the search, first the race is not waited for, then the final training,
        unless it may be shorter than planned. Nothing can follow a search without a trial: until one has finished, only
        the time of an export is kept, however slow the first is.

        Args:
            final: Returns FLOPs of the final training, given the seconds that one takes, if that is known.
            race: FLOPs of the race.
            shrinks: Whether the final training may be shorter.
        """
        timeout = self.timeout or 0.0
        most = (1 - LEAST_SEARCH) * timeout
        if not self.has_trial():
            return min(EXPORT_SECONDS, most)
        a_flop = self.seconds(1.0)
        planned = final(a_flop)
        if a_flop is None:
            return 0.0 if planned or race else min(EXPORT_SECONDS, most)
        for flops, search in ((planned + race, LEAST_SEARCH), (planned, LEAST_BEFORE_FINAL)):
            seconds = MARGIN * flops * a_flop + EXPORT_SECONDS
            if seconds <= (1 - search) * timeout + ROUNDING:
                return seconds
        return most if planned and shrinks else min(EXPORT_SECONDS, most)


@contextmanager
def keeping_time(
    stop: Stop,
    pace: Pace,
    final: Callable[[float | None], float],
    race: float,
    *,
    exports: bool = True,
    shrinks: bool = False,
) -> Iterator[None]:
    """Within the block, have the deadline of ``stop`` leave the time that the end of the run takes, if it exports.

    Args:
        stop: Of the search.
        pace: Of the run.
        final: Returns FLOPs of the final training, given the seconds that one takes, if that is known.
        race: FLOPs of the race.
        exports: Whether the run exports.
        shrinks: Whether the final training may be shorter.
    """
    pace.begin()
    if pace.timeout is None or not exports:
        yield
        return
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            with contextlib.suppress(Exception):  # The database is away: what was known before holds.
                stop.deadline = pace.end - pace.kept(final, race, shrinks)
            over.wait(LOOK_SECONDS)

    thread = threading.Thread(target=watch, name="pace", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(LOOK_SECONDS)

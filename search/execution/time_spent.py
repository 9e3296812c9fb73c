"""Where a worker's time goes: recorded on each trial, for the report."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import optuna

from search.study.fold_results import OF_NO_TRIAL, SPENT
from storage.claims import ClaimLost
from storage.errors import DatabaseGone

# In the order in which a trial meets them: for a trial to claim, and for the process that starts trainings; drawing its
# configuration; from there to the child's first word (process, data, net); a backbone's features, which all trials
# share; epochs with validation and checkpoints; what the training waited for the database.
PARTS = ("waiting", "sampling", "starting", "features", "training", "storing")


class Clock:
    """Divides all of one worker's time among ``PARTS``; for that worker's own thread alone.

    Args:
        now: Returns the time in seconds; tests set it.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._part, self._since = PARTS[0], now()
        self._seconds: dict[str, float] = {}

    def switch(self, part: str) -> None:
        """Count the time from now on towards ``part``."""
        now = self._now()
        self._seconds[self._part] = self._seconds.get(self._part, 0.0) + now - self._since
        self._part, self._since = part, now

    def so_far(self) -> float:
        """Seconds since the last call of ``take`` that went into the trial."""
        now = {**self._seconds, self._part: self._seconds.get(self._part, 0.0) + self._now() - self._since}
        return sum(seconds for part, seconds in now.items() if part not in OF_NO_TRIAL)

    def take(self) -> dict[str, float]:
        """Return the seconds of each part since the last call, and start again from zero."""
        self.switch(self._part)
        taken, self._seconds = self._seconds, {}
        return taken


@contextmanager
def recording_time(trial: optuna.Trial, clock: Clock) -> Iterator[None]:
    """Add this worker's time to what earlier owners recorded on the trial, when the block ends, however it ends."""
    try:
        yield
    except (ClaimLost, DatabaseGone):  # Nothing can be written now.
        clock.take()
        raise
    except BaseException:
        _add(trial, clock)
        raise
    _add(trial, clock)


def _add(trial: optuna.Trial, clock: Clock) -> None:
    together = dict(trial.user_attrs.get(SPENT, {}))
    for part, seconds in clock.take().items():
        together[part] = round(together.get(part, 0.0) + seconds, 3)
    trial.set_user_attr(SPENT, together)

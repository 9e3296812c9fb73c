"""A worker without training, which sleeps instead: what ``database.py`` starts many of.

There is no command and no result file: it prints ``ready``, begins when it is given a line, and in the end prints how
many trials it finished, in which time, the seconds of each of its calls, and what it spent its time on (``SPENT``).
"""

import contextlib
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.trial import TrialState

from storage.claims import Claims
from storage.connect import open_storage
from storage.database import Database
from storage.locks import Guard

CALLS = ("claim", "sample", "report", "prune", "beat", "tell")
SLEEP, LOCK = "sleep", "lock"
# Each second is one of these: asleep in the place of training; waiting for the study's lock; waiting for an answer of
# the database; computing, to sample or for another call; able to go on but for a core, which others have.
SPENT = (SLEEP, LOCK, "database", "sampling", "python", "core")
SCHEDULED = Path("/proc/thread-self/schedstat")


class Now(NamedTuple):
    """Seconds by the clock, those that this thread computed, and those that it was ready to but had no core."""

    clock: float
    computed: float
    without_core: float


class Span:
    """A span of this thread's time; one that is as long as the clock says, for what else is read lies within it."""

    def __init__(self) -> None:
        self._clock = time.monotonic()
        self._computed, self._without_core = time.thread_time(), without_core()

    def end(self) -> Now:
        """How long it was."""
        waited, computed = without_core() - self._without_core, time.thread_time() - self._computed
        return Now(time.monotonic() - self._clock, computed, waited)


def without_core() -> float:
    """Seconds for which this thread was ready but had no core; none, where the kernel does not tell."""
    return int(SCHEDULED.read_text().split()[1]) / 1e9 if SCHEDULED.exists() else 0.0


class Meter:
    """What this thread's time is spent on."""

    def __init__(self) -> None:
        self.calls: dict[str, list[float]] = {name: [] for name in CALLS}
        self.spent = dict.fromkeys(SPENT, 0.0)

    @contextlib.contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Count a call, or a sleep, that the block makes."""
        span, locked = Span(), self.spent[LOCK]
        yield
        took = span.end()
        if what in self.calls:
            self.calls[what].append(took.clock)
        idle = took.clock - took.computed - took.without_core - (self.spent[LOCK] - locked)
        self.spent[SLEEP if what == SLEEP else "database"] += max(0.0, idle)
        self.spent["sampling" if what == "sample" else "python"] += took.computed
        self.spent["core"] += took.without_core

    def locking(self, lock: Callable[[Database, str], AbstractContextManager[Guard]]) -> Callable[..., Any]:
        """``Database.lock``, whose waiting is counted; a part of the claim."""

        @contextlib.contextmanager
        def timed(database: Database, name: str) -> Iterator[Guard]:
            span = Span()
            with lock(database, name) as guard:
                took = span.end()
                self.spent[LOCK] += took.clock - took.computed - took.without_core
                yield guard

        return timed


def main(url: str, seconds: float, epochs: int, sleep: float) -> None:
    """Work for so many seconds on trials of so many epochs, each of ``sleep`` seconds."""
    database = open_storage(url)
    study = optuna.load_study(study_name="s", storage=database)
    pruner = optuna.pruners.SuccessiveHalvingPruner()
    claims = Claims(database, study._study_id, f"worker-{random.getrandbits(32)}")
    study.get_trials(deepcopy=False)
    claims.has_work(0)
    print("ready", flush=True)
    if not sys.stdin.readline():
        sys.exit(1)
    meter = Meter()
    Database.lock = meter.locking(Database.lock)  # type: ignore[method-assign]
    done, began = 0, time.monotonic()
    while time.monotonic() < began + seconds:
        with meter.timed("claim"):
            claim = claims.claim(10**9)
        if claim is None:
            sys.exit("no trial is owed")
        with claim.fenced():
            with meter.timed("sample"):
                sampler = optuna.samplers.TPESampler(seed=claim.number)
                study = optuna.load_study(study_name="s", storage=database, sampler=sampler, pruner=pruner)
                trial = optuna.trial.Trial(study, claim.trial_id)
                for name in ("rate", "width", "dropout"):
                    trial.suggest_float(name, 0, 1)
            for epoch in range(1, epochs + 1):
                with meter.timed(SLEEP):
                    time.sleep(sleep)
                with meter.timed("report"):
                    trial.report(random.random(), epoch)
                with meter.timed("prune"):
                    trial.should_prune()
                if sleep == 0:
                    with meter.timed("beat"):
                        claim.heartbeat(epoch=epoch)
            with meter.timed("tell"):
                claim.finish(TrialState.COMPLETE, random.random())
        done += 1
    took = time.monotonic() - began
    database.close()
    print(json.dumps({"done": done, "took": took, "calls": meter.calls, "spent": meter.spent}))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))

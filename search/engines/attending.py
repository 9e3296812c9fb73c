"""Attend to workers that an engine has started: wait for them, and have them ended."""

import time
from collections.abc import Callable

from search.engines.base import ENDED, RUNNING, is_alive
from search.engines.started import Started
from search.errors import StudyStopped
from search.execution.stop_requests import Stop
from search.study.snapshot import StartedWorker
from search.study.study import LoadedStudy

LOOK_SECONDS = 1.0
# A worker gives its trial back within twenty seconds, and Slurm gives it thirty.
END_SECONDS = 90.0


def attend(study: LoadedStudy, started: Started, stop: Stop) -> list[StartedWorker]:
    """Wait until all workers have ended, or ``stop`` asks to end.

    Workers end by themselves once the study has its trials; those that still wait for their turn then are taken back.

    Returns:
        How the workers are in the end.
    """
    engine, looked = started.by, float("-inf")
    while not stop.requested:
        stop.check_budget()
        complete = len(study.finished()) >= study.wanted
        if complete or time.monotonic() - looked >= engine.look_seconds:
            workers, looked = started.state(), time.monotonic()
            if not any(is_alive(one) for one in workers):
                return workers
            if complete and not any(one.state == RUNNING for one in workers):
                engine.stop(started.facts)
        stop.wait(LOOK_SECONDS)
    return started.state()


def end(started: Started, hurried: Callable[[], bool] = lambda: False) -> bool:
    """Have workers give their trials back and end, and wait until they have.

    Args:
        started: The workers.
        hurried: Whether nobody wants to wait any longer.

    Returns:
        Whether there was any to end.

    Raises:
        InputError: It cannot be done from this host.
        StudyStopped: They have not ended in time.
    """
    engine = started.by
    worked = any(one.state != ENDED for one in started.state())
    if worked:
        engine.stop(started.facts)
    started.forget()  # From now on none is started again.
    over = time.monotonic() + END_SECONDS
    while any(is_alive(one) for one in started.state()):
        if hurried():
            break
        if time.monotonic() > over:
            started.write()
            raise StudyStopped(
                f"{started} was told to end {END_SECONDS:.0f} s ago and has not; try again, or look at "
                f"{started.state()[0].log}"
            )
        time.sleep(min(LOOK_SECONDS, engine.look_seconds))
    return worked

"""One worker's seat: everything from an open study to the end of its loop, the same for every engine."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna

from search import cells
from search.child import ForkServer
from search.engines.slots import Slot
from search.loop import work
from search.loudness import VERBOSE
from search.stopping import Stop, catching_signals
from search.study import LoadedStudy
from search.trial import Worker
from storage import host
from storage.claims import Claims, sampled

# Of the twenty seconds that a stop may take, what the database may have: after the child's ten.
HURRY_SECONDS = 14.0


def sit(
    study: LoadedStudy,
    server: ForkServer,
    stop: Stop,
    slot: Slot,
    *,
    gpu_memory: float | None = None,
    checkpoint_seconds: float = 30.0,
) -> None:
    """Be a worker of ``study`` until it has all its trials, or ``stop`` asks to end.

    Raises:
        StudyStopped: The search cannot usefully go on.
        InputError: This host may not work on it.
    """
    name = worker_name()
    sweep = cells.SWEEP in study.optuna.user_attrs
    worker = Worker(
        study,
        server,
        Claims(study.storage, study.study_id, name, new=cells.again if sweep else sampled),
        stop,
        gpu_memory=gpu_memory,
        threads=slot.threads,
        environment=slot.environment,
        checkpoint_seconds=checkpoint_seconds,
    )
    retrying = study.storage.retrying
    stop.hurry = lambda: retrying.hurry(HURRY_SECONDS)

    def wanted() -> int:
        return cells.owed(study.optuna.get_trials(deepcopy=False)) if sweep else study.wanted

    with logging_to(study.paths.worker_log(name)), catching_signals(stop):
        work(worker, wanted)


def worker_name() -> str:
    """This process's name among workers."""
    return f"{host.hostname()}-{os.getpid()}"


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Send what Optuna says to a file for a while."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("optuna")
    logger.addHandler(handler)
    optuna.logging.disable_default_handler()
    if VERBOSE.is_set():
        optuna.logging.enable_propagation()
    try:
        yield
    finally:
        optuna.logging.disable_propagation()
        optuna.logging.enable_default_handler()
        logger.removeHandler(handler)
        handler.close()

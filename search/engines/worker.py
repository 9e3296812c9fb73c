"""One worker: everything from an open study to the end of its loop, the same for every engine."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from search.engines.resources import ResourceSlot
from search.execution.stop_requests import Stop, catching_signals
from search.execution.worker import WORKER_LOG, Worker
from search.execution.worker_loop import work
from search.process.fork_server import ForkServer
from search.study import sweep_cells
from search.study.configurations import count_left, is_exhausted, listed_configurations
from search.study.study import LoadedStudy
from search.tracking.listener import listening
from storage.claims import Claims, sampled_trial
from storage.memory import GPU
from storage.process_identity import worker_name

NextTrial = Callable[[list[FrozenTrial]], dict[str, Any] | None]
# Of the twenty seconds that a stop may take, what the database may have: after the child's ten.
HURRY_SECONDS = 14.0


def run_worker(
    study: LoadedStudy,
    server: ForkServer,
    stop: Stop,
    slot: ResourceSlot,
    *,
    gpu_memory: float | None = None,
    checkpoint_seconds: float = 30.0,
    trackers: Sequence[str] = (),
) -> None:
    """Work on ``study`` until it has all its trials, or ``stop`` asks to end; ``trackers`` are told of them.

    Raises:
        StudyStopped: The search cannot usefully go on.
        InputError: This host may not work on it.
        ServerGone: ``server`` is another process's, and has ended or does not answer.
    """
    name = worker_name()
    next_trial, wanted = _trials_to_run(study)
    worker = Worker(
        study,
        server,
        Claims(
            study.storage,
            study.study_id,
            name,
            new_trial=next_trial,
            memory=bounded(slot.memory, gpu_memory),
        ),
        stop,
        gpu_memory=gpu_memory,
        threads=slot.threads,
        environment=slot.environment,
        checkpoint_seconds=checkpoint_seconds,
    )
    retrying = study.storage.retrying
    stop.on_hurry = lambda: retrying.set_deadline(HURRY_SECONDS)
    with (
        logging_to(study.paths.worker_log(name)),
        catching_signals(stop),
        server.hurried_by(lambda: stop.by_user),
        listening(trackers, study, lambda: stop.by_user) as worker.listener,
    ):
        work(worker, wanted)


def _trials_to_run(study: LoadedStudy) -> tuple[NextTrial, Callable[[], int]]:
    """Which trials a study is to have.

    Returns:
        What gives the attributes of another trial, see ``Claims.new_trial``; and what gives how many finished trials
        the study shall have.
    """
    if sweep_cells.SWEEP in study.optuna.user_attrs:
        return sweep_cells.next_retry, lambda: sweep_cells.cells_wanted(
            study.optuna.get_trials(deepcopy=False)
        )
    listed = listed_configurations(study)
    if not listed:
        return sampled_trial, lambda: study.wanted

    def next_sample(trials: list[FrozenTrial]) -> dict[str, Any] | None:
        """Another trial, unless all configurations have one."""
        return None if count_left(listed, trials) <= 0 else sampled_trial(trials)

    def wanted() -> int:
        return 0 if is_exhausted(listed, study.optuna.get_trials(deepcopy=False)) else study.wanted

    return next_sample, wanted


def bounded(memory: Mapping[str, int], gpu_memory: float | None) -> Mapping[str, int]:
    """What a worker has of each kind of memory, in bytes, where its trainings may take so many GB of a GPU's."""
    if gpu_memory is None or GPU not in memory:
        return memory
    return {**memory, GPU: min(memory[GPU], int(gpu_memory * 2**30))}


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Send what Optuna logs, and which trials this worker takes, to a file within the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    loggers = (logging.getLogger("optuna"), WORKER_LOG)
    for logger in loggers:
        logger.addHandler(handler)
    optuna.logging.disable_default_handler()
    if logging.getLogger().isEnabledFor(logging.INFO):  # As --verbose asks.
        optuna.logging.enable_propagation()
    try:
        yield
    finally:
        optuna.logging.disable_propagation()
        optuna.logging.enable_default_handler()
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()

"""What a worker has at hand."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from search.execution.stop_requests import Stop
from search.execution.time_spent import Clock
from search.process.fork_server import ForkServer
from search.study.study import LoadedStudy
from search.tracking.listener import Listener
from search.web.trial_page import Undrawn, draw_trial
from storage.claims import Claims

# How long pictures are waited for where the worker is asked to stop, and how often it is looked whether it is.
HURRIED_SECONDS, SLICE_SECONDS = 3.0, 0.1
# For the worker's log file alone: the screen shows the same in its own way.
WORKER_LOG = logging.getLogger(f"{__name__}.log")
WORKER_LOG.propagate = False
WORKER_LOG.setLevel(logging.INFO)


@dataclass
class Worker:
    """What a worker has at hand for its trials.

    Attributes:
        study: The open study.
        server: Starts the child processes.
        claims: Claims trials of the study for this worker.
        stop: Whether, and how urgently, to stop.
        gpu_memory: Most memory of a GPU that a child takes, GB; None lets it grow.
        threads: CPU threads of a child; 0 leaves the choice to the backend.
        environment: Environment variables of a child, such as which GPU is this worker's.
        checkpoint_seconds: The least time between two checkpoints.
        hang_seconds: The least silence for which a child is taken for hung.
        stop_seconds: How long a child that is asked to stop has to reach its next batch.
        clock: Where the worker's time goes.
        listener: Hears of the trials, for programs that people follow them with.
    """

    study: LoadedStudy
    server: ForkServer
    claims: Claims
    stop: Stop
    gpu_memory: float | None = None
    threads: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    checkpoint_seconds: float = 30.0
    hang_seconds: float = 60.0
    stop_seconds: float = 10.0
    clock: Clock = field(default_factory=Clock)
    listener: Listener = field(default_factory=Listener)
    _drawing: threading.Thread | None = field(default=None, init=False, repr=False)

    def draw(self, undrawn: Undrawn | None) -> None:
        """Have the pictures of a trial that has ended drawn while the next one begins, one trial's after another."""
        if undrawn is None:
            return
        self.finish_drawing()
        self._drawing = threading.Thread(
            target=draw_trial, args=(self.server, undrawn), name="pictures", daemon=True
        )
        self._drawing.start()

    def finish_drawing(self) -> None:
        """Wait for the pictures; not for long where the worker is asked to stop."""
        if self._drawing is None:
            return
        while self._drawing.is_alive() and not self.stop.requested:
            self._drawing.join(SLICE_SECONDS)
        self._drawing.join(HURRIED_SECONDS)

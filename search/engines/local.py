"""Workers in processes of their own on this host, which share one fork server; a worker that dies is started again.

Each is ``python -m search.engines.local_worker``. The fork server is this process's. A worker that finds it gone, or
without an answer, gives its trial back and ends; it is started again with a line to the next server, which this process
starts.
"""

import contextlib
import dataclasses
import errno
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from search.engines.local_worker import AT_ONCE, ERROR, NO_ROOM, REFUSED, SERVER_GONE, STOP, STOPPED
from search.engines.resources import ResourceSlot
from search.errors import DiskFull, InputError, ServerGone, StudyStopped
from search.execution.stop_requests import EXIT_SECONDS, Stop
from search.process.fork_server import ForkServer
from search.process.module_path import module_path
from search.study.study import LoadedStudy
from storage.process_identity import worker_name

# A worker that dies sooner than this after its start, so often in a row, will do so for ever.
SOON_SECONDS = 10.0
MOST_EARLY_DEATHS = 5
LOOK_SECONDS = 0.2


@dataclasses.dataclass
class _Running:
    """A worker process and the resources that it was given."""

    slot: ResourceSlot
    process: "subprocess.Popen[bytes]"
    log: Path
    began: float
    early_deaths: int = 0
    done: bool = False


class LocalWorkers:
    """N workers on this host, kept at N until the study has its trials.

    Args:
        study: The open study.
        server: The fork server that all of them share; it outlives them.
        slots: The resources of each worker.
        gpu_memory: Most memory of a GPU that a child takes, GB.
        checkpoint_seconds: The least time between two checkpoints of a trial.
        trackers: Which programs are told of the trials, see ``HostSettings``.

    Attributes:
        statuses: The exit status of each worker that has ended, as ``subprocess`` gives it.
    """

    def __init__(
        self,
        study: LoadedStudy,
        server: ForkServer,
        slots: Sequence[ResourceSlot],
        *,
        gpu_memory: float | None = None,
        checkpoint_seconds: float = 30.0,
        trackers: Sequence[str] = (),
    ) -> None:
        self.statuses: list[int] = []
        self._study, self._server, self._slots = study, server, slots
        self._settings = {
            "gpu_memory": gpu_memory,
            "checkpoint_seconds": checkpoint_seconds,
            "trackers": list(trackers),
        }

    def run(self, stop: Stop) -> None:
        """Start the workers, and wait until all have ended.

        Raises:
            InputError: A worker may not work on the study, or its space has never worked.
            StudyStopped: A worker says that the search cannot usefully go on, or cannot be kept alive.
        """
        running: list[_Running] = []
        try:
            with self._server.hurried_by(lambda: stop.by_user):
                running += (self._start(slot, stop) for slot in self._slots)
                self._watch(running, stop)
        except ServerGone:
            if not stop.requested:  # Else there was no time for another one.
                raise
        finally:
            _end(running)

    def _watch(self, running: list[_Running], stop: Stop) -> None:
        """Keep the workers alive until all are done; pass on to them that they shall stop."""
        asked = hurried = False
        last_chance = float("inf")
        while not all(one.done for one in running):
            if stop.requested and not asked:
                asked = True
                last_chance = time.monotonic() + EXIT_SECONDS - 1
                _tell(running, STOP)
            if stop.now and not hurried:
                hurried = True
                _tell(running, AT_ONCE)
            if time.monotonic() > last_chance:  # Stopped, or stuck: its trial is found by its dead process.
                for one in running:
                    one.process.kill()
            for place, one in enumerate(running):
                if not one.done and one.process.poll() is not None:
                    running[place] = self._after(one, stop)
            time.sleep(LOOK_SECONDS)

    def _start(self, slot: ResourceSlot, stop: Stop, early_deaths: int = 0) -> _Running:
        study, config = self._study, self._study.config
        line = self._share(stop)
        spec = {
            "study": config.study,
            "storage": study.url,
            "root": str(study.paths.root),
            "prepared": str(study.dataset().folder),
            "backend": self._server.backend,
            "line": line.fileno(),
            "slot": dataclasses.asdict(slot),
            "times": dataclasses.asdict(study.storage.timeouts),
            "timeout": None if stop.deadline is None else max(0.0, stop.deadline - time.monotonic()),
            "budget": stop.budget,
            **self._settings,
        }
        # Until its process has a name.
        log = study.paths.worker_log(f"starting-{secrets.token_hex(4)}")
        log.parent.mkdir(parents=True, exist_ok=True)
        with line, log.open("ab") as printed:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "search.engines.local_worker"],
                stdin=subprocess.PIPE,
                bufsize=0,  # What a worker that has died did not take is not tried again when its end is closed.
                stdout=printed,
                stderr=printed,
                pass_fds=[line.fileno()],
                env={**os.environ, "PYTHONPATH": module_path()},
                start_new_session=True,  # A terminal's Ctrl-C is passed on by this process, once.
            )
        log = rename_log(log, study.paths.worker_log(worker_name(process.pid)))
        one = _Running(slot, process, log, time.monotonic(), early_deaths)
        # Its end, which the worker hears, is this process's end.
        _tell([one], json.dumps(spec).encode() + b"\n")
        return one

    def _share(self, stop: Stop) -> socket.socket:
        """A line to the fork server; to the next one, where this one is gone.

        Raises:
            ServerGone: Asked to stop meanwhile.
        """
        while True:
            try:
                return self._server.share()
            except ServerGone:
                if stop.requested:
                    raise

    def _after(self, one: _Running, stop: Stop) -> _Running:
        """Decide what becomes of the resources of a worker that has ended: another worker, or none."""
        status = one.process.returncode
        self.statuses.append(status)
        if one.process.stdin is not None:
            one.process.stdin.close()
        if status == 0 or stop.requested:
            return dataclasses.replace(one, done=True)
        words = one.log.read_text(errors="replace").strip().splitlines()
        last = words[-1] if words else "it said nothing"
        if status == NO_ROOM and not last.startswith(ERROR):  # Its log lies on that disk, too.
            raise DiskFull(os.strerror(errno.ENOSPC))
        last = last.removeprefix(ERROR)
        if status == REFUSED:
            raise InputError(last)
        if status in (STOPPED, NO_ROOM):
            raise StudyStopped(last)
        if status == SERVER_GONE:
            return self._start(one.slot, stop, one.early_deaths)
        early = one.early_deaths + 1 if time.monotonic() - one.began < SOON_SECONDS else 0
        if early >= MOST_EARLY_DEATHS:
            raise StudyStopped(
                f"a worker ended {early} times in a row, last with status {status}: {last}; see {one.log}"
            )
        return self._start(one.slot, stop, early)


def _end(running: Sequence[_Running]) -> None:
    """End all workers that still run."""
    _tell(running, STOP)
    over = time.monotonic() + EXIT_SECONDS
    for one in running:
        try:
            one.process.wait(max(0.1, over - time.monotonic()))
        except subprocess.TimeoutExpired:
            one.process.kill()
            one.process.wait()


def _tell(running: Sequence[_Running], words: bytes) -> None:
    for one in running:
        if one.process.stdin is not None and not one.process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):  # It has died, as the next look at it will tell.
                one.process.stdin.write(words)


def rename_log(log: Path, named: Path) -> Path:
    """Give a worker's log the name that the worker has in the study; one of an earlier worker of that name stays."""
    if named.exists():
        named = named.with_stem(f"{named.stem}-{log.stem.rpartition('-')[2]}")
    log.rename(named)
    return named

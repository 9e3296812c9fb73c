"""Workers in processes of their own on this host, which share one fork server; a worker that dies is started again.

Each is ``python -m search.engines.local``, which reads its specification from standard input, so that no password
stands in a list of processes. Further lines ask it to stop: not signals, since a scheduler may have sent one to every
process of a job already, and a second one would leave the trial's child no time. It ends, requeuing its trial, when the
process that started it is gone.

The fork server is the starter's. A worker that finds it gone, or without an answer, gives its trial back and ends; it
is started again with a line to the next server, which the starter starts.
"""

import contextlib
import dataclasses
import errno
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from search.engines.resources import ResourceSlot
from search.engines.worker import run_worker
from search.errors import DiskFull, InputError, ServerGone, StudyStopped, is_disk_full
from search.execution.stop_requests import EXIT_SECONDS, Stop, ending_in_time, this_process_is_ours
from search.process.fork_server import ForkServer
from search.process.module_path import module_path
from search.study.compute import compute_spent
from search.study.finding import load_study
from search.study.study import LoadedStudy
from storage.process_identity import worker_name
from storage.timeouts import Timeouts

# A worker that dies sooner than this after its start, so often in a row, will do so for ever.
SOON_SECONDS = 10.0
MOST_EARLY_DEATHS = 5
LOOK_SECONDS = 0.2
# How a worker says why it ended. None is 1, with which Python ends a process that has a fault of its own.
STOPPED, REFUSED, NO_ROOM, SERVER_GONE = 3, 4, 5, 6
# What a worker is told over its standard input.
STOP, AT_ONCE = b"stop\n", b"now\n"
ERROR = "error: "


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
                [sys.executable, "-m", "search.engines.local"],
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


def _listen_to_starter(stop: Stop) -> None:
    """Stop as the starter says, or once its end of our standard input is closed."""

    def listen() -> None:
        while words := os.read(0, 64):
            if not stop.by_user:
                stop.on_signal(signal.SIGTERM)
            if AT_ONCE in words:
                stop.now = True
        if not stop.by_user:
            stop.on_signal(signal.SIGHUP)

    threading.Thread(target=listen, name="starter", daemon=True).start()


def main() -> int:
    """Run one worker as specified on standard input, and return its exit status."""
    this_process_is_ours()
    # Unbuffered: what follows the line is not for this reader.
    with os.fdopen(0, "rb", buffering=0, closefd=False) as starter:
        spec: dict[str, Any] = json.loads(starter.readline())
    stop = Stop()
    _listen_to_starter(stop)
    try:
        with ending_in_time(stop):
            _work_as(spec, stop)
    except InputError as error:
        return _say(error, REFUSED)
    except ServerGone as error:
        return _say(error, SERVER_GONE)
    except StudyStopped as error:
        return _say(error, NO_ROOM if isinstance(error, DiskFull) else STOPPED)
    except Exception as error:
        if not is_disk_full(error):
            raise
        return _say(DiskFull(error), NO_ROOM)
    return 130 if stop.by_user else 0


def _say(error: Exception, status: int) -> int:
    """Leave the reason of the end in the log, if there is room for it, and return the exit status."""
    with contextlib.suppress(OSError):
        print(f"{ERROR}{error}", flush=True)
    # What could not be printed would be tried again at the exit, and the status be Python's own.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    return status


def _work_as(spec: dict[str, Any], stop: Stop) -> None:
    times = Timeouts(**spec["times"])
    found = load_study(spec["study"], spec["storage"], Path(spec["root"]), times, patient=True)
    study = dataclasses.replace(found, prepared=Path(spec["prepared"]))
    if spec["timeout"] is not None:
        stop.deadline = time.monotonic() + spec["timeout"]
    stop.budget, stop.spent = spec["budget"], lambda: compute_spent(study)
    with ForkServer(spec["backend"], socket.socket(fileno=spec["line"])) as server:
        run_worker(
            study,
            server,
            stop,
            ResourceSlot(**spec["slot"]),
            gpu_memory=spec["gpu_memory"],
            checkpoint_seconds=spec["checkpoint_seconds"],
            trackers=spec["trackers"],
        )


if __name__ == "__main__":
    sys.exit(main())

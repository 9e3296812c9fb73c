"""Workers in processes of their own on this host, which share one fork server; a worker that dies is started again.

Each is ``python -m search.engines.local``, which reads its specification from standard input, so that no password
stands in a list of processes. It ends, requeuing its trial, when the process that started it is gone.
"""

import contextlib
import dataclasses
import errno
import json
import os
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
from search.errors import DiskFull, InputError, StudyStopped, is_disk_full
from search.execution.stop_requests import EXIT_SECONDS, Stop, ending_in_time, this_process_is_ours
from search.process.fork_server import ForkServer
from search.study.study import LoadedStudy, compute_spent, load_study
from storage.timeouts import Timeouts

# A worker that dies sooner than this after its start, so often in a row, will do so for ever.
SOON_SECONDS = 10.0
MOST_EARLY_DEATHS = 5
LOOK_SECONDS = 0.2
# How a worker says why it ended. None is 1, with which Python ends a process that has a fault of its own.
STOPPED, REFUSED, NO_ROOM = 3, 4, 5
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
    ) -> None:
        self.statuses: list[int] = []
        self._study, self._server, self._slots = study, server, slots
        self._settings = {"gpu_memory": gpu_memory, "checkpoint_seconds": checkpoint_seconds}

    def run(self, stop: Stop) -> None:
        """Start the workers, and wait until all have ended.

        Raises:
            StudyStopped: A worker says that the search cannot usefully go on, or cannot be kept alive.
        """
        running = [self._start(slot, stop) for slot in self._slots]
        asked = hurried = False
        last_chance = float("inf")
        try:
            while not all(one.done for one in running):
                if stop.requested and not asked:
                    asked = True
                    last_chance = time.monotonic() + EXIT_SECONDS - 1
                    _signal(running, signal.SIGTERM)
                if stop.now and not hurried:
                    hurried = True
                    _signal(running, signal.SIGTERM)
                if (
                    time.monotonic() > last_chance
                ):  # Stopped, or stuck: its trial is found by its dead process.
                    _signal(running, signal.SIGKILL)
                for place, one in enumerate(running):
                    if not one.done and one.process.poll() is not None:
                        running[place] = self._after(one, stop)
                time.sleep(LOOK_SECONDS)
        finally:
            _end(running)

    def _start(self, slot: ResourceSlot, stop: Stop, early_deaths: int = 0) -> _Running:
        study, config = self._study, self._study.config
        line = self._server.share()
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
        log = study.paths.folder / "logs" / f"worker-{self._slots.index(slot)}-{time.time_ns()}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        path = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
        with line, log.open("ab") as printed:
            process = subprocess.Popen(
                [sys.executable, "-m", "search.engines.local"],
                stdin=subprocess.PIPE,
                stdout=printed,
                stderr=printed,
                pass_fds=[line.fileno()],
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,  # A terminal's Ctrl-C is passed on by this process, once.
            )
        with contextlib.suppress(BrokenPipeError):  # It has died already, as the next look at it will tell.
            if process.stdin is not None:  # Its end, which the worker hears, is this process's end.
                process.stdin.write(json.dumps(spec).encode() + b"\n")
                process.stdin.flush()
        return _Running(slot, process, log, time.monotonic(), early_deaths)

    def _after(self, one: _Running, stop: Stop) -> _Running:
        """Decide what becomes of the resources of a worker that has ended: another worker, or none."""
        status = one.process.returncode
        self.statuses.append(status)
        if one.process.stdin is not None:
            one.process.stdin.close()
        if status == 0 or stop.requested:
            if not one.log.stat().st_size:
                one.log.unlink()
            return dataclasses.replace(one, done=True)
        words = one.log.read_text(errors="replace").strip().splitlines()
        last = words[-1] if words else "it said nothing"
        if status == NO_ROOM and not last.startswith(ERROR):  # Its log lies on that disk, too.
            raise DiskFull(os.strerror(errno.ENOSPC))
        last = last.removeprefix(ERROR)
        if status in (STOPPED, REFUSED, NO_ROOM):
            raise StudyStopped(last)
        early = one.early_deaths + 1 if time.monotonic() - one.began < SOON_SECONDS else 0
        if early >= MOST_EARLY_DEATHS:
            raise StudyStopped(
                f"a worker ended {early} times in a row, last with status {status}: {last}; see {one.log}"
            )
        return self._start(one.slot, stop, early)


def _end(running: Sequence[_Running]) -> None:
    """End all workers that still run."""
    _signal(running, signal.SIGTERM)
    over = time.monotonic() + EXIT_SECONDS
    for one in running:
        try:
            one.process.wait(max(0.1, over - time.monotonic()))
        except subprocess.TimeoutExpired:
            one.process.kill()
            one.process.wait()


def _signal(running: Sequence[_Running], number: int) -> None:
    for one in running:
        if one.process.poll() is None:
            one.process.send_signal(number)


def _listen_to_starter(stop: Stop) -> None:
    """Ask to stop once the starter's end of our standard input is closed."""

    def listen() -> None:
        while os.read(0, 64):
            pass
        if not stop.by_user:
            stop.on_signal(signal.SIGHUP)

    threading.Thread(target=listen, name="starter", daemon=True).start()


def main() -> int:
    """Run one worker as specified on standard input, and return its exit status."""
    this_process_is_ours()
    spec: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    stop = Stop()
    _listen_to_starter(stop)
    try:
        with ending_in_time(stop):
            _work_as(spec, stop)
    except InputError as error:
        return _say(error, REFUSED)
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
        )


if __name__ == "__main__":
    sys.exit(main())

"""Workers in processes of their own on this host, sharing one fork server; one that dies is started again.

Each worker is ``python -m search.engines.local``, which reads what it is to do from its standard input: no password
stands in a process list. It ends, giving its trial back, when its starter is gone.
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

from search.child import ForkServer
from search.engines.seat import sit
from search.engines.slots import Slot
from search.errors import DiskFull, InputError, StudyStopped, is_disk_full
from search.stopping import EXIT_SECONDS, Stop, ending_in_time, this_process_is_ours
from search.study import LoadedStudy, compute_spent, load_study
from storage.times import Times

# A worker that dies sooner than this after its start, so often in a row, will do so for ever.
SOON_SECONDS = 10.0
MOST_EARLY_DEATHS = 5
LOOK_SECONDS = 0.2
# How a worker says why it ended. None is 1, with which Python ends a process that has a fault of its own.
STOPPED, REFUSED, NO_ROOM = 3, 4, 5
ERROR = "error: "


@dataclasses.dataclass
class _Running:
    """A slot and who sits there."""

    slot: Slot
    process: "subprocess.Popen[bytes]"
    log: Path
    began: float
    early_deaths: int = 0
    done: bool = False


class LocalWorkers:
    """N workers on this host, kept N until the study has its trials.

    Args:
        study: The open study.
        server: Shared by all of them; it outlives them.
        slots: One a worker.
        gpu_memory: Limit in GB a child.
        checkpoint_seconds: See ``Worker``.

    Attributes:
        statuses: How each worker that has ended did, as ``subprocess`` gives it.
    """

    def __init__(
        self,
        study: LoadedStudy,
        server: ForkServer,
        slots: Sequence[Slot],
        *,
        gpu_memory: float | None = None,
        checkpoint_seconds: float = 30.0,
    ) -> None:
        self.statuses: list[int] = []
        self._study, self._server, self._slots = study, server, slots
        self._settings = {"gpu_memory": gpu_memory, "checkpoint_seconds": checkpoint_seconds}

    def run(self, stop: Stop) -> None:
        """Start them and wait for them.

        Raises:
            StudyStopped: One of them says that the search cannot usefully go on, or cannot be kept alive.
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

    def _start(self, slot: Slot, stop: Stop, early_deaths: int = 0) -> _Running:
        study, config = self._study, self._study.config
        line = self._server.share()
        order = {
            "study": config.study,
            "storage": study.url,
            "root": str(study.paths.root),
            "prepared": str(study.dataset().folder),
            "backend": self._server.backend,
            "line": line.fileno(),
            "slot": dataclasses.asdict(slot),
            "times": dataclasses.asdict(study.storage.times),
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
                process.stdin.write(json.dumps(order).encode() + b"\n")
                process.stdin.flush()
        return _Running(slot, process, log, time.monotonic(), early_deaths)

    def _after(self, one: _Running, stop: Stop) -> _Running:
        """What becomes of a slot whose worker has ended."""
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
    """Leave nobody behind."""
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
    """A worker's body: its exit status."""
    this_process_is_ours()
    order: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    stop = Stop()
    _listen_to_starter(stop)
    try:
        with ending_in_time(stop):
            _obey(order, stop)
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
    """Leave the reason in the log, if there is room for it, and give the status to end with."""
    with contextlib.suppress(OSError):
        print(f"{ERROR}{error}", flush=True)
    # What could not be printed would be tried again at the exit, and the status be Python's own.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    return status


def _obey(order: dict[str, Any], stop: Stop) -> None:
    times = Times(**order["times"])
    found = load_study(order["study"], order["storage"], Path(order["root"]), times, patient=True)
    study = dataclasses.replace(found, prepared=Path(order["prepared"]))
    if order["timeout"] is not None:
        stop.deadline = time.monotonic() + order["timeout"]
    stop.budget, stop.spent = order["budget"], lambda: compute_spent(study)
    with ForkServer(order["backend"], socket.socket(fileno=order["line"])) as server:
        sit(
            study,
            server,
            stop,
            Slot(**order["slot"]),
            gpu_memory=order["gpu_memory"],
            checkpoint_seconds=order["checkpoint_seconds"],
        )


if __name__ == "__main__":
    sys.exit(main())

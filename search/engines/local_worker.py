"""One of several workers on this host (``python -m search.engines.local_worker``), as ``local`` starts it.

It reads its specification from standard input, so that no password stands in a list of processes. Further lines ask it
to stop: not signals, since a scheduler may have sent one to every process of a job already, and a second one would
leave the trial's child no time. It ends, requeuing its trial, when the process that started it is gone.
"""

import contextlib
import dataclasses
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from search.engines.resources import ResourceSlot
from search.engines.worker import run_worker
from search.errors import DiskFull, InputError, ServerGone, StudyStopped, is_disk_full
from search.execution.stop_requests import Stop, ending_in_time, this_process_is_ours
from search.process.fork_server import ForkServer
from search.study.compute import compute_spent
from search.study.finding import load_study
from storage.timeouts import Timeouts

# How a worker says why it ended. None is 1, with which Python ends a process that has a fault of its own.
STOPPED, REFUSED, NO_ROOM, SERVER_GONE = 3, 4, 5, 6
# What a worker is told over its standard input.
STOP, AT_ONCE = b"stop\n", b"now\n"
ERROR = "error: "


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

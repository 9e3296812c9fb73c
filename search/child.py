"""The trial's own process, as its worker sees it: a fork server that has the backend imported, and its children.

The server touches no device and no database; a child is ready at once where a fresh process would import for ten
seconds. A child that crashes, leaks or is killed ends its job alone. Messages are JSON both ways over a socket pair;
a child whose worker is gone notices its closed end and ends (it is the server's child, so PDEATHSIG would not fire).
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

from search.errors import DiskFull, StudyStopped, TrialCrashed, TrialInterrupted, TrialOutOfMemory
from search.server import LAST_LINES, NONE_STARTED

# What a child would otherwise import for itself; with the first comes Keras.
PRELOAD = ("search.training.job", "search.feeding.drawing")
NONE_STARTED_SECONDS = 10.0
OOM_COUNTERS = (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat"))


class Child:
    """One job in a process of its own; made by ``ForkServer.start``.

    Attributes:
        pid: Its process id.
        log: The file with all that it printed.
    """

    def __init__(self, server: "ForkServer", pid: int, connection: Connection, log: Path) -> None:
        self.pid = pid
        self.log = log
        self._server = server
        self._connection = connection
        self._status: int | None = None
        self._oom_kills = _oom_kills()

    def receive(self, timeout: float | None = None) -> dict[str, Any] | None:
        """Wait for a message.

        Args:
            timeout: Seconds; None waits for ever.

        Returns:
            The message, or None when none came in time.

        Raises:
            EOFError: The child has ended.
        """
        try:
            if not self._connection.poll(timeout):
                return None
            message: dict[str, Any] = json.loads(self._connection.recv_bytes())
        except (EOFError, OSError):
            raise EOFError(f"child {self.pid} has ended") from None
        return message

    def send(self, message: dict[str, Any]) -> None:
        """Send a message; one to a child that has ended is dropped (``receive`` tells of its end)."""
        with contextlib.suppress(OSError):
            self._connection.send_bytes(json.dumps(message).encode())

    def stop(self) -> None:
        """Ask it to stop at its next batch boundary."""
        self.send({"stop": True})

    def wait(self) -> int:
        """Wait for its end: its exit status as ``subprocess`` gives it (a negative number is a signal)."""
        if self._status is None:
            self._status = self._server.wait(self.pid)
        return self._status

    def kill(self) -> None:
        """End it now."""
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def last_lines(self) -> str:
        """The end of its log."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-LAST_LINES:])
        return ""

    def result(self, timeout: float | None = None) -> dict[str, Any]:
        """The next message of a job, or its only one; an end without it, or an ``error``, is raised.

        Raises:
            TrialCrashed, TrialOutOfMemory, TrialInterrupted: It ended in another way, or not in ``timeout`` seconds.
            DiskFull: It could not write.
        """
        try:
            message = self.receive(timeout)
        except EOFError:
            raise self.ending() from None
        if message is None:
            self.kill()
            raise TrialCrashed(f"no answer in {timeout:.0f} s", self.last_lines())
        if message["kind"] == "error":
            raise error_of(message)
        return message

    def ending(self) -> Exception:
        """What the end of a child that told no result means; its class decides what happens next."""
        status = self.wait()
        if status == -signal.SIGKILL and _oom_kills() > self._oom_kills:
            return TrialOutOfMemory("out of memory: killed by the system", self.last_lines())
        if status in (-signal.SIGKILL, -signal.SIGTERM):
            return TrialInterrupted(f"killed by {signal.Signals(-status).name}")
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        return TrialCrashed(f"the training process ended by itself: {how}", self.last_lines())

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if kind is not None:
            self.kill()
        self._connection.close()
        self.wait()


def error_of(message: dict[str, Any]) -> TrialCrashed | TrialOutOfMemory | DiskFull:
    """The exception for a job's ``error`` message."""
    if message["full"]:
        return DiskFull(message["message"])
    kind = TrialOutOfMemory if message["oom"] else TrialCrashed
    first_line = str(message["message"]).strip().splitlines()[:1]
    return kind(": ".join([message["type"], *first_line])[:300], message["traceback"])


class ForkServer:
    """Starts children; itself a process started once, with the backend imported and no device touched.

    Use it as a context manager, or call ``close``. It ends by itself when its owner, and all to whom the owner has
    given a ``share``, are gone.

    Args:
        backend: Keras's backend, ``tensorflow``, ``jax`` or ``torch``.
        line: Of a server that another process owns and shares, instead of one of its own.

    Attributes:
        process: The server's; None for a shared one.
    """

    def __init__(self, backend: str = "tensorflow", line: socket.socket | None = None) -> None:
        self.backend = backend
        self._lock = threading.Lock()
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server
        self.process: subprocess.Popen[bytes] | None = None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._socket = self._launch() if line is None else line

    def _launch(self) -> socket.socket:
        self._temporary = tempfile.TemporaryDirectory(prefix="search-", ignore_cleanup_errors=True)
        backend = self.backend
        ours, theirs = socket.socketpair()
        # On torch, importing Keras asks CUDA for its devices, which must not happen before a fork; on macOS a fork
        # after such imports is unsafe. There the child imports.
        preload = () if backend == "torch" or sys.platform == "darwin" else PRELOAD
        environment = {
            **os.environ,
            "KERAS_BACKEND": backend,
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
        }
        environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "search.server", str(theirs.fileno()), self._temporary.name, *preload],
            pass_fds=[theirs.fileno()],
            env=environment,
            start_new_session=True,  # A terminal's Ctrl-C is for the worker, which stops its child in good order.
            stdin=subprocess.DEVNULL,
            stdout=self._printed,
            stderr=self._printed,
        )
        theirs.close()
        return ours

    def share(self) -> socket.socket:
        """A line of its own to this server, for another process (see ``line``)."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._ask({"adopt": True}, [theirs.fileno()])
        return ours

    def start(
        self,
        job: str,
        payload: dict[str, Any],
        log: Path,
        threads: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> Child:
        """Fork a child for one job.

        Args:
            job: ``module:function``; the child calls ``function(payload, channel)``.
            payload: Plain values (JSON).
            log: Gets all that the child prints, appended.
            threads: Of the backend in the child, 0 for as many as there are cores.
            environment: Variables to set in the child before it touches a device.

        Raises:
            StudyStopped: The server is gone.
            TrialInterrupted: The system has no room for another process just now.
        """
        ours, theirs = socket.socketpair()
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as printed, theirs:
            pid = self._ask({"start": True}, [theirs.fileno(), printed.fileno()])
        if pid == NONE_STARTED:
            ours.close()
            time.sleep(NONE_STARTED_SECONDS)
            raise TrialInterrupted("no process could be started")
        connection = Connection(ours.detach())
        child = Child(self, pid, connection, log)
        child.send(
            {"job": job, "payload": payload, "threads": threads, "environment": dict(environment or {})}
        )
        return child

    def wait(self, pid: int) -> int:
        """Wait for the end of child ``pid``: its exit status."""
        return self._ask({"wait": pid}, [])

    def _ask(self, request: dict[str, Any], files: list[int]) -> int:
        with self._lock:
            try:
                socket.send_fds(self._socket, [json.dumps(request).encode()], files)
                answer = self._socket.recv(64)
            except OSError:
                answer = b""
        if not answer:
            self._printed.seek(0)  # Of a shared server its owner has the words.
            words = self._printed.read().decode(errors="replace").strip().splitlines()[-1:] or ["nothing"]
            raise StudyStopped(f"the process that starts trials has ended; its last line: {words[0]}")
        return int(answer)

    def close(self) -> None:
        """End the server, if it is this process's own; its children notice their closed ends."""
        self._socket.close()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        if self._temporary is not None:
            self._temporary.cleanup()
        self._printed.close()

    def __enter__(self) -> "ForkServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _oom_kills() -> int:
    """How many processes the system has killed for want of memory, in this container or else on this host."""
    for place in OOM_COUNTERS:
        with contextlib.suppress(OSError, ValueError):
            for line in place.read_text().splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0

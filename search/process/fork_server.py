"""Starts child processes from a server that has the backend imported and has touched no device."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from search.errors import StudyStopped, TrialInterrupted
from search.process.child import Child
from search.process.fork_server_main import NONE_STARTED

# What a child would otherwise import for itself; with the first comes Keras.
PRELOAD = ("search.training.job", "search.web.drawing")
NONE_STARTED_SECONDS = 10.0


class ForkServer:
    """Starts children from a server process that has imported the backend and has touched no device.

    Use it as a context manager, or call ``close``. The server ends by itself once its owner, and all to whom the owner
    has given a ``share``, are gone.

    Args:
        backend: Keras's backend: ``tensorflow``, ``jax`` or ``torch``.
        line: Connection to a server that another process owns and shares; by default a server is started.

    Attributes:
        process: The server's process; None for a shared server.
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
            [
                sys.executable,
                "-m",
                "search.process.fork_server_main",
                str(theirs.fileno()),
                self._temporary.name,
                *preload,
            ],
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
        """Make another connection to this server, to be handed to another process (see ``line``)."""
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
            payload: Plain values, as JSON has them.
            log: The file to which all that the child prints is appended.
            threads: CPU threads of the backend in the child; 0 for as many as there are cores.
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
        child = Child(pid, connection, log, self.wait)
        child.send(
            {"job": job, "payload": payload, "threads": threads, "environment": dict(environment or {})}
        )
        return child

    def wait(self, pid: int) -> int:
        """Wait for the end of child ``pid``, and return its exit status."""
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
        """End the server, if it is this process's own; its children notice that their connections close."""
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

"""Starts child processes from a server that has the backend imported and has touched no device."""

import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from search.errors import ServerGone, StudyStopped, TrialInterrupted
from search.process.child import Child
from search.process.fork_server_main import ENDING_SECONDS, UNKILLABLE_SECONDS
from search.process.module_path import module_path
from storage.process_identity import kill_process, process_exists

logger = logging.getLogger(__name__)

# What a child would otherwise import for itself; with the first comes Keras.
PRELOAD = ("search.training.job", "search.web.drawing")
NONE_STARTED_SECONDS = 10.0
# A server answers in milliseconds, except for its first answer: before that it imports, from a slow disk for minutes.
ANSWER_SECONDS = 10.0
IMPORT_SECONDS = 300.0
HURRIED_SECONDS = 2.0
BETWEEN_LAUNCHES = 60.0
# Servers in a row that ended without an answer; so many starts of a child without a trial's loop around them.
MOST_SILENT = MOST_STARTS = 3
SLICE_SECONDS = 0.1


class ForkServer:
    """Starts children from a server process that has imported the backend and has touched no device.

    Use it as a context manager, or call ``close``. The server ends by itself once its owner, and all to whom the owner
    has given a ``share``, are gone.

    A server that ends, or that does not answer in time, costs no more than what it was asked for: ``ServerGone`` is
    raised, and its owner starts another before the next request, at most one a minute. Children of the old one go on.

    Args:
        backend: Keras's backend: ``tensorflow``, ``jax`` or ``torch``.
        line: Connection to a server that another process owns and shares; by default a server is started.

    Attributes:
        process: The server's process; None for a shared server.
    """

    def __init__(self, backend: str = "tensorflow", line: socket.socket | None = None) -> None:
        self.backend = backend
        self.process: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()
        self._hurried: Callable[[], bool] = lambda: False
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._line = line
        self._answered = line is not None  # Its owner had its answer.
        self._silent = 0
        self._launched_at = 0.0
        if line is None:
            # Of all servers, one after another: a child may outlive the one that started it.
            self._temporary = tempfile.TemporaryDirectory(prefix="search-", ignore_cleanup_errors=True)
            self._line = self._launch()

    def _launch(self) -> socket.socket:
        assert self._temporary is not None
        backend = self.backend
        ours, theirs = socket.socketpair()
        # On torch, importing Keras asks CUDA for its devices, which must not happen before a fork; on macOS a fork
        # after such imports is unsafe. There the child imports.
        preload = () if backend == "torch" or sys.platform == "darwin" else PRELOAD
        environment = {
            **os.environ,
            "KERAS_BACKEND": backend,
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            "PYTHONPATH": module_path(),
        }
        environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        self._answered, self._launched_at = False, time.monotonic()
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-P",  # Nothing comes before the path of this process.
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

    @contextmanager
    def hurried_by(self, hurried: Callable[[], bool]) -> Iterator[None]:
        """Within the block, wait for no more than moments once ``hurried`` says that somebody asked to stop."""
        before, self._hurried = self._hurried, hurried
        try:
            yield
        finally:
            self._hurried = before

    def revive(self) -> bool:
        """See to it that there is a server: where the last one is gone, start another, and wait for its first answer.

        If the last one was started less than a minute ago, the rest of the minute is waited for first.

        Returns:
            Whether there is one; it may be hung and not known to be yet. False if the new one is gone as well, or
            somebody is in a hurry.

        Raises:
            ServerGone: The server that is gone was another process's, which alone starts another.
            StudyStopped: One server after another ended before it could answer.
        """
        with self._lock:
            if self._line is not None:
                return True
            if self.process is None:
                raise ServerGone("the process that starts trials is gone")
            if not self._pause(self._launched_at + BETWEEN_LAUNCHES - time.monotonic()):
                return False
            self._line = self._launch()
            with contextlib.suppress(ServerGone):
                self._ask({"hello": True})
            return self._line is not None

    def share(self) -> socket.socket:
        """Make another connection to this server, to be handed to another process (see ``line``).

        Raises:
            ServerGone: As ``start``.
        """
        self._revive_or_raise()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._ask({"adopt": True}, [theirs.fileno()])
            except BaseException:
                ours.close()
                raise
        return ours

    def start(
        self,
        job: str,
        payload: dict[str, Any],
        log: Path,
        threads: int = 0,
        environment: Mapping[str, str] | None = None,
        *,
        patient: bool = True,
    ) -> Child:
        """Fork a child for one job.

        Args:
            job: ``module:function``; the child calls ``function(payload, channel)``.
            payload: Plain values, as JSON has them.
            log: The file to which all that the child prints is appended.
            threads: CPU threads of the backend in the child; 0 for as many as there are cores.
            environment: Variables to set in the child before it touches a device.
            patient: Whether to wait for another server where this one is gone, and to try again; who holds a trial
                gives it back instead.

        Raises:
            StudyStopped: No server can be started.
            ServerGone: The server has ended or did not answer.
            TrialInterrupted: The system has no room for another process just now.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        if not patient and self._line is None:
            raise ServerGone("the process that starts trials is gone")
        for tries in range(1, MOST_STARTS + 1):
            try:
                child = self._start(log)
                break
            except ServerGone:
                if not patient or self.process is None or self._hurried() or tries == MOST_STARTS:
                    raise
        child.send(
            {"job": job, "payload": payload, "threads": threads, "environment": dict(environment or {})}
        )
        return child

    def _start(self, log: Path) -> Child:
        self._revive_or_raise()
        ours, theirs = socket.socketpair()
        with self._lock:
            line = self._line
            try:
                with log.open("ab") as printed, theirs:
                    answer = self._ask({"start": True}, [theirs.fileno(), printed.fileno()])
            except BaseException:
                ours.close()
                raise
        pid, started = answer["pid"], answer["started"]
        if pid is None:
            ours.close()
            self._pause(NONE_STARTED_SECONDS)
            raise TrialInterrupted("no process could be started")
        return Child(pid, started, Connection(ours.detach()), log, partial(self._wait, line, pid, started))

    def _wait(self, line: socket.socket | None, pid: int, started: int | None) -> int | None:
        """Wait for the end of a child, and return its exit status; None if the server that started it is gone."""

        def patience() -> float:
            if process_exists(pid, started):  # The server gives it time to end, and then kills it.
                return ENDING_SECONDS + UNKILLABLE_SECONDS + ANSWER_SECONDS
            return HURRIED_SECONDS if self._hurried() else ANSWER_SECONDS

        with contextlib.suppress(ServerGone), self._lock:
            if self._line is line:
                status: int | None = self._ask({"wait": pid}, patience=patience)["status"]
                return status
        over = time.monotonic() + ENDING_SECONDS
        while process_exists(pid, started) and time.monotonic() < over:
            time.sleep(SLICE_SECONDS)
        kill_process(pid, started)
        return None

    def _revive_or_raise(self) -> None:
        if not self.revive():
            raise ServerGone(
                "the process that starts trials is gone, and so is the next, or no time was left for it"
            )

    def _pause(self, seconds: float) -> bool:
        """Wait for so many seconds, but no longer once in a hurry; return whether it was as long."""
        over = time.monotonic() + seconds
        while (left := over - time.monotonic()) > 0:
            if self._hurried():
                return False
            time.sleep(min(left, SLICE_SECONDS))
        return True

    def _ask(
        self,
        request: dict[str, Any],
        files: Sequence[int] = (),
        patience: Callable[[], float] | None = None,
    ) -> dict[str, Any]:
        """Send a request, and wait for its answer for as long as ``patience`` has it.

        Raises:
            ServerGone: There is no answer: the server has ended, or is ended now.
            StudyStopped: No server ends otherwise.
        """
        with self._lock:
            if self._line is None:
                raise ServerGone("the process that starts trials is gone")
            try:
                # Every slice looks whether somebody is in a hurry; in between a signal's handler can run.
                self._line.settimeout(SLICE_SECONDS)
                socket.send_fds(self._line, [json.dumps(request).encode()], files)
                answer = self._receive(self._line, patience or self._patience)
            except OSError:
                answer = b""
            if not answer:
                raise self._gone(hung=answer is None)
            self._answered, self._silent = True, 0
            found: dict[str, Any] = json.loads(answer)
            return found

    def _patience(self) -> float:
        """Seconds for which the server may be silent."""
        if self._hurried():
            return HURRIED_SECONDS
        return ANSWER_SECONDS if self._answered else IMPORT_SECONDS

    def _receive(self, line: socket.socket, patience: Callable[[], float]) -> bytes | None:
        """The next answer; empty if the server has ended, None if it is silent for too long."""
        silent, looked = 0.0, time.monotonic()
        while True:
            try:
                return line.recv(256)
            except TimeoutError:
                now = time.monotonic()
                # After a pause of this very process the server may be about to answer.
                silent += min(now - looked, 2 * SLICE_SECONDS)
                looked = now
                if silent > patience():
                    return None

    def _gone(self, *, hung: bool) -> Exception:
        """Give the server up, which has ended or hangs, and return what to raise."""
        assert self._line is not None
        self._line.close()
        self._line = None
        if self.process is None:
            return ServerGone("the process that starts trials is gone")
        if not hung:  # It has closed its end: it is about to be gone.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
        self.process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(ENDING_SECONDS)
        if not self._answered:
            self._silent += 1
            # By itself: whatever it cannot import now it could not later.
            by_itself = not hung and (self.process.returncode or 0) > 0
            if by_itself or self._silent >= MOST_SILENT:
                return StudyStopped(
                    f"the process that starts trials {'does not answer' if hung else 'has ended'}; its last line: "
                    f"{self._last_line()}"
                )
        how = "did not answer and was killed" if hung else "has ended"
        if not self._hurried():
            logger.warning("the process that starts trials %s; another takes its place", how)
        return ServerGone(f"the process that starts trials {how}")

    def _last_line(self) -> str:
        self._printed.seek(0)
        return (self._printed.read().decode(errors="replace").strip().splitlines() or ["nothing"])[-1]

    def close(self) -> None:
        """End the server, if it is this process's own; its children notice that their connections close."""
        if self._line is not None:
            self._line.close()
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

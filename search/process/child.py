"""A job's own process, as its worker sees it.

A child that crashes, leaks or is killed ends its job alone. Messages are JSON both ways over a socket pair;
a child whose worker is gone notices its closed end and ends (it is the server's child, so PDEATHSIG would not fire).
"""

import contextlib
import json
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import spaces
from search.errors import (
    DiskFull,
    SpaceChanged,
    TrialCrashed,
    TrialInterrupted,
    TrialOutOfMemory,
    join_words,
)
from search.process.fork_server_main import LAST_LINES
from storage.process_identity import kill_process

OOM_COUNTERS = (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat"))


class Child:
    """A job in a process of its own; made by ``ForkServer.start``.

    Args:
        pid: Its process id.
        started: Its ``start_time``: another process may have its id by the time that it is to be killed.
        connection: The worker's end of the connection to it.
        log: The file with all that it prints.
        wait: Waits for its end, and returns its exit status; None where nobody can tell.

    Attributes:
        pid: Its process id.
        log: The file with all that it printed.
    """

    def __init__(
        self,
        pid: int,
        started: int | None,
        connection: Connection,
        log: Path,
        wait: Callable[[], int | None],
    ) -> None:
        self.pid = pid
        self.log = log
        self._started = started
        self._wait = wait
        self._connection = connection
        self._over = False
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
        """Send a message; to a child that has ended it is dropped, for ``receive`` tells of the end."""
        with contextlib.suppress(OSError):
            self._connection.send_bytes(json.dumps(message).encode())

    def stop(self) -> None:
        """Ask it to stop at its next batch boundary."""
        self.send({"stop": True})

    def wait(self) -> int | None:
        """Wait for its end, and return its exit status as ``subprocess`` gives it (a negative number is a signal).

        It is None where nobody can tell, since the process that started it has ended before it.
        """
        if not self._over:
            self._status, self._over = self._wait(), True
        return self._status

    def kill(self) -> None:
        """End it now."""
        if not self._over:
            kill_process(self.pid, self._started)
            self.wait()

    def last_lines(self) -> str:
        """The end of its log."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-LAST_LINES:])
        return ""

    def result(self, timeout: float | None = None) -> dict[str, Any]:
        """Receive the next message of a job, often its only one.

        Raises:
            TrialCrashed, TrialOutOfMemory, TrialInterrupted: The child ended without it, reported an error, or sent
                nothing for ``timeout`` seconds.
            DiskFull: The child could not write.
            SpaceChanged: The code of the space is not what the worker has read.
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
        """The exception for a child that ended without its last message; its class decides what happens next."""
        status = self.wait()
        if status is None:
            return TrialInterrupted("ended after the process that had started it")
        if status == -signal.SIGKILL and _oom_kills() > self._oom_kills:
            return TrialOutOfMemory("out of memory: killed by the system", self.last_lines(), of_host=True)
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


def error_of(message: dict[str, Any]) -> TrialCrashed | TrialOutOfMemory | DiskFull | SpaceChanged:
    """The exception for a job's ``error`` message."""
    if message["full"]:
        return DiskFull(message["message"])
    if message["type"] == spaces.SpaceChanged.__name__:
        return SpaceChanged(message["message"])
    words = join_words(message["type"], message["message"], message["place"])
    if message["oom"]:
        return TrialOutOfMemory(words, message["traceback"], of_host=message["type"] == MemoryError.__name__)
    return TrialCrashed(words, message["traceback"], raised=True)


def _oom_kills() -> int:
    """How many processes the system has killed for want of memory so far, in this container or else on this host."""
    for place in OOM_COUNTERS:
        with contextlib.suppress(OSError, ValueError):
            for line in place.read_text().splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0

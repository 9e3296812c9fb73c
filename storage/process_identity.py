"""On which machine a process runs, and whether it still exists: what is known of a worker without asking it.

A system gives the id of a process that has ended to another. An id and the time at which its process started together
mean one process for good.
"""

import contextlib
import os
import signal
import socket
from functools import cache
from pathlib import Path


@cache
def machine() -> str:
    """An identifier of this machine until its next boot, the same in all of its containers.

    Where the system has none (outside Linux), it is the host's name.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:13]
    except OSError:
        return hostname()


@cache
def pid_namespace() -> str:
    """An identifier of where a process id means the same process: the machine and, on Linux, its pid namespace.

    The host's name would not do: containers and even machines may share one, and live processes would look dead.
    """
    try:
        return f"{machine()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return machine()


def hostname() -> str:
    """This host's name, as people know it."""
    return socket.gethostname()


def worker_name(pid: int | None = None) -> str:
    """The name among those at work on a study of a process on this host; by default this process's."""
    return f"{hostname()}-{os.getpid() if pid is None else pid}"


def start_time(pid: int) -> int | None:
    """When a process of this pid namespace started, in ticks after the boot; None where the system does not tell."""
    try:
        return int(_stat(pid)[19])
    except OSError:
        return None


def process_exists(pid: int, started: int | None = None) -> bool:
    """Whether a process exists in this pid namespace; a zombie does not count.

    Args:
        pid: Its id.
        started: Its ``start_time``: another process that has got its id by now is not it. None where it is not known.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        facts = _stat(pid)
    except OSError:
        return True
    return facts[0] != "Z" and started in (None, int(facts[19]))


def kill_process(pid: int, started: int | None) -> None:
    """End a process now, if it still exists; see ``process_exists``."""
    if process_exists(pid, started):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _stat(pid: int) -> list[str]:
    """What Linux knows of a process, from its state on; before that stands its name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()

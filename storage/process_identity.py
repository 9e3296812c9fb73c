"""On which machine a process runs, and whether it still exists: what is known of a worker without asking it."""

import os
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


def process_exists(pid: int) -> bool:
    """Whether a process with this id exists in this pid namespace; a zombie does not count."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return not Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except OSError:
        return True

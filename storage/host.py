"""Which machine and which processes are these: what can be known of another worker without asking it."""

import os
import socket
from functools import cache
from pathlib import Path


@cache
def machine() -> str:
    """This machine as long as it runs, whatever container the process lies in; the host's name where unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:13]
    except OSError:
        return hostname()


@cache
def place() -> str:
    """Where process ids mean the same: the machine and, on Linux, the process-id namespace.

    Containers may share a host's name, and machines too: a name alone would make live processes look dead.
    """
    try:
        return f"{machine()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return machine()


def hostname() -> str:
    """This host's name, for people."""
    return socket.gethostname()


def process_exists(pid: int) -> bool:
    """Whether a process of this place is there (a zombie is not)."""
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

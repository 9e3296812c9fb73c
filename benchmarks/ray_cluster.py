"""A Ray cluster of two nodes on this host, by the user who starts it: for tests and measurements of the engine.

Each node has one CPU, so that each takes one worker, and is a session of its own, so that it can be lost alone. Whoever
asks it needs the token in its folder.
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

TRIES, START_SECONDS, STOP_SECONDS = 2, 120.0, 30.0
# A node that is gone is given up after five seconds; one that is slow has twenty for each answer.
HEALTH = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 1000,
    "health_check_failure_threshold": 5,
    "health_check_timeout_ms": 20_000,
}
NODE = "RAY_RAYLET_PID"
# Stopped, ended and not yet waited for, or gone.
STILL = (b"T", b"t", b"Z", b"X", b"0")


def missing() -> str:
    """Why no cluster can be started here; empty where one can."""
    return "" if find_spec("ray") else "Ray is not installed (pip install '.[ray]')"


class RayCluster:
    """Started with the ``with`` block; its nodes are ended, and its folder deleted, at its end.

    Attributes:
        folder: Its token, its logs, and what Ray keeps.
        environment: What makes Ray's commands, and ours, ask this cluster, and no other.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))  # A socket's path must be short.
        token = self.folder / "token"
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
        self._port = _free_port()
        self.environment = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_ADDRESS": f"127.0.0.1:{self._port}",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
        }
        self._nodes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "RayCluster":
        try:
            self._start(
                "--head",
                f"--port={self._port}",
                f"--ray-client-server-port={_free_port()}",
                f"--temp-dir={self.folder}",
                f"--system-config={json.dumps(HEALTH)}",
                "--include-dashboard=false",
            )
            self.start_node()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in reversed(self._nodes):
            node.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                node.wait(STOP_SECONDS)
            _kill(node, _session(node.pid))
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_node(self) -> None:
        """Start another node."""
        self._start(f"--address=127.0.0.1:{self._port}", "--node-ip-address=127.0.0.2")

    def lose_node(self) -> None:
        """Lose the node that was started last, and all processes that it has started, at one blow."""
        node = self._nodes.pop()
        ours = _session(node.pid)
        marks = {f"{NODE}={pid}".encode() for pid in ours}
        ours |= {pid for pid in _processes() if marks & set(_read(pid, "environ").split(b"\0"))}
        for pid in ours:  # None is to see another one's end.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        over = time.monotonic() + STOP_SECONDS
        while any(_stat(pid)[0] not in STILL for pid in ours) and time.monotonic() < over:
            time.sleep(0.001)  # A process is asked to stop, and goes on until it next has a processor.
        _kill(node, ours)

    def seats(self) -> list[int]:
        """The processes that Ray runs the engine's actors in."""
        nodes = {pid for node in self._nodes for pid in _session(node.pid)}
        found = (pid for pid in _processes() if _read(pid, "cmdline").startswith(b"ray::Seat"))
        return [pid for pid in found if int(_stat(pid)[1]) in nodes]

    def _start(self, *arguments: str) -> None:
        """Start a node; once more where a busy host has taken longer than the half minute that Ray itself waits."""
        few = ("--num-cpus=1", f"--object-store-memory={80 * 2**20}", "--include-log-monitor=false")
        for _ in range(TRIES):
            log = self.folder / f"node-{secrets.token_hex(2)}.out"
            with log.open("wb") as out:
                node = subprocess.Popen(
                    [str(Path(sys.executable).with_name("ray")), "start", "--block", *few, *arguments],
                    env={**os.environ, **self.environment},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                )
            over = time.monotonic() + START_SECONDS
            while node.poll() is None and time.monotonic() < over:
                if b"Ray runtime started" in log.read_bytes():
                    self._nodes.append(node)
                    return
                time.sleep(0.1)
            _kill(node, _session(node.pid))
        raise RuntimeError(f"ray start {' '.join(arguments)}: {log.read_text()[-500:]}")


def _kill(node: "subprocess.Popen[bytes]", pids: set[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    node.wait()


def _session(leader: int) -> set[int]:
    return {pid for pid in _processes() if int(_stat(pid)[3]) == leader}


def _stat(pid: int) -> list[bytes]:
    """State, parent, group and session of a process, and more; zeros for one that has ended."""
    return _read(pid, "stat").rpartition(b") ")[2].split() or [b"0"] * 4


def _processes() -> Iterator[int]:
    return (int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdecimal())


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:  # It has ended, or is nobody's business.
        return b""


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])

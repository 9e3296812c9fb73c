"""The server that forks children (``python -m search.process.fork_server_main``), and what a child runs.

The server imports what children need and then only forks, waits and passes on exit codes: it never computes, so it
touches no device and holds no thread of a backend when it forks. It serves its owner and every worker that the owner
gave a line to, and ends with the last of them.
"""

import contextlib
import gc
import importlib
import io
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

from search.errors import is_disk_full, place_of
from search.process import backends
from search.process.channel import Channel
from search.process.stop_signals import STOP_SIGNALS
from storage.process_identity import start_time

LAST_LINES = 20
ENDING_SECONDS = 10.0
UNKILLABLE_SECONDS = 20.0


@dataclass
class _Forked:
    """A child that has not been waited for yet."""

    client: socket.socket
    awaited: bool = False
    deadline: float = float("inf")
    status: int | None = None


class _Server:
    """Answers its clients' requests, each in turn, and is held up by none."""

    def __init__(self, owner: socket.socket, temporary: Path) -> None:
        self._temporary = temporary
        self._selector = selectors.DefaultSelector()
        self._selector.register(owner, selectors.EVENT_READ)
        self._clients = [owner]
        self._children: dict[int, _Forked] = {}
        self._woken, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def serve(self) -> None:
        """Serve until the last client is gone."""
        while self._clients or self._children:  # Nobody else ends a child that hangs.
            due = any(child.deadline < float("inf") for child in self._children.values())
            for key, _ in self._selector.select(0.2 if due else None):
                if key.fileobj is self._woken:
                    self._woken.recv(4096)
                elif isinstance(key.fileobj, socket.socket):
                    self._answer(key.fileobj)
            self._reap()

    def _answer(self, client: socket.socket) -> None:
        try:
            data, files, _, _ = socket.recv_fds(client, 4096, 2)
        except OSError:
            data, files = b"", []
        if not data:
            self._drop(client)
            return
        request = json.loads(data)
        if "start" in request:
            pid = self._fork(client, files)
            # Not waited for yet, so it is still this process that has the id.
            self._send(client, {"pid": pid, "started": None if pid is None else start_time(pid)})
        elif "adopt" in request:
            joined = socket.socket(fileno=files[0])
            self._clients.append(joined)
            self._selector.register(joined, selectors.EVENT_READ)
            self._send(client, {})
        elif "hello" in request:
            self._send(client, {})
        else:
            child = self._children.get(request["wait"])
            if child is None:  # Waited for before; one client's mistake must not end the server of all.
                self._send(client, {"status": 1})
                return
            # A child whose line is closed ends at once; one that does not is killed.
            child.awaited, child.deadline = True, time.monotonic() + ENDING_SECONDS

    def _fork(self, client: socket.socket, files: list[int]) -> int | None:
        """Fork a child, and return its id; None where the system has no room for one."""
        pid: int | None
        try:
            pid = os.fork()
        except OSError:  # Too many processes, or too little memory: for now.
            pid = None
        if pid == 0:
            self._leave()
            line, log = files
            _become_child(line, log, self._temporary_of(os.getpid()))
        for file in files:
            os.close(file)
        if pid is not None:
            self._children[pid] = _Forked(client)
        return pid

    def _temporary_of(self, pid: int) -> Path:
        return self._temporary / str(pid)

    def _leave(self) -> None:
        """In the child: keep nothing of the server's, or its clients would not hear of its end."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        for line in (*self._clients, self._woken, self._wake):
            line.close()

    def _drop(self, client: socket.socket) -> None:
        self._selector.unregister(client)
        self._clients.remove(client)
        client.close()
        for child in self._children.values():
            if child.client is client:
                child.awaited, child.deadline = False, time.monotonic() + ENDING_SECONDS

    def _reap(self) -> None:
        for pid, child in list(self._children.items()):
            if child.status is None:
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    child.status = os.waitstatus_to_exitcode(status)
                    shutil.rmtree(self._temporary_of(pid), ignore_errors=True)
                elif time.monotonic() > child.deadline:
                    os.kill(pid, signal.SIGKILL)
                    if time.monotonic() > child.deadline + UNKILLABLE_SECONDS and child.awaited:
                        # It hangs in the kernel; whoever waits must not hang with it.
                        child.awaited = False
                        self._send(child.client, {"status": -signal.SIGKILL})
            if child.status is not None and (child.awaited or child.client not in self._clients):
                del self._children[pid]
                if child.awaited:
                    self._send(child.client, {"status": child.status})

    def _send(self, client: socket.socket, answer: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # It is gone; the next look at its line will tell.
            client.send(json.dumps(answer).encode())


def _become_child(line: int, log: int, temporary: Path) -> NoReturn:
    status = 1
    try:
        # However it ends, its temporary files end with it: TensorFlow alone leaves some that it deletes at exit.
        try:
            temporary.mkdir(parents=True, exist_ok=True)
            tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
        except OSError as error:
            if not is_disk_full(error):  # If it is, whoever writes there will say so.
                raise
        os.dup2(log, 1)
        os.dup2(log, 2)
        # A line at a time: the end of the worker's line ends this process at once, whatever is not written yet.
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(line_buffering=True)
        connection = Connection(line)
        request = json.loads(connection.recv_bytes())
        channel = Channel(connection)
        channel.listen()
        status = _run(request, channel)
    except BaseException:
        _print_traceback()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(status)


def _run(request: dict[str, Any], channel: Channel) -> int:
    # Which GPU: read when a device is first touched, which no server has done.
    os.environ.update(request["environment"])
    try:
        backends.use_threads(request["threads"])
        module, function = request["job"].split(":")
        getattr(importlib.import_module(module), function)(request["payload"], channel)
    # A user's code may raise the last two, too. No signal does: those are ignored here (see ``main``), and the end of
    # the worker's line ends this process without an exception.
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        _print_traceback()
        lines = traceback.format_exc().splitlines()[-LAST_LINES:]
        channel.send(
            {
                "kind": "error",
                "type": type(error).__name__,
                "message": str(error),
                "traceback": "\n".join(lines),
                "place": place_of(error),
                "oom": backends.is_out_of_memory(error),
                "full": is_disk_full(error),
            }
        )
        return 1
    return 0


def _print_traceback() -> None:
    with contextlib.suppress(OSError):  # The log's disk may be full.
        traceback.print_exc()


def main(arguments: list[str]) -> None:
    """The server, ``python -m search.process.fork_server_main FD FOLDER MODULE...``.

    In the folder lie the temporary files of its children.
    """
    # A terminal sends these to a whole group, and a scheduler to every process of a job. They are for the worker, which
    # has its child, who inherits this, write a checkpoint first. This process and its children end with their lines.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    owner = socket.socket(fileno=int(arguments[0]))
    for name in arguments[2:]:
        importlib.import_module(name)
    gc.freeze()  # Children share these pages for as long as no collection touches them.
    temporary = Path(arguments[1])
    _Server(owner, temporary).serve()
    shutil.rmtree(temporary, ignore_errors=True)  # The owner, whose it is, may have been killed.


if __name__ == "__main__":
    main(sys.argv[1:])

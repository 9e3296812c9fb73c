"""The other side of ``search.child``: the server that forks (``python -m search.server``), and what a child runs.

The server imports what children need and then only forks, waits and passes on exit codes: it never computes, so it
touches no device and holds no thread of a backend when it forks.
"""

import gc
import importlib
import json
import os
import queue
import signal
import socket
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any

LAST_LINES = 20
ENDING_SECONDS = 10.0


class Channel:
    """A job's side of the messages.

    Attributes:
        stopped: Whether the worker asked to stop at the next batch boundary.
    """

    def __init__(self, connection: Connection) -> None:
        self.stopped = False
        self._connection = connection
        self._replies: queue.Queue[dict[str, Any]] = queue.Queue()

    def listen(self) -> None:
        """Start to read in the background; the worker's end of the line ends this process."""
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, message: dict[str, Any]) -> None:
        """Tell the worker something."""
        self._connection.send_bytes(json.dumps(message).encode())

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Tell the worker something and wait for its reply."""
        self.send(message)
        return self._replies.get()

    def _read(self) -> None:
        while True:
            try:
                message = json.loads(self._connection.recv_bytes())
            except (EOFError, OSError):
                os._exit(3)
            if "stop" in message:
                self.stopped = True
            else:
                self._replies.put(message)


def _serve(control: socket.socket) -> None:
    """Fork on request until the owner is gone."""
    while True:
        data, files, _, _ = socket.recv_fds(control, 4096, 2)
        if not data:
            return
        request = json.loads(data)
        if "start" in request:
            pid = os.fork()
            if pid == 0:
                control.close()
                _become_child(*files)
            for file in files:
                os.close(file)
            control.send(str(pid).encode())
        else:
            control.send(str(_wait(request["wait"])).encode())


def _wait(pid: int) -> int:
    # A child whose line is closed ends at once; one that does not is killed, lest it hang everybody.
    deadline = time.monotonic() + ENDING_SECONDS
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def _become_child(line: int, log: int) -> None:
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.dup2(log, 1)
        os.dup2(log, 2)
        connection = Connection(line)
        request = json.loads(connection.recv_bytes())
        channel = Channel(connection)
        channel.listen()
        status = _run(request, channel)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _run(request: dict[str, Any], channel: Channel) -> int:
    from search.training import backends

    try:
        backends.use_threads(request["threads"])
        module, function = request["job"].split(":")
        getattr(importlib.import_module(module), function)(request["payload"], channel)
    except Exception as error:
        traceback.print_exc()
        lines = traceback.format_exc().splitlines()[-LAST_LINES:]
        channel.send(
            {
                "kind": "error",
                "type": type(error).__name__,
                "message": str(error),
                "traceback": "\n".join(lines),
                "oom": backends.is_out_of_memory(error),
            }
        )
        return 1
    return 0


def main(arguments: list[str]) -> None:
    """The server: ``python -m search.server FD MODULE...``."""
    # A signal to the whole group is for the worker; this process ends with its socket.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    control = socket.socket(fileno=int(arguments[0]))
    for name in arguments[1:]:
        importlib.import_module(name)
    gc.freeze()  # Children share these pages for as long as no collection touches them.
    _serve(control)


if __name__ == "__main__":
    main(sys.argv[1:])

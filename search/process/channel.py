"""A job's side of the messages between a child and its worker."""

import json
import os
import queue
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

PULSE_SECONDS = 1.0


class Channel:
    """A job's side of the messages.

    Attributes:
        stopped: Whether the worker has asked it to stop at the next batch.
    """

    def __init__(self, connection: Connection) -> None:
        self.stopped = False
        self._connection = connection
        self._replies: queue.Queue[dict[str, Any]] = queue.Queue()
        self._pulse = 0.0

    def listen(self) -> None:
        """Start to read the worker's messages in the background; when the worker's end closes, this process ends."""
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, message: dict[str, Any]) -> None:
        """Send a message to the worker."""
        self._connection.send_bytes(json.dumps(message).encode())

    def pulse(self, **facts: Any) -> None:
        """Send a sign of life after a batch, at most once a second, for a silent job is taken for hung.

        Args:
            facts: What is known of the pace by then, if anything.
        """
        now = time.monotonic()
        if now - self._pulse > PULSE_SECONDS:
            self._pulse = now
            self.send({"kind": "batch", **facts})

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a message to the worker and wait for its reply."""
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

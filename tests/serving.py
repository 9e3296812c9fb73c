"""A server of pages in a thread of this process, which ends in good order."""

import threading
from typing import Any

from waitress import wasyncore


class Serving:
    """Runs a server that ``waitress`` made, until it is closed.

    ``server.close()`` alone would leave its threads at work with descriptors that have been closed. The system gives
    their numbers to the next files that are opened, and into one of those the server then writes the byte by which it
    wakes itself: at the head of an SQLite file (it happened). So its workers end first, and then the thread that waits
    for its sockets closes them itself. It is asked to and woken under the lock that it takes before it does what it is
    asked: ``pull_trigger`` lets go of that in between, and woken by something else just then, the thread had closed
    the descriptor when the byte was written (it happened, too).

    Args:
        server: It is bound to an address, and to one only.
    """

    def __init__(self, server: Any) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it, once it has answered what it was asked."""
        assert self._server.task_dispatcher.shutdown(timeout=60)
        assert not self._server.task_dispatcher.threads
        trigger = self._server.trigger
        with trigger.lock:
            trigger.thunks.append(lambda: wasyncore.close_all(self._server._map))
            trigger._physical_pull()
        self._thread.join(60)
        assert not self._thread.is_alive()

"""Signs of life from a thread of their own, so that they wait neither for the training nor for the sampler."""

import threading
from types import TracebackType
from typing import Any

from storage.claims import Claim


class Heartbeat:
    """Gives signs of life for one claim while the ``with`` block runs, at ``Timeouts.heartbeat`` seconds each.

    Attributes:
        facts: What each sign of life shows to people (epoch, value, images a second). It may change at any time.
    """

    def __init__(self, claim: Claim) -> None:
        self.facts: dict[str, Any] = {}
        self._claim = claim
        self._over = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def check(self) -> None:
        """Raise what ended the signs of life, if anything did.

        Raises:
            ClaimLost: The trial belongs to another worker now.
            DatabaseGone: The database was away for longer than an outage may last.
            Exception: Anything else that a sign of life raised.
        """
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(timeout=0.1)

    def _beat(self) -> None:
        while not self._over.wait(self._claim.claims.database.timeouts.heartbeat):
            try:
                self._claim.heartbeat(**self.facts)
            except Exception as failure:  # Of any kind: the worker must not take silence for health.
                if not self._over.is_set():
                    self._failure = failure
                return

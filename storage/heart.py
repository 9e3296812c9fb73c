"""Signs of life from a thread of its own: they wait neither for the training nor for the sampler."""

import threading
from types import TracebackType
from typing import Any

from storage.claims import Claim


class Heart:
    """Beats for one claim while the ``with`` block runs.

    Attributes:
        shown: What each beat shows beside the worker (epoch, value, images a second); change it at any time.
    """

    def __init__(self, claim: Claim) -> None:
        self.shown: dict[str, Any] = {}
        self._claim = claim
        self._over = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._beat, name="heart", daemon=True)

    def check(self) -> None:
        """Raise what the last beat met.

        Raises:
            ClaimLost: The trial is another worker's now.
            DatabaseGone: The database was away for too long.
            Exception: Whatever else ended the beats.
        """
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> "Heart":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(timeout=0.1)

    def _beat(self) -> None:
        while not self._over.wait(self._claim.claims.database.times.beat):
            try:
                self._claim.beat(**self.shown)
            except Exception as failure:  # Whatever it is: the worker must not take silence for health.
                if not self._over.is_set():
                    self._failure = failure
                return

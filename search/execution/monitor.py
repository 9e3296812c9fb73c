"""How a worker follows one child, from its first message to its last."""

import time
from collections.abc import Callable
from typing import Any

from search.errors import TrialCrashed, TrialInterrupted
from search.execution.reporter import Reporter
from search.execution.stop_requests import Stop
from search.execution.time_spent import Clock
from search.process.child import Child, error_of

POLL_SECONDS = 0.25
# Long enough for a batch and a checkpoint: the second Ctrl-C shall lose no finished epoch.
AT_ONCE_SECONDS = 2.0
# How often its slowest batch so far a child may be silent; before its first batch, how often the least time.
SLOWER = 10


class HangDetector:
    """Tells a child that hangs from one that is slow, by the child's own pace.

    A child sends a sign of life after each batch. It counts as hung once it has been silent for ten times as long as
    its slowest batch so far took, and for ``least`` seconds at the least; before its first batch, when it builds and
    compiles, for ten times ``least``. With ``least`` of 60 s: a child with batches of 2 s may be silent for 60 s, one
    with batches of 9 s for 90 s, one that still compiles for 600 s.

    Time counts only while this process listens: after a pause of its own it cannot know what it missed.

    Args:
        least: Seconds for which any child may be silent.
    """

    def __init__(self, least: float) -> None:
        self._least = least
        self._slowest: float | None = None
        self._silent = 0.0
        self._looked = time.monotonic()

    @property
    def limit(self) -> float:
        """Seconds of silence after which the child counts as hung."""
        return SLOWER * self._least if self._slowest is None else max(self._least, SLOWER * self._slowest)

    def hung(self) -> bool:
        """Note that there was nothing to hear, and say whether that has gone on for too long."""
        now = time.monotonic()
        self._silent += min(now - self._looked, 2 * POLL_SECONDS)
        self._looked = now
        return self._silent > self.limit

    def heard(self, kind: str) -> None:
        """Note a message; the time between two batches is the child's pace."""
        if kind in ("batch", "epoch"):
            self._slowest = max(self._slowest or 0.0, self._silent)
        self._silent, self._looked = 0.0, time.monotonic()


class ChildMonitor:
    """Follows one child: has its epochs stored, tells it to go on or stop, and ends it when it hangs.

    Args:
        reporter: Stores the messages of the child, and asks the pruner.
        stop: Whether, and how urgently, to stop.
        check: Raises when the trial is another worker's now.
        clock: Learns what the worker's time is spent on.
        hang_seconds: The least silence for which a child is taken for hung.
        stop_seconds: How long a child that is asked to stop has to reach its next batch; then it is killed.
        on_checkpoint: Called when the child has written a checkpoint.
    """

    def __init__(
        self,
        reporter: Reporter,
        stop: Stop,
        check: Callable[[], None],
        clock: Clock,
        *,
        hang_seconds: float,
        stop_seconds: float,
        on_checkpoint: Callable[[int], None],
    ) -> None:
        self._reporter, self._stop, self._check, self._clock = reporter, stop, check, clock
        self._silence = HangDetector(hang_seconds)
        self._stop_seconds, self._on_checkpoint = stop_seconds, on_checkpoint
        self._killed_at = float("inf")
        self._asked = self._hurried = False

    def follow(self, child: Child) -> dict[str, Any]:
        """Follow the child to its end, and return its last message once all before it has been stored."""
        while True:
            self._check()
            self._reporter.check()
            self._pass_on_stop(child)
            try:
                message = child.receive(POLL_SECONDS)
            except EOFError:
                raise child.ending() from None
            if message is None:
                if self._silence.hung():
                    child.kill()
                    raise TrialCrashed(
                        "the training process hung and was killed",
                        f"no batch for {self._silence.limit:.0f} s",
                    )
                continue
            self._silence.heard(message["kind"])
            if message["kind"] == "done":
                self._clock.switch("storing")
                while not self._reporter.done(POLL_SECONDS):
                    self._check()
                return message
            self._hear(child, message)

    def _hear(self, child: Child, message: dict[str, Any]) -> None:
        if message["kind"] == "error":
            raise error_of(message)
        if message["kind"] == "built":
            self._clock.switch("training")
            self._reporter.put(message)
        elif message["kind"] == "batch" and "images_per_second" in message:
            self._reporter.show_pace(message["images_per_second"], message["part"])
        elif message["kind"] == "features":
            self._clock.switch("features")
            self._reporter.show_features(message["rows"] / message["of"])
        elif message["kind"] == "epoch":
            self._clock.switch("storing")
            child.send({"go": self._reporter.judge(message)})
            self._clock.switch("training")
        elif message["kind"] == "checkpoint":
            if message["trouble"]:
                self._reporter.put(message)
            else:
                self._on_checkpoint(message["epoch"])

    def _pass_on_stop(self, child: Child) -> None:
        if not self._stop.requested:
            return
        now = time.monotonic()
        if not self._asked:
            child.stop()
            self._asked = True
            self._killed_at = now + self._stop_seconds
        if self._stop.now and not self._hurried:
            self._hurried = True
            self._killed_at = min(self._killed_at, now + AT_ONCE_SECONDS)
        if now > self._killed_at:
            raise TrialInterrupted("stopped at once")

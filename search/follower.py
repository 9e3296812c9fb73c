"""A worker listening to one child, from its first message to its last."""

import time
from collections.abc import Callable
from typing import Any

from search.child import Child, error_of
from search.errors import TrialCrashed, TrialInterrupted
from search.reporter import Reporter
from search.spent import Clock
from search.stopping import Stop

POLL_SECONDS = 0.25
# Long enough for a batch and a checkpoint: the second Ctrl-C shall lose no finished epoch.
AT_ONCE_SECONDS = 2.0
# How often its slowest batch so far a child may be silent; before its first batch, how often the least time.
SLOWER = 10


class Silence:
    """How long a child has said nothing, by its own pace.

    Time counts only while this process listens: after a pause of its own it cannot know what it missed.

    Args:
        least: Seconds that any child may be silent.
    """

    def __init__(self, least: float) -> None:
        self._least = least
        self._slowest: float | None = None
        self._silent = 0.0
        self._looked = time.monotonic()

    @property
    def limit(self) -> float:
        """Seconds after which a child counts as hung: before its first batch it builds and compiles."""
        return SLOWER * self._least if self._slowest is None else max(self._least, SLOWER * self._slowest)

    def hung(self) -> bool:
        """Note that there was nothing to hear; whether that has gone on for too long."""
        now = time.monotonic()
        self._silent += min(now - self._looked, 2 * POLL_SECONDS)
        self._looked = now
        return self._silent > self.limit

    def heard(self, kind: str) -> None:
        """Note a message; between batches lies the pace."""
        if kind in ("batch", "epoch"):
            self._slowest = max(self._slowest or 0.0, self._silent)
        self._silent, self._looked = 0.0, time.monotonic()


class Follower:
    """Listens to one child: has its epochs stored, passes on the verdict and the wish to stop, notices when it hangs.

    Args:
        reporter: Stores what is told.
        stop: Whether, and how urgently, to stop.
        check: Raises when the trial is this worker's no more.
        clock: Told what the time goes to.
        hang_seconds: The least silence that counts as hanging.
        stop_seconds: To reach the next batch boundary once asked to stop; then the child is killed.
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
        self._silence = Silence(hang_seconds)
        self._stop_seconds, self._on_checkpoint = stop_seconds, on_checkpoint
        self._killed_at = float("inf")
        self._asked = self._hurried = False

    def follow(self, child: Child) -> dict[str, Any]:
        """The child's last message, when all before it has been stored."""
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
                self._clock.turn("storing")
                self._wait_until_stored()
                return message
            self._hear(child, message)

    def _hear(self, child: Child, message: dict[str, Any]) -> None:
        if message["kind"] == "error":
            raise error_of(message)
        if message["kind"] == "built":
            self._clock.turn("training")
            self._reporter.put(message)
        elif message["kind"] == "features":
            self._reporter.show_features(message["rows"] / message["of"])
        elif message["kind"] == "epoch":
            self._clock.turn("storing")
            child.send({"go": self._reporter.judge(message)})
            self._clock.turn("training")
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

    def _wait_until_stored(self) -> None:
        while not self._reporter.done(POLL_SECONDS):
            self._check()

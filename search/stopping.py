"""When to stop: Ctrl-C once or twice, SIGTERM, a deadline, a budget of compute."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Stop:
    """Asked of a worker from outside its loop.

    Attributes:
        reason: Why to stop at the next batch boundary and give the trial back; empty while there is none.
        now: Stop at once: only the running epoch is lost.
        deadline: On ``time.monotonic``'s clock; None for none.
        spent: Compute of the study so far, FLOPs; asked before each trial and, with the running one's, each epoch.
        budget: Bound on it; None for none.
    """

    reason: str = ""
    now: bool = False
    deadline: float | None = None
    budget: float | None = None
    spent: Callable[[], float] = lambda: 0.0

    @property
    def by_user(self) -> bool:
        """Whether a signal, not the clock or the budget, asked."""
        return self.reason.startswith("stopped")

    @property
    def requested(self) -> bool:
        """Whether to stop in good order."""
        if not self.reason and self.deadline is not None and time.monotonic() > self.deadline:
            self.reason = "the time is up (--timeout)"
        return bool(self.reason)

    def check_budget(self, running: float = 0.0) -> None:
        """Ask to stop where the compute of finished trials and ``running`` FLOPs exceed the budget."""
        if self.budget is not None and not self.reason and self.spent() + running >= self.budget:
            self.reason = "the compute is spent (--budget)"

    def on_signal(self, number: int, frame: FrameType | None = None) -> None:
        """Ctrl-C once: in good order; twice: at once."""
        self.now = self.by_user
        self.reason = f"stopped by {signal.Signals(number).name}"


@contextmanager
def catching_signals(stop: Stop) -> Iterator[None]:
    """Route SIGINT and SIGTERM to ``stop``; outside the main thread, where Python allows no handlers, do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, stop.on_signal)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

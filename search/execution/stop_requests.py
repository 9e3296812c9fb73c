"""When a worker stops: Ctrl-C once or twice, another signal that asks for it, a deadline, a budget of compute."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from search.process.stop_signals import STOP_SIGNALS

# Sooner than this after the first, another SIGTERM is the same: ``timeout`` sends one to a process and to its group.
SAME_SECONDS = 1.0
# Whoever sends SIGTERM (a scheduler, a container's end) sends SIGKILL some time later.
EXIT_SECONDS = 18.0
SLICE_SECONDS = 0.1
COMPUTE_SPENT = "the compute is spent (--budget)"


@dataclass
class Stop:
    """Whether, and how urgently, a worker is asked to stop.

    Attributes:
        reason: Why it shall stop at the next batch and requeue its trial; empty as long as it shall go on.
        now: Whether it shall stop at once, without waiting long for a checkpoint.
        deadline: When the time is up, on the clock of ``time.monotonic``; None for never.
        budget: Bound on the study's compute, FLOPs; None for none.
        spent: Returns the study's compute so far, running trials included, FLOPs; asked before each trial and epoch.
        on_hurry: Called when a signal came, so that nothing else takes long from then on; again at another signal.
    """

    reason: str = ""
    now: bool = False
    deadline: float | None = None
    budget: float | None = None
    spent: Callable[[], float] = lambda: 0.0
    on_hurry: Callable[[], None] = lambda: None
    _signalled: float = field(default=0.0, repr=False)

    @property
    def by_user(self) -> bool:
        """Whether a signal asked, not the clock or the budget."""
        return self.reason.startswith("stopped")

    @property
    def by_budget(self) -> bool:
        """Whether the budget asked."""
        return self.reason == COMPUTE_SPENT

    @property
    def requested(self) -> bool:
        """Whether to stop at the next batch."""
        if not self.reason and self.deadline is not None and time.monotonic() > self.deadline:
            self.reason = "the time is up (--timeout)"
        return bool(self.reason)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the deadline; None without one."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def wait(self, seconds: float) -> None:
        """Wait for so many seconds, or until a stop is asked for."""
        # In slices and without locks: a signal's handler runs in the very thread that waits.
        over = time.monotonic() + seconds
        while not self.requested and (left := over - time.monotonic()) > 0:
            time.sleep(min(left, SLICE_SECONDS))

    def check_budget(self) -> None:
        """Ask to stop if the compute of all trials has reached the budget."""
        if self.budget is not None and not self.reason and self.spent() >= self.budget:
            self.reason = COMPUTE_SPENT

    def on_signal(self, number: int, frame: FrameType | None = None) -> None:
        """Stop at the next batch after the first signal, and at once after the second."""
        again = number == signal.SIGINT or time.monotonic() - self._signalled > SAME_SECONDS
        self.now = self.now or (self.by_user and again)
        self._signalled = time.monotonic()
        self.reason = f"stopped by {signal.Signals(number).name}"
        if not self.now:
            self.on_hurry()


@contextmanager
def catching_signals(stop: Stop) -> Iterator[None]:
    """Route ``STOP_SIGNALS`` to ``stop`` within the block.

    Outside the main thread Python allows no handlers, and nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Under nohup the terminal's end is no reason to stop.
    ignored = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else set()
    before = {
        number: signal.signal(number, stop.on_signal) for number in STOP_SIGNALS if number not in ignored
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def this_process_is_ours() -> None:
    """Note that this process is a command of ours, not somebody's notebook, so that ``ending_in_time`` may end it."""
    global _ours
    _ours = True


_ours = False


@contextmanager
def ending_in_time(stop: Stop) -> Iterator[None]:
    """End a process of ours ``EXIT_SECONDS`` after a signal, whatever it waits for by then.

    Nothing is lost by it: the next worker finds the trial and its checkpoint.
    """
    if not _ours or threading.current_thread() is not threading.main_thread():
        yield
        return
    over = threading.Event()
    heard, hears = socket.socketpair()
    hears.setblocking(False)
    # Written by the signal itself: the main thread, and so its handler, may be held up in a library's call.
    before = signal.set_wakeup_fd(hears.fileno(), warn_on_full_buffer=False)

    heard.settimeout(0.5)

    def watch() -> None:
        while not stop.by_user and not over.is_set():
            with contextlib.suppress(TimeoutError):
                data = heard.recv(16)
                # Another than those whose handlers ask to stop: of a nohup's terminal, or of the end of a child.
                if not data or any(number in STOP_SIGNALS and number != signal.SIGHUP for number in data):
                    break
        if not over.wait(EXIT_SECONDS):
            os._exit(130)

    threading.Thread(target=watch, name="end in time", daemon=True).start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        hears.close()

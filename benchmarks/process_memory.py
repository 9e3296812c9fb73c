"""Peak memory of a process and everything under it, sampled from outside."""

import contextlib
import threading
import time
from pathlib import Path
from types import TracebackType

INTERVAL = 0.05


class PeakMemory:
    """Samples the PSS of a process tree every 50 ms while the ``with`` block runs.

    PSS counts a page that n processes share as 1/n in each, so that a fork server and its child count their common
    pages once; pages of mapped files count too. One look at a process with TensorFlow costs tens of milliseconds,
    in which that process cannot map memory: take no times from a run that is sampled.

    Args:
        pid: The tree's root.

    Attributes:
        bytes: The highest sum over the tree in one sample.
        processes: How many processes that sample had.
        samples: How many were taken.
    """

    def __init__(self, pid: int) -> None:
        self.bytes = self.processes = self.samples = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due = time.monotonic() + INTERVAL
            tree = [size for size in map(_pss, _tree(self._pid)) if size]
            self.samples += 1
            if sum(tree) > self.bytes:
                self.bytes, self.processes = sum(tree), len(tree)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()


def _tree(pid: int) -> list[int]:
    """``pid`` and its descendants."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _pss(pid: int) -> int:
    """Bytes; 0 for a process that has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0

"""Peak memory of a process and everything under it, sampled from outside: what ``throughput.py`` takes it with."""

import contextlib
import threading
from pathlib import Path
from types import TracebackType

INTERVAL = 0.05


class PeakMemory:
    """Looks at the memory of a process tree, with pauses of 50 ms, while the ``with`` block runs.

    PSS counts a page that n processes share as 1/n in each, so that a fork server and its child count their common
    pages once: it is what the tree costs the machine. RSS counts such a page once in each process, so its sum over a
    tree is too much. Pages of mapped files count in both; other processes of the machine that map them, such as
    another TensorFlow, take their share of the PSS. One look at a process with TensorFlow costs tens of milliseconds,
    in which that process cannot map memory: take no times from a run that is sampled.

    Args:
        pid: The tree's root.

    Attributes:
        pss: The highest sum over the tree in one sample, in bytes.
        rss: The same of RSS; not always of the same sample.
        processes: How many processes the sample with the highest PSS had.
        samples: How many were taken.

    Raises:
        RuntimeError: At the end of the block, where nothing could be seen of the tree: a peak of 0 is none.
    """

    def __init__(self, pid: int) -> None:
        self.pss = self.rss = self.processes = self.samples = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._over.wait(INTERVAL):
            tree = [sizes for sizes in map(_sizes, _tree(self._pid)) if sizes["Pss"]]
            pss = sum(sizes["Pss"] for sizes in tree)
            self.samples += 1
            self.rss = max(self.rss, sum(sizes["Rss"] for sizes in tree))
            if pss > self.pss:
                self.pss, self.processes = pss, len(tree)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        if kind is None and not self.pss:
            raise RuntimeError(f"process {self._pid}: nothing of its memory could be seen")


def _tree(pid: int) -> list[int]:
    """``pid`` and its descendants."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _sizes(pid: int) -> dict[str, int]:
    """``Rss`` and ``Pss`` in bytes; 0 for a process that has ended."""
    sizes = {"Rss": 0, "Pss": 0}
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name = line.partition(":")[0]
            if name in sizes:
                sizes[name] = int(line.split()[1]) * 1024
    return sizes

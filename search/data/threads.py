"""Work on many image files, on as many threads as there are cores; Pillow releases the GIL while it decodes."""

import contextlib
import math
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TypeVar

from PIL import Image

from search.data.base import Say
from search.data.image_files import UnreadableImage

# Images that a thread works on before it reports.
CHUNK = 64
# Of a container: its quota and period in one file, or each in one (versions 2 and 1 of control groups).
QUOTAS = (
    ("/sys/fs/cgroup/cpu.max",),
    ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
)
SECONDS_BETWEEN_LINES = 10.0
Result = TypeVar("Result")


def map_in_threads(
    work: Callable[[int], Result], paths: Sequence[str], done: str, say: Say
) -> tuple[list[Result | None], dict[str, str]]:
    """Call ``work`` with the place of each file on several threads; Pillow releases the GIL while it decodes.

    Args:
        work: What to call.
        paths: The files.
        done: What the work has done to an image, for the lines about its progress, such as ``decoded``.
        say: Takes lines for people.

    Returns:
        The results in order, None for a file for which ``work`` raised ``UnreadableImage``; and these files, with the
        reasons.
    """
    Image.init()  # Pillow cannot register its plugins from several threads at once.
    count = len(paths)
    results: list[Result | None] = [None] * count
    reasons: dict[int, str] = {}

    def work_on_chunk(start: int) -> None:
        for index in range(start, min(start + CHUNK, count)):
            try:
                results[index] = work(index)
            except UnreadableImage as error:
                reasons[index] = error.reason

    last_line = time.monotonic()
    pool = ThreadPoolExecutor(min(32, cores()))
    try:
        chunks = [pool.submit(work_on_chunk, start) for start in range(0, count, CHUNK)]
        for number, future in enumerate(as_completed(chunks), start=1):
            future.result()
            if time.monotonic() - last_line > SECONDS_BETWEEN_LINES:
                last_line = time.monotonic()
                say(f"  {done} {min(number * CHUNK, count):,} of {count:,} images")
    finally:
        pool.shutdown(cancel_futures=True)
    return results, {paths[index]: reasons[index] for index in sorted(reasons)}


def cores() -> int:
    """The number of cores that this process may use; a container, Slurm or taskset may leave it fewer than exist."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Ray binds nobody to the cores that it gives, nor does every Slurm.
    given = os.environ.get("SEARCH_CPUS", os.environ.get("SLURM_CPUS_ON_NODE", ""))
    count = min(count, int(given)) if given.isdecimal() and int(given) else count
    return min(count, _quota() or count)


def _quota() -> int | None:
    """How many cores a container's processes may keep busy, rounded up; None where there is no such bound."""
    for files in QUOTAS:
        with contextlib.suppress(OSError, ValueError):  # There is no such file, or it says "max".
            quota, period = (int(word) for file in files for word in Path(file).read_text().split())
            return math.ceil(quota / period) if quota > 0 else None
    return None

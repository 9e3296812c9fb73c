"""How fast this machine trains, told before anything has been trained, and how long a final training fits in a time.

The idea: a search that is to be done in a time T ends with a final training and an export. A good configuration that
is trained long is better than the better of two that are not, so the final training comes first. But it wants a trial
that it is of, and the search has at least ``LEAST_SEARCH`` of the time.

The rule: with S FLOPs a second, E seconds for the export, and trials of t final trainings each,

    final <= S (T - E) / (1 + t),  and  1.1 final / S + E <= (1 - 0.4) T.

An example: T = 600 s, E = 30 s, S = 100 GFLOP/s, and trials of a fifth of the images, t = 0.2. The first is 47 TFLOP,
the second 30 TFLOP. So the final training has 30 TFLOP, 300 s, and the search some four trials of 60 s.

Where folds leave too little for that, ``search.study.final_length`` has a part held out.
"""

import contextlib
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

from search.data.threads import cores

# What an export takes beside its trainings: checks in a fresh process, scoring, pictures.
EXPORT_SECONDS = 30.0
# The trainings after a search may be slower than its own were.
MARGIN = 1.1
# Of a time that is too short for all, the search has at least this part.
LEAST_SEARCH = 0.4
# What is held out of few images where folds take too long.
HELD_OUT = 0.2
# Of what the cores can do in multiplying matrices, training reaches about so much.
EFFICIENCY = 0.5
# A trial in folds is several short trainings, each with a beginning of its own: of 245 photographs of 48 pixels one
# took 106 s beside other work, where 35 were reckoned. So folds are chosen as on a machine that is so much slower.
SLOWER_IN_FOLDS = 2.0
# How many threads of the machine are running or ready to run, and how many there are: ``0.20 0.18 0.12 1/80 11206``.
RUNNING = Path("/proc/loadavg")
# Of these, this one, and one that imports a framework.
OWN = 2
# Any GPU trains small nets faster than anybody waits.
GPU = Path("/dev/nvidiactl")
MATRIX, REPEATS = 1024, 12


def paid_compute(
    timeout: float | None, budget: float | None, speed: float | None, *, in_folds: bool = False
) -> float:
    """FLOPs that a time and a budget pay for, the time without that of the export; infinite where neither is known.

    Args:
        timeout: Seconds for all of the run; None for no bound.
        budget: FLOPs for all of the run; None for no bound.
        speed: FLOPs a second; None where that is not known.
        in_folds: Whether trials are in folds, see ``SLOWER_IN_FOLDS``.
    """
    in_time = math.inf if timeout is None or speed is None else speed * max(0.0, timeout - EXPORT_SECONDS)
    in_time /= SLOWER_IN_FOLDS if in_folds else 1.0
    return in_time if budget is None else min(budget, in_time)


def longest_final(timeout: float, trial: float, speed: float) -> float:
    """FLOPs of the longest final training that fits, by the rule at the head of this module.

    Args:
        timeout: Seconds for all of the run.
        trial: What a trial takes, in final trainings.
        speed: FLOPs a second.
    """
    seconds = min(
        (timeout - EXPORT_SECONDS) / (1 + trial), ((1 - LEAST_SEARCH) * timeout - EXPORT_SECONDS) / MARGIN
    )
    return speed * max(0.0, seconds)


def training_speed() -> float | None:
    """About how many floating-point operations a second a training does here; None on a GPU, which is fast enough.

    A product of two n x n matrices is 2 n^3 operations, which cores do at their best; a training reaches half of that.
    It is timed by CPU time, and on one core: threads that wait for each other use time, too, and a framework is being
    imported meanwhile. What else is at work now is taken off, see ``share_of_cores``.
    """
    if GPU.exists():
        return None
    matrix, seconds, running = np.ones((MATRIX, MATRIX), "float32"), [], []
    with threadpool_limits(1, "blas"):
        for _ in range(REPEATS):
            began = time.process_time()
            np.matmul(matrix, matrix)
            seconds.append(time.process_time() - began)
            with contextlib.suppress(OSError, ValueError, IndexError):  # Not every system says.
                running.append(int(RUNNING.read_text().split()[3].partition("/")[0]))
    return EFFICIENCY * share_of_cores(running) * cores() * 2 * MATRIX**3 / min(seconds)


def share_of_cores(running: Sequence[int]) -> float:
    """The part of the cores that a training gets beside what else is at work.

    Of H cores in the machine and C that this process may use, N other threads at work leave it H / (N + C) of each of
    the C, if that is less than all. An example: with 2 of 2 cores and 5 others, 2 / 7.

    Args:
        running: How many threads of the machine were running or ready to run, at several moments; none if not known.
    """
    others = max(0.0, median(running) - OWN) if running else 0.0
    return min(1.0, (os.cpu_count() or 1) / (others + cores()))

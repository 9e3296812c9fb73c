"""JAX's own calls."""

import os
from typing import Any

import jax


def use_threads(threads: int) -> None:
    """See ``Backend``; XLA takes its threads from the cores that the process may run on."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def use_device(gpu_memory: float | None) -> str:
    """See ``Backend``; memory grows because the fork server's environment turns preallocation off.

    JAX takes no limit in GB: ``run_study`` refuses ``gpu_memory`` on it.
    """
    device = jax.devices()[0]
    return "cpu" if device.platform == "cpu" else str(device.device_kind)


def batches(feed: Any) -> Any:
    """See ``Backend``; Keras reads it as it is."""
    return feed


def steps_per_call(on_gpu: bool) -> int:
    """See ``Backend``; several steps a call are a Python loop here and gain nothing."""
    return 1


def settle(model: Any) -> None:
    """See ``Backend``; Keras leaves them as they were until a ``fit`` is over."""
    model.jax_state_sync()

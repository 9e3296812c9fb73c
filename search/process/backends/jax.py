"""JAX's own calls."""

import os
from typing import Any

import jax

from search.process.gpus import gpu_sizes, visible_gpus


def use_threads(threads: int) -> None:
    """See ``Backend``; XLA takes its threads from the cores that the process may run on."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def use_device(gpu_memory: float | None) -> str:
    """See ``Backend``; memory grows because the fork server's environment turns preallocation off."""
    if gpu_memory and (size := gpu_sizes().get(next(iter(visible_gpus()), ""))):
        # JAX takes a share of the whole, and reads it when it first touches the device.
        os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{min(1.0, gpu_memory * 2**30 / size):.4f}"
    device = jax.devices()[0]
    return "cpu" if device.platform == "cpu" else str(device.device_kind)


def use_cpu() -> None:
    """See ``Backend``; without a visible GPU JAX for CUDA raises instead, https://github.com/jax-ml/jax/issues/37668."""
    jax.config.update("jax_platforms", "cpu")


def batches(feed: Any) -> Any:
    """See ``Backend``; Keras reads it as it is."""
    return feed


def steps_per_call(on_gpu: bool) -> int:
    """See ``Backend``; several steps a call are a Python loop here and gain nothing."""
    return 1


def settle(model: Any) -> None:
    """See ``Backend``; Keras leaves them as they were until a ``fit`` is over."""
    model.jax_state_sync()

"""PyTorch's own calls."""

from typing import Any

import torch


def use_threads(threads: int) -> None:
    """See ``Backend``."""
    torch.set_num_threads(threads)


def use_device(gpu_memory: float | None) -> str:
    """See ``Backend``; PyTorch's memory grows as needed by itself."""
    if not torch.cuda.is_available():
        return "cpu"
    if gpu_memory:
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, gpu_memory * 2**30 / total))
    return str(torch.cuda.get_device_name(0))


def use_cpu() -> None:
    """See ``Backend``; Keras chose its device when it was imported, by the environment that the child was given."""


def batches(feed: Any) -> Any:
    """See ``Backend``; Keras reads it as it is."""
    return feed


def steps_per_call(on_gpu: bool) -> int:
    """See ``Backend``; more than one raises on torch."""
    return 1


def settle(model: Any) -> None:
    """See ``Backend``; they always are."""

"""What differs between Keras's backends, one small module each: threads, devices, several steps a call."""

import importlib
from typing import Any, Protocol, cast


class Backend(Protocol):
    """The functions of a backend's module."""

    def use_threads(self, threads: int) -> None:
        """Limit the CPU threads of this process, before anything has run."""

    def use_device(self, gpu_memory: float | None) -> str:
        """Take the first GPU if there is one (memory grows as needed, to ``gpu_memory`` GB) and name the device."""

    def use_cpu(self) -> None:
        """Leave every GPU to others, before anything has run; in a process that trains nothing."""

    def batches(self, feed: Any) -> Any:
        """What Keras shall read the batches of ``feed`` (a ``TrainingFeed``) from."""

    def steps_per_call(self, on_gpu: bool) -> int:
        """Training steps that one call of the compiled function should make."""

    def settle(self, model: Any) -> None:
        """Bring the variables of a model up to date in the middle of a ``fit``."""


def current() -> Backend:
    """The module of the backend that Keras was started with."""
    import keras

    return cast(Backend, importlib.import_module(f"search.process.backends.{keras.config.backend()}"))


def use_threads(threads: int) -> None:
    """Limit this process to ``threads`` CPU threads; 0 leaves the backend's own choice."""
    if threads:
        current().use_threads(threads)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that the memory of host or device ran out, in any backend's words."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"MemoryError", "ResourceExhaustedError", "OutOfMemoryError"}:
        return True
    return "RESOURCE_EXHAUSTED" in str(error) or "CUDA out of memory" in str(error)

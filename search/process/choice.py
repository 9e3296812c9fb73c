"""Which of Keras's backends a search computes with."""

import importlib.util
import os

from search.config.option import check_choice
from search.config.settings import BACKENDS
from search.errors import InputError


def check_backend(backend: str | None, gpu_memory: float | None) -> str:
    """The backend that was asked for, or else the environment's, if it is installed.

    Raises:
        InputError: It is unknown, not installed, or cannot do what is asked of it.
    """
    chosen = backend or os.environ.get("KERAS_BACKEND", "tensorflow")
    check_choice("--backend", chosen, BACKENDS)
    if importlib.util.find_spec(chosen) is None:
        raise InputError(f"--backend {chosen}: not installed here; pip install {chosen}, or choose another")
    if chosen == "jax" and gpu_memory is not None:
        raise InputError(
            f"--gpu-memory {gpu_memory}: JAX takes no limit in GB; set XLA_PYTHON_CLIENT_MEM_FRACTION instead"
        )
    return chosen

"""Which of Keras's backends a search computes with."""

import importlib.util
import os

from search.config.host_settings import BACKENDS
from search.config.interpreter import to_install
from search.config.option import check_choice
from search.errors import InputError


def check_backend(backend: str | None) -> str:
    """The backend that was asked for, or else the environment's, if it is installed.

    Raises:
        InputError: It is unknown, or not installed.
    """
    chosen = backend or os.environ.get("KERAS_BACKEND", "tensorflow")
    check_choice("--backend", chosen, BACKENDS)
    if importlib.util.find_spec(chosen) is None:
        how = to_install(chosen) if chosen == "jax" else f"run python -m pip install {chosen}"
        raise InputError(f"--backend {chosen}: not installed here; {how}, or choose another")
    return chosen

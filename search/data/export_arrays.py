"""The arrays that an export may hold beside its model, each kind in an ``.npz`` file of its own."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from search.errors import InputError

Read = TypeVar("Read")


def read_arrays(path: Path, read: Callable[[Mapping[str, Any]], Read]) -> Read | None:
    """What ``read`` makes of a file's arrays; None where the export does not have the file.

    Raises:
        InputError: The file is spoilt.
    """
    if not path.is_file():
        return None
    try:
        with np.load(path) as stored:
            return read(stored)
    except Exception as error:  # A spoilt archive raises nearly anything.
        raise spoilt(path, str(error)) from None


def spoilt(path: Path, why: str) -> InputError:
    """That a file of an export cannot be what was written, and what to do about it."""
    return InputError(f"--model {path.parent}: its {path.name} is spoilt ({why}); delete it, or export again")

"""Checkpoint files: arrays and a few plain values. A reader sees a whole file or none."""

import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from storage.atomic import atomic_write


def write_checkpoint(path: Path, arrays: Sequence[np.ndarray], facts: dict[str, Any]) -> None:
    """Write the checkpoint at ``path``, in place of the one there, and wait until the disk has it.

    Args:
        path: The file; its folder exists.
        arrays: The arrays, of any shape and dtype, in an order that the reader knows.
        facts: Plain values that JSON can hold.
    """
    with atomic_write(path) as aside, aside.open("wb") as file:
        named = {f"array{index:05d}": np.asarray(array) for index, array in enumerate(arrays)}
        np.savez(file, facts=np.array(json.dumps(facts)), **named)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())


def read_facts(path: Path) -> dict[str, Any] | None:
    """The plain values of the checkpoint at ``path``, without reading its arrays.

    Returns:
        None if there is no checkpoint, or none that can be read.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            facts: dict[str, Any] = json.loads(str(stored["facts"]))
            return facts
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def read_checkpoint(path: Path) -> tuple[list[np.ndarray], dict[str, Any]] | None:
    """The arrays and plain values of the checkpoint at ``path``; None if there is no checkpoint."""
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as stored:
        names = sorted(name for name in stored.files if name.startswith("array"))
        return [stored[name] for name in names], json.loads(str(stored["facts"]))

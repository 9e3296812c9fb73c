"""Checkpoint files: arrays and a few plain values, written aside, then renamed: a reader sees all of it or none."""

import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from storage.replacing import replacing


def write_checkpoint(path: Path, arrays: Sequence[np.ndarray], facts: dict[str, Any]) -> None:
    """Replace the checkpoint at ``path``.

    Args:
        path: Its file; the folder exists.
        arrays: In an order that the reader knows; dtypes and shapes are kept.
        facts: Plain values (JSON).
    """
    with replacing(path) as aside, aside.open("wb") as file:
        named = {f"array{index:05d}": np.asarray(array) for index, array in enumerate(arrays)}
        np.savez(file, facts=np.array(json.dumps(facts)), **named)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())


def read_facts(path: Path) -> dict[str, Any] | None:
    """The facts at ``path``, its arrays left unread; None where there is no checkpoint, or none that can be read."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            facts: dict[str, Any] = json.loads(str(stored["facts"]))
            return facts
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def read_checkpoint(path: Path) -> tuple[list[np.ndarray], dict[str, Any]] | None:
    """The arrays and facts at ``path``; None where there is no checkpoint."""
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as stored:
        names = sorted(name for name in stored.files if name.startswith("array"))
        return [stored[name] for name in names], json.loads(str(stored["facts"]))

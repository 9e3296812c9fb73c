"""Checkpoint files: arrays and a few plain values. A reader sees a whole file or none."""

import io
import json
import os
import zipfile
from collections.abc import Iterable, Sequence
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
    """The plain values of the checkpoint at ``path``, once every byte of it is found to be what was written.

    Returns:
        None if there is no checkpoint, or a damaged one: whoever goes on from another, or begins again, loses less than
        one who fails on its arrays later.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return None
            stored = np.lib.format.read_array(io.BytesIO(archive.read("facts.npy")), allow_pickle=False)
            facts: dict[str, Any] = json.loads(str(stored))
            return facts
    except MemoryError:
        raise
    # Of a damaged file anything may come: zipfile, zlib and NumPy have an error each for every byte.
    except Exception:
        return None


def read_checkpoint(path: Path) -> tuple[list[np.ndarray], dict[str, Any]] | None:
    """The arrays and plain values of the checkpoint at ``path``; None if there is none, or a damaged one."""
    facts = read_facts(path)
    if facts is None:
        return None
    with np.load(path, allow_pickle=False) as stored:
        names = sorted(name for name in stored.files if name.startswith("array"))
        return [stored[name] for name in names], facts


def read_furthest(
    paths: Iterable[Path], identity: str
) -> tuple[tuple[list[np.ndarray], dict[str, Any]] | None, list[str]]:
    """Read the furthest of several checkpoints that is whole and of one training.

    Args:
        paths: The files; some may be absent.
        identity: The training's: what ``identity`` is among the checkpoint's facts, beside ``epoch``.

    Returns:
        Its arrays and facts, None where there is none; and for each file that is passed over a line that says why.
    """
    ours: dict[Path, int] = {}
    passed_over = []
    for path in dict.fromkeys(paths):
        facts = read_facts(path)
        if facts is not None and facts.get("identity") == identity:
            ours[path] = facts["epoch"]
        elif facts is not None:
            passed_over.append(f"checkpoint {path.name} is of another training, or of another Keras")
        elif path.exists():
            passed_over.append(f"checkpoint {path.name} is damaged")
    return read_checkpoint(max(ours, key=lambda path: ours[path])) if ours else None, passed_over

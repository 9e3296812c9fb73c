"""Files that are written aside and then renamed, so that a reader sees all of the old one or all of the new one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a file beside ``path`` to write to, and rename it to ``path`` at the end of the ``with`` block.

    If the block raises, ``path`` stays as it was and the file beside it is removed: half a file would keep a full disk
    full.

    Args:
        path: The file to create or replace; its folder exists.

    Yields:
        The file to write to. It is in the same folder and has the same suffix.
    """
    aside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)

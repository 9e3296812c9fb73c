"""A file written aside, then renamed: a reader sees all of the old one or all of the new."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Within, write to the file given: once whole, it takes the place of ``path``; what fails leaves nothing behind.

    Half a file would keep a full disk full.

    Args:
        path: Whose folder exists; the file to write to lies there, and ends alike.
    """
    aside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)

"""Files that are written aside and then renamed, so that a reader sees all of the old one or all of the new one."""

import contextlib
import glob
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A writer that was killed leaves its file, which nobody else writes to: so long after the last write it is removed.
LEFT_SECONDS = 24 * 3600.0


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a file beside ``path`` to write to, and rename it to ``path`` at the end of the ``with`` block.

    If the block raises, ``path`` stays as it was and the file beside it is removed: half a file would keep a full disk
    full. What a writer that was killed has left beside ``path`` is removed a day later, by the next to write there.

    Args:
        path: The file to create or replace; its folder exists.

    Yields:
        The file to write to. It is in the same folder and has the same suffix.
    """
    _remove_left(path)
    # By chance: the containers of several hosts share a folder, and process ids.
    aside = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _remove_left(path: Path) -> None:
    for left in path.parent.glob(f".{8 * '[0-9a-f]'}.{glob.escape(path.name)}"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFT_SECONDS:
                left.unlink()

"""Room on a disk, asked for beforehand: running out of it in a memory-mapped file is a bus error, not an exception."""

import shutil
from pathlib import Path

# A file system keeps some of what it says is free for itself.
SLACK = 1.05


def lack_of_room(folder: Path, needed: int, what: str) -> str:
    """What to say where a file does not fit; empty where it does.

    Args:
        folder: Where it is to lie.
        needed: Its bytes.
        what: It holds, in the plural.
    """
    free = shutil.disk_usage(folder).free
    if needed * SLACK <= free:
        return ""
    return (
        f"{what} need {needed / 1e9:.1f} GB, but {folder} has {free / 1e9:.1f} GB free: free some space, or set "
        "XDG_CACHE_HOME to a larger disk"
    )

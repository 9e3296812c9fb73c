"""Room on a disk, checked beforehand: a memory-mapped file that runs out of it is a bus error, not an exception."""

import shutil
from pathlib import Path

# A file system keeps some of what it reports as free for itself.
SLACK = 1.05


def lack_of_room(folder: Path, needed: int, what: str) -> str:
    """The message for a file that does not fit on a disk; empty if it fits.

    Args:
        folder: The folder that it is to be in.
        needed: Its size in bytes.
        what: What it holds, in the plural.
    """
    free = shutil.disk_usage(folder).free
    if needed * SLACK <= free:
        return ""
    return (
        f"{what} need {needed / 1e9:.1f} GB, but {folder} has {free / 1e9:.1f} GB free: free some space, or set "
        "XDG_CACHE_HOME to a larger disk"
    )

"""Room on a disk, checked beforehand: a memory-mapped file that runs out of it is a bus error, not an exception."""

import shutil
from pathlib import Path

from search.formatting import si_units

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
        f"{what} need {si_units(needed, 'B')}, but {folder} has {si_units(free, 'B')} free: free some space, or name a "
        "larger disk by --cache or XDG_CACHE_HOME"
    )

"""Where processes that this one starts find the modules that it finds."""

import os
import sys
from pathlib import Path


def module_path() -> str:
    """The value of ``PYTHONPATH`` for another process: this one's path, with its current folder by name."""
    return os.pathsep.join(path or str(Path.cwd()) for path in sys.path)

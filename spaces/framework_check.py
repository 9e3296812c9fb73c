"""Which framework a module imports at module level, found out in a process of its own.

No framework can be imported in that process. To find it out where the search runs, the finders and modules of that
process would have to be changed, and its other threads would stumble over that when they import something.
"""

import contextlib
import importlib
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

FRAMEWORKS = frozenset({"keras", "tensorflow", "jax", "torch"})
CHECK = "import sys; from spaces.framework_check import main; main(sys.argv[1])"


def framework_of(module: str) -> str:
    """The framework that a module, or what it imports, imports at module level; empty where there is none.

    Of a module that cannot be imported at all, this says nothing; importing it here will.
    """
    path = os.pathsep.join(place or str(Path.cwd()) for place in sys.path)
    done = subprocess.run(
        [sys.executable, "-P", "-c", CHECK, module],  # -P: nothing comes before this process's path.
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    return done.stdout.strip()


class _FrameworkBlocker:
    """A finder of modules that is asked first, refuses every framework and records which one was imported."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        framework = fullname.partition(".")[0]
        if framework in FRAMEWORKS:
            self.refused.append(framework)
            raise ImportError(f"{fullname} must not be imported here")
        return None


def main(module: str) -> None:
    """Import ``module`` without frameworks, and print the first that it asks for, even if it can do without."""
    answer = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # The module may print, too.
    blocker = _FrameworkBlocker()
    sys.meta_path.insert(0, blocker)
    with contextlib.suppress(BaseException):
        importlib.import_module(module)
    os.write(answer, "".join(blocker.refused[:1]).encode())

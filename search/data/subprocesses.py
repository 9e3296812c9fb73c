"""Scripts that use Keras, run in a Python of their own, since this process never loads it."""

import os
import subprocess
import sys
from types import ModuleType


def run_script(script: ModuleType, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a module of this package as a script, without a GPU.

    Args:
        script: The module, which imports nothing of this package.
        arguments: Its command-line arguments.

    Returns:
        The finished process, with its output and errors as text.
    """
    # Without -P the script's own folder would come first on the import path.
    command = [sys.executable, "-P", str(script.__file__), *arguments]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    return subprocess.run(
        command, env={**os.environ, **quiet}, capture_output=True, text=True, errors="replace", check=False
    )


def last_error(run: "subprocess.CompletedProcess[str]") -> str:
    """The last line of a script's errors, which says why it failed."""
    return (run.stderr.strip().splitlines() or [f"exit status {run.returncode}"])[-1]

"""Scripts that use Keras, run in a fresh Python: this process may never load it."""

import os
import subprocess
import sys
from types import ModuleType


def run_script(script: ModuleType, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a module of ours as a script, away from any GPU; what is wrong is the last line of its errors."""
    # -P: the script's own folder would otherwise come first on the import path.
    command = [sys.executable, "-P", str(script.__file__), *arguments]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    return subprocess.run(
        command, env={**os.environ, **quiet}, capture_output=True, text=True, errors="replace", check=False
    )


def last_error(run: "subprocess.CompletedProcess[str]") -> str:
    """Why it failed."""
    return (run.stderr.strip().splitlines() or [f"exit status {run.returncode}"])[-1]

"""The GPUs of this host, as the driver lists them; no framework is loaded for it."""

import itertools
import os
import re
import subprocess
from collections.abc import Sequence

VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible_gpus() -> list[str]:
    """The GPUs that this process may use: those that the environment names, or all that the driver lists."""
    visible = os.environ.get(VISIBLE)
    if visible is not None:
        names = [name.strip() for name in visible.split(",")]
        return list(itertools.takewhile(lambda name: name not in ("", "-1"), names))  # As CUDA reads it.
    listed = _answer(["nvidia-smi", "-L"])
    return [str(number) for number, line in enumerate(listed.splitlines()) if line.startswith("GPU ")]


def gpu_sizes() -> dict[str, int]:
    """Bytes of memory of each GPU that the driver lists, by number and by UUID."""
    asked = ["nvidia-smi", "--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits"]
    found: dict[str, int] = {}
    for line in _answer(asked).splitlines():
        if match := re.fullmatch(r"(\d+), *(\S+), *(\d+)", line.strip()):
            found |= dict.fromkeys(match.group(1, 2), int(match[3]) * 2**20)
    return found


def _answer(command: Sequence[str]) -> str:
    """What a command prints; nothing where it is not there, fails or hangs."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""

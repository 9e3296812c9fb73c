"""What every result carries, and where it goes: machine, versions, time; a table for the screen and a JSON file."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("keras", "tensorflow", "numpy", "optuna", "scikit-learn")


def write_result(name: str, figures: Mapping[str, Any]) -> Path:
    """Write ``results/<name>.json`` with the figures and what they were measured on."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    about = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
    }
    path.write_text(json.dumps({**about, **figures}, indent=2) + "\n", encoding="utf-8")
    return path


def machine() -> dict[str, Any]:
    """Cores that this process may use, and the CPU's model name."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {"cores": len(os.sched_getaffinity(0)), "cpu": names[0] if names else platform.machine()}


def commit() -> str:
    """The state of the code, as git names it; empty outside a repository."""
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        said = subprocess.run(command, cwd=RESULTS.parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return said.stdout.strip()


def versions() -> dict[str, str]:
    """Of Python and of what does the work."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}}


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns as wide as they must be, the first one left-aligned."""
    lines = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        first, *rest = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join([first, *rest]).rstrip(), flush=True)

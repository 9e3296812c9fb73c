"""What every benchmark needs around its figures: its command line, machine and versions, a table, a JSON file."""

import argparse
import contextlib
import csv
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from storage.atomic import atomic_write

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("keras", "tensorflow", "jax", "numpy", "optuna", "scikit-learn")


def make_parser(about: str | None) -> argparse.ArgumentParser:
    """A command line whose help is the benchmark's own header, with the option that all of them have."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, default=RESULTS, help="folder for the result (default: %(default)s)"
    )
    return parser


def write_result(name: str, figures: Mapping[str, Any], out: Path = RESULTS) -> Path:
    """Write ``<out>/<name>.json``: the figures, and with what and on what they were measured."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.json"
    about = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": commit(),
        "machine": machine(),
        "versions": versions(),
    }
    path.write_text(json.dumps({**about, **figures}, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return path


def machine() -> dict[str, Any]:
    """Cores that this process may use, and the CPU's model name."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {"cores": len(os.sched_getaffinity(0)), "cpu": names[0] if names else platform.machine()}


def peak_flops(size: int = 1536, tries: int = 5) -> float:
    """The most float32 operations a second that all cores together can do: a bound for what a training claims.

    One core multiplies two square matrices, which is what CPUs and their libraries do best; the fastest try counts,
    by CPU time, so that a machine with other work gives the same answer. The result is that times the cores. A product
    of two n x n matrices is 2 n^3 operations: with n = 1536, 7.2 billion, 0.1 s on a core of 70 GFLOP/s.
    """
    import numpy as np
    from threadpoolctl import threadpool_limits

    matrix = np.ones((size, size), "float32")
    product, seconds = np.empty_like(matrix), []
    with threadpool_limits(1):
        for _ in range(tries):
            began = time.thread_time()
            np.matmul(matrix, matrix, out=product)
            seconds.append(time.thread_time() - began)
    return 2.0 * size**3 / min(seconds) * len(os.sched_getaffinity(0))


def commit() -> str:
    """The state of the code, as git names it; empty outside a repository.

    Results are no code: one that a benchmark has just written does not make the code another.
    """
    changes = [
        "git",
        "status",
        "--porcelain",
        "--untracked-files=no",
        "--",
        ":/",
        f":(exclude){RESULTS.name}",
    ]
    try:
        named, changed = (
            subprocess.run(command, cwd=RESULTS.parent, capture_output=True, text=True, check=True).stdout
            for command in (["git", "describe", "--always", "--exclude", "*"], changes)
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return named.strip() + ("-dirty" if changed.strip() else "")


def versions() -> dict[str, str]:
    """Of Python and of what does the work, as far as it is installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


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


def markdown(head: Sequence[object], table: Sequence[Sequence[object]]) -> str:
    """A table as Markdown has it."""
    lines = [head, ["---"] * len(head), *table]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows that are there."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Write one more row; a single write, so that several processes may share the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(
            {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()}
        )


def once(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What an earlier call has found, or what is found now; with its seconds, those of interrupted calls included."""
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    path.parent.mkdir(parents=True, exist_ok=True)
    clock, began = path.with_suffix(".seconds"), time.monotonic()
    before = float(clock.read_text()) if clock.exists() else 0.0
    try:
        found = make()
    finally:
        clock.write_text(str(before + time.monotonic() - began))
    found["seconds"] = float(clock.read_text())
    with atomic_write(path) as aside:
        aside.write_text(json.dumps(found))
    return found

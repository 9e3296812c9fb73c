"""The parts of ``gpu.py``: equality, speed, sharing and search. Its header says what each of them asks.

There is no command and no result file.
"""

import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from gpu_trainings import NETS, Trainings, rate_of

from search.data import Dataset
from search.process.fork_server import ForkServer
from search.process.gpus import visible_gpus
from search.training.plan import TrainingPlan

TOLERANCE = 0.005
COMPARED = ("loss", "val_loss")
BFLOAT16, FLOAT32 = "mixed_bfloat16", "float32"
SHARING = (1, 2, 4)
# A part of a GPU that the default net fits into with room to spare.
LIMIT_GB = 8.0
# Of a single training; whatever takes longer is left out.
LONGEST = 100.0
# What the command needs after its --timeout: to give back, to score, to check the files.
END_SECONDS = 25.0
LEAST_SECONDS = 60.0


@dataclass(frozen=True)
class Size:
    """How much is trained.

    Attributes:
        equality: Images of the comparison of devices.
        images: Of a timed training; None for all.
        epochs: Of a timed training.
        sharing: How many trainings at once.
        search: What the command is told beside the study and the places.
        search_seconds: What all before the search leaves of the time.
    """

    equality: int = 2560
    images: int | None = None
    epochs: int = 3
    sharing: Sequence[int] = SHARING
    search: Sequence[str] = ("--trials", "50")
    search_seconds: float = 300.0


TINY = Size(
    128,
    128,
    2,
    (1, 2),
    ("--trials", "2", "--images", "200", "--final", "2 epochs", "--max-cost", "20MFLOP"),
    0.0,
)


class Bench:
    """The parts, each of which trains in children of one server.

    Args:
        server: Starts the children; on JAX.
        dataset: The prepared images.
        size: How much is trained.
        until: When the time is over, on the clock of ``time.monotonic``.
    """

    def __init__(self, server: ForkServer, dataset: Dataset, size: Size, until: float) -> None:
        self._size, self._until, self._has_gpu = size, until, bool(visible_gpus())
        longest = LONGEST if self._has_gpu else 10 * LONGEST
        self._trainings = Trainings(server, dataset, longest, until - size.search_seconds)

    def equality(self) -> dict[str, Any]:
        """The same training on the device and on the CPU."""
        plan = self._trainings.plan("default", self._size.equality, 2)
        device = self._trainings.train(plan, precision=FLOAT32, exact=True, on_device=True)
        cpu = self._trainings.train(plan, precision=FLOAT32, exact=True, platform="cpu", on_device=False)
        return {"device": device["device"], **differences(device["history"], cpu["history"])}

    def speed(self) -> dict[str, Any]:
        """Images a second of each net, in every way."""
        found: dict[str, Any] = {}
        for net in NETS:
            plan = self._trainings.plan(net, self._size.images, self._size.epochs)
            ways: dict[str, Callable[[], Mapping[str, Any]]] = {
                "plain fit, float32": partial(self._trainings.plain, net, plan)
            }
            for precision, on_device in itertools.product((BFLOAT16, FLOAT32), (True, False)):
                place = "on" if on_device else "off"
                ways[f"ours, {precision.removeprefix('mixed_')}, images {place} the device"] = partial(
                    self._trainings.train, plan, precision=precision, on_device=on_device
                )
            found[net] = {}
            for way, train in ways.items():
                found[net][way] = rate_of(train)
                print(f"{net}, {way}: {in_words(found[net][way])} images/s", flush=True)
        return found

    def sharing(self) -> dict[str, Any]:
        """Several trainings of the default net at once, then with a limit of memory."""
        plan = self._trainings.plan("default", self._size.images, self._size.epochs)
        found: dict[str, Any] = {str(many): self.together(many, plan) for many in self._size.sharing}
        many = self._size.sharing[-1]
        limited = self.together(many, replace(plan, gpu_memory=LIMIT_GB))
        kept = [
            memory.get("bytes_limit", 0) <= 1.02 * LIMIT_GB * 2**30 for memory in limited["memory"] if memory
        ]
        return {
            **found,
            f"{many} within {LIMIT_GB:g} GB": {**limited, "kept_to_it": all(kept) if kept else None},
        }

    def together(self, many: int, plan: TrainingPlan) -> dict[str, Any]:
        """So many trainings at once, which differ in their seeds."""
        plans = [replace(plan, seed=seed) for seed in range(many)]
        on_device = True if self._has_gpu else None
        with ThreadPoolExecutor(many) as pool:
            runs = list(
                pool.map(lambda one: self._trainings.train(one, precision=None, on_device=on_device), plans)
            )
        return {
            "images_per_second": sum(run["images_per_second"] for run in runs),
            "memory": [run["memory"] for run in runs],
        }

    def search(self, data: str, workers: int) -> dict[str, Any]:
        """The command, as a user types it."""
        left = self._until - time.monotonic() - END_SECONDS
        if left < LEAST_SECONDS:
            return {"left_out": f"{max(0.0, left):.0f} s are too few for a search"}
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "export"
            shares = (
                ["--gpus", "all", "--per-gpu", str(workers)] if self._has_gpu else ["--workers", str(workers)]
            )
            command = [
                *(
                    sys.executable,
                    "-m",
                    "search.run",
                    "--study",
                    "cifar_cnn",
                    "--data",
                    data,
                    "--backend",
                    "jax",
                ),
                *("--studies", f"{folder}/studies", "--out", str(out), "--timeout", f"{left:.0f}", *shares),
                *self._size.search,
            ]
            began = time.monotonic()
            done = subprocess.run(command, capture_output=True, text=True, timeout=left + 2 * END_SECONDS)
            minutes = (time.monotonic() - began) / 60
            if done.returncode:
                raise RuntimeError(f"status {done.returncode}: {(done.stderr or done.stdout).strip()[-400:]}")
            summary = json.loads((out / "summary.json").read_text("utf-8"))
            status = [sys.executable, "-m", "search.status", "--study", "cifar_cnn", "--json"]
            told = subprocess.run(
                [*status, "--studies", f"{folder}/studies"],
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
        stands = json.loads(told.stdout)
        return {
            "command": " ".join(command[1:]).replace(folder, "FOLDER"),
            "workers": workers,
            "minutes": round(minutes, 2),
            "trials": stands["counts"],
            **{
                name: summary[name] for name in ("test_accuracy", "test_accuracy_interval", "refit", "params")
            },
        }


def differences(device: Mapping[str, Sequence[float]], cpu: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """By how much two histories differ, in parts of the second's figures, and whether that is within ``TOLERANCE``.

    Raises:
        RuntimeError: They are not of as many epochs.
    """
    found = {}
    for name in COMPARED:
        if not len(device[name]) == len(cpu[name]) > 0:
            raise RuntimeError(
                f"{name}: {len(device[name])} epochs on the device, {len(cpu[name])} on the CPU"
            )
        found[name] = max(abs(a - b) / abs(b) for a, b in zip(device[name], cpu[name], strict=True))
    return {"largest_difference": found, "tolerance": TOLERANCE, "equal": max(found.values()) <= TOLERANCE}


def best_sharing(sharing: Mapping[str, Any]) -> int:
    """How many trainings at once have had the most images a second; one, where none were tried."""
    rates = {int(many): one["images_per_second"] for many, one in sharing.items() if many.isdecimal()}
    return max(rates, key=lambda many: rates[many], default=1)


def in_words(rate: float | str) -> str:
    """Images a second, or why there are none."""
    return rate if isinstance(rate, str) else f"{rate:,.0f}"

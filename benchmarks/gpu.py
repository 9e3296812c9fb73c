"""The GPU, measured whole in one go on JAX: is it right, how fast, how many trials share it, what is a search worth?

Result, hardware, versions, runs: results/gpu.json, written after each part. ``gpu.sh`` runs this on a bare machine.

    python benchmarks/gpu.py --data FOLDER_OF_CIFAR10 [--minutes 12] [--parts equality speed sharing search] [--tiny]

equality    The default net, trained from the same weights on the same batches on the device and on its host's CPU, both
            in whole float32 (``jax_default_matmul_precision=highest``), two epochs of 2,560 images. Loss and validation
            loss of both epochs may differ by 0.5 % of themselves, more being another computation: sums in another order
            differ in the seventh digit, and each step multiplies that.
speed       Images/s of the default net and of the notebook's three-layer net: plain ``fit`` as the notebook has it
            (float32, batches from host memory), and a trial's training with images on the device or sent batch by
            batch, in bfloat16 or float32. Three epochs of all training images each, the first of which traces and is
            not timed; an epoch lasts from the end of the one before to its own end, validation included.
sharing     1, 2 and 4 trainings of the default net at once on the one GPU: images/s of all together, and the most
            memory that one had. Then 4 with ``--gpu-memory``: did each keep to it?
            All of these leave the search five minutes.
search      The command for fifty trials of ``cifar_cnn`` with its final training, with as many workers on the GPU as
            were fastest: minutes, trials, test accuracy. It gets the time that is left (``--timeout``), and ends sooner
            if it needs less. What it is to be held against: 95 % within 10 minutes; 94 % have been reached in 2.6 s of
            an A100 by one hand-made training (airbench, on the original images).

A part that no time is left for is left out, and the result says so. ``--tiny`` runs all of it in small, on a CPU as
well: its figures say nothing, that it runs says that it will.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from notebook_nets import plan_of, spec_of
from record import make_parser, print_table, write_result
from three_layers import VALIDATION, Task

import spaces
from search.data import Dataset, split
from search.data.preparation import prepare
from search.errors import TrialFailed
from search.process.fork_server import ForkServer
from search.process.gpus import visible_gpus
from search.training.plan import TrainingPlan
from spaces.notebook_nets import notebook_nets

PARTS = ("equality", "speed", "sharing", "search")
NETS = ("default", "three layers")
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


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--data", required=True, help="CIFAR-10: a folder, or an archive of one")
    parser.add_argument("--minutes", type=float, default=12.0, help="for all of it (default: %(default)s)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="(default: all)")
    parser.add_argument("--tiny", action="store_true", help="all of it in small, also on a CPU")
    asked = parser.parse_args(arguments)
    until = time.monotonic() + 60 * asked.minutes
    began, dataset = time.monotonic(), prepare(asked.data)
    if (dataset.height, dataset.width, dataset.channels, len(dataset.classes)) != (32, 32, 3, 10):
        parser.error(f"--data {asked.data}: expected ten classes of 32x32 images in colour")
    size = TINY if asked.tiny else Size()
    found: dict[str, Any] = {
        "tiny": asked.tiny,
        "gpu": describe_gpu(),
        "prepared_seconds": time.monotonic() - began,
    }
    with ForkServer("jax") as server:
        bench = Bench(server, dataset, size, until)
        parts: Mapping[str, Callable[[], dict[str, Any]]] = {
            "equality": bench.equality,
            "speed": bench.speed,
            "sharing": bench.sharing,
            "search": lambda: bench.search(asked.data, best_sharing(found.get("sharing", {}))),
        }
        for name in asked.parts:
            found[name] = run_part(parts[name], until)
            path = write_result("gpu", found, asked.out)
            print(f"{name}: {json.dumps(found[name])}", flush=True)
    show(found)
    print(path)


def run_part(part: Callable[[], dict[str, Any]], until: float) -> dict[str, Any]:
    """What a part has found, and its seconds; where it fails or no time is left, why: the next may do."""
    began = time.monotonic()
    if began > until:
        return {"left_out": "no time was left"}
    try:
        found = part()
    except (TrialFailed, OSError, RuntimeError, TimeoutError, subprocess.SubprocessError) as error:
        found = {"failed": f"{type(error).__name__}: {error}"[:500]}
    return {**found, "seconds": round(time.monotonic() - began, 1)}


def describe_gpu() -> str:
    """Name, memory and driver of the GPUs, as the driver has them; empty without one."""
    asked = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


class Bench:
    """The parts, each of which trains in children of one server.

    Args:
        server: Starts the children; on JAX.
        dataset: The prepared images.
        size: How much is trained.
        until: When the time is over, on the clock of ``time.monotonic``.
    """

    def __init__(self, server: ForkServer, dataset: Dataset, size: Size, until: float) -> None:
        self._server, self._dataset, self._size, self._until = server, dataset, size, until
        self._has_gpu = bool(visible_gpus())

    def plan(self, net: str, images: int | None, epochs: int) -> TrainingPlan:
        """A training of one of ``NETS``, as a trial's."""
        if net == "default":
            params = spaces.load("cnn").first(spec_of(self._dataset))[0]
            return plan_of(self._dataset, "cnn", params, epochs, images)
        return plan_of(self._dataset, "cnn_wide", notebook_nets()[net][1], epochs, images)

    def equality(self) -> dict[str, Any]:
        """The same training on the device and on the CPU."""
        plan = self.plan("default", self._size.equality, 2)
        device = self.train(plan, precision=FLOAT32, exact=True, on_device=True)
        cpu = self.train(plan, precision=FLOAT32, exact=True, platform="cpu", on_device=False)
        return {"device": device["device"], **differences(device["history"], cpu["history"])}

    def speed(self) -> dict[str, Any]:
        """Images a second of each net, in every way."""
        found: dict[str, Any] = {}
        for net in NETS:
            plan = self.plan(net, self._size.images, self._size.epochs)
            ways: dict[str, Callable[[], Mapping[str, Any]]] = {
                "plain fit, float32": partial(self.plain, net, plan)
            }
            for precision, on_device in itertools.product((BFLOAT16, FLOAT32), (True, False)):
                place = "on" if on_device else "off"
                ways[f"ours, {precision.removeprefix('mixed_')}, images {place} the device"] = partial(
                    self.train, plan, precision=precision, on_device=on_device
                )
            found[net] = {}
            for way, train in ways.items():
                found[net][way] = rate_of(train)
                print(f"{net}, {way}: {_rate(found[net][way])} images/s", flush=True)
        return found

    def sharing(self) -> dict[str, Any]:
        """Several trainings of the default net at once, then with a limit of memory."""
        plan = self.plan("default", self._size.images, self._size.epochs)
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
            runs = list(pool.map(lambda one: self.train(one, precision=None, on_device=on_device), plans))
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

    def train(
        self,
        plan: TrainingPlan,
        *,
        precision: str | None,
        on_device: bool | None = None,
        exact: bool = False,
        platform: str | None = None,
    ) -> dict[str, Any]:
        """One training as a trial's; see ``gpu_jobs.train``.

        Returns:
            Its device, history and memory, and its images a second.

        Raises:
            TimeoutError: It has taken longer than ``LONGEST``, or than there was time.
        """
        payload = {
            "plan": plan.to_payload(), "precision": precision, "on_device": on_device, "exact": exact,
            "platform": platform,
        }  # fmt: skip
        messages = self._messages("gpu_jobs:train", payload)
        built = next(message for message in messages if message["kind"] == "built")
        ends = [message["sent"] for message in messages if message["kind"] == "epoch"]
        return {
            "device": built["device"],
            "history": messages[-1]["history"],
            "memory": messages[-1]["memory"],
            "images_per_second": images_per_second(ends, built["training_images"]),
        }

    def plain(self, net: str, plan: TrainingPlan) -> dict[str, Any]:
        """One training by plain ``fit``; see ``gpu_jobs.plain``."""
        labels = self._dataset.train()[1]
        images = len(split(labels, VALIDATION, plan.images, plan.split_seed).train)
        task = asdict(Task(plan.dataset, images, plan.epochs))
        payload = {"task": task, "plan": plan.to_payload() if net == "default" else None}
        done = self._messages("gpu_jobs:plain", payload)[-1]
        return {"images_per_second": images_per_second(done["ends"], done["images"])}

    def _messages(self, job: str, payload: dict[str, Any]) -> list[dict[str, Any]]:
        """All that a child says until it is done; it is told to go on after each epoch."""
        longest = LONGEST if self._has_gpu else 10 * LONGEST
        over = min(self._until - self._size.search_seconds, time.monotonic() + longest)
        said: list[dict[str, Any]] = []
        with (
            tempfile.TemporaryDirectory() as folder,
            self._server.start(job, payload, Path(folder) / "log.txt") as child,
        ):
            while not said or said[-1]["kind"] != "done":
                left = over - time.monotonic()
                if left <= 0:
                    child.kill()
                    raise TimeoutError("no time was left for it")
                said.append(child.result(left))
                if said[-1]["kind"] == "epoch":
                    child.send({"go": True})
        return said


def images_per_second(ends: Sequence[float], images: int) -> float:
    """Images a second of all epochs but the first, given when each was over.

    Raises:
        RuntimeError: There is no second epoch, or it took no time.
    """
    if len(ends) < 2 or ends[-1] <= ends[0]:
        raise RuntimeError(f"{len(ends)} epochs, where at least two are timed from one's end to the next's")
    return images * (len(ends) - 1) / (ends[-1] - ends[0])


def rate_of(train: Callable[[], Mapping[str, Any]]) -> float | str:
    """Images a second of a training; why there are none, where it fails: the other ways may do."""
    try:
        return float(train()["images_per_second"])
    except (TrialFailed, RuntimeError, TimeoutError) as error:
        return f"{type(error).__name__}: {error}"[:300]


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


def show(found: Mapping[str, Any]) -> None:
    """Tables of what was found."""
    speed = found.get("speed", {})
    rows = [(net, *one) for net in NETS if net in speed for one in speed[net].items()]
    if rows:
        print_table(("net", "trained by", "images/s"), [(net, way, _rate(rate)) for net, way, rate in rows])
    shared = [
        (
            many,
            _rate(one["images_per_second"]),
            f"{max(m.get('peak_bytes_in_use', 0) for m in one['memory']) / 2**30:.2f}",
        )
        for many, one in found.get("sharing", {}).items()
        if isinstance(one, dict)
    ]
    if shared:
        print_table(("trainings at once", "images/s of all", "GiB each at most"), shared)


def _rate(rate: float | str) -> str:
    return rate if isinstance(rate, str) else f"{rate:,.0f}"


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    main()

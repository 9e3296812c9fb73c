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

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gpu_parts import TINY, Bench, Size, best_sharing, in_words
from gpu_trainings import NETS
from record import make_parser, print_table, write_result

from search.data.preparation import prepare
from search.errors import TrialFailed
from search.process.fork_server import ForkServer

PARTS = ("equality", "speed", "sharing", "search")


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


def show(found: Mapping[str, Any]) -> None:
    """Tables of what was found."""
    speed = found.get("speed", {})
    rows = [(net, *one) for net in NETS if net in speed for one in speed[net].items()]
    if rows:
        print_table(
            ("net", "trained by", "images/s"), [(net, way, in_words(rate)) for net, way, rate in rows]
        )
    shared = [
        (
            many,
            in_words(one["images_per_second"]),
            f"{max(m.get('peak_bytes_in_use', 0) for m in one['memory']) / 2**30:.2f}",
        )
        for many, one in found.get("sharing", {}).items()
        if isinstance(one, dict)
    ]
    if shared:
        print_table(("trainings at once", "images/s of all", "GiB each at most"), shared)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    main()

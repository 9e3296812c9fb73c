"""How fast, and in how much memory: a net trained by plain ``fit``, and the same net as a trial of ours.

Result, hardware, versions, number of pairs: results/throughput.json. Wanted: 1.2 times the images/s of plain
``fit``, in under half its memory.

The net is the notebook's with three convolutions; ``three_layers.py`` says what the two sides do, and that neither
augments. Same images, same batches of 64 (the images that fill no batch are left out on both sides), same number of
steps, same optimizer and loss, same validation images.

Speed: one run a side makes a pair, in children of one fork server, which have the same libraries loaded and all cores.
Pairs follow one another, and every other one begins with the other side, so that a machine that grows slower or
faster favours neither. An epoch lasts from the end of the one before to its own end, on both sides, validation and
what follows it (our report to the database) included; the first, which traces the net, only starts the clock. Besides,
images/s of the training alone, as each side measures it. The ratio is ours by plain in each pair; its median counts,
lowest and highest say how sure it is.

FLOP/s are an estimate: images/s of the training alone, times three forward passes of the net (forward, and twice that
backward). A figure above what the cores do in a product of matrices, at the best after any run,
cannot be true and ends the benchmark.

Memory: one more run each, in a process (tree) of its own, since looking at it slows a run: highest sum over the tree,
looked at with pauses of 50 ms. PSS counts shared pages once; RSS, once in each process.

    python benchmarks/throughput.py --data FOLDER_OF_CIFAR10 [--images N] [--epochs 3] [--pairs 5] [--pixels float64]
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from process_memory import INTERVAL, PeakMemory
from record import make_parser, peak_flops, print_table, write_result
from three_layers import BATCH, SEED, SIDES, TRAINABLE, VALIDATION, Run, Task, train

import spaces
from search.data import split
from search.data.preparation import prepare
from search.errors import InputError
from search.process.fork_server import ForkServer
from spaces.notebook_nets import notebook_nets

FASTER, SMALLER = 1.2, 0.5
SPEEDS = ("images_per_second", "images_per_second_training_alone")
PEAK = "machine_flops_per_second"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--data", required=True, help="images of 32x32 pixels in colour, of ten classes")
    parser.add_argument("--images", type=int, help="train on so many (default: all but those validated on)")
    parser.add_argument(
        "--epochs", type=int, default=3, help="of each run, at least 2: the first is not timed"
    )
    parser.add_argument("--pairs", type=int, default=5, help="runs of either side (default: %(default)s)")
    parser.add_argument(
        "--pixels", choices=["float32", "float64"], default="float32",
        help="how plain fit holds the images (default: %(default)s; the notebook's were float64)",
    )  # fmt: skip
    asked = parser.parse_args(arguments)
    if asked.epochs < 2 or asked.pairs < 1:
        parser.error("expected at least 2 epochs, the second is the first that counts, and at least 1 pair")
    dataset = prepare(asked.data)
    if (dataset.height, dataset.width, dataset.channels, len(dataset.classes)) != (32, 32, 3, 10):
        parser.error(f"--data {asked.data}: expected ten classes of 32x32 images in colour")
    try:
        images = len(split(dataset.train()[1], VALIDATION, asked.images, SEED).train)
    except InputError as error:
        parser.error(str(error))
    task = Task(str(dataset.folder), images // BATCH * BATCH, asked.epochs, asked.pixels)
    if not task.steps:
        parser.error(f"--images {images}: expected at least {BATCH}, one batch")
    with ForkServer() as server:
        pairs = measure_pairs(task, asked.pairs, server)
    figures = summarize(pairs, {side: measure_memory(side, task) for side in SIDES})
    _show(figures)
    settings = {
        "images": task.images, "epochs": task.epochs, "pairs": asked.pairs, "batch": BATCH,
        "pixels_of_plain": task.pixels, "augmentation": "none", "memory_interval": INTERVAL,
    }  # fmt: skip
    print(write_result("throughput", {"settings": settings, **figures, "pairs": pairs}, asked.out))


def measure_pairs(task: Task, pairs: int, server: ForkServer) -> list[dict[str, dict[str, Any]]]:
    """The speeds of so many pairs of runs, each in another order than the one before."""
    found = []
    for number in range(pairs):
        order = SIDES if number % 2 == 0 else SIDES[::-1]
        # A shared machine may be twice as fast a minute later: what it can do is looked at after every run.
        pair = {side: {**speeds(train(side, task, server), task), PEAK: peak_flops()} for side in order}
        found.append(pair)
        words = ", ".join(f"{side} {pair[side]['images_per_second']:,.0f}" for side in SIDES)
        print(f"pair {number + 1}: images/s {words}, ratio {_ratio(pair, SPEEDS[0]):.2f}", flush=True)
    return found


def speeds(run: Run, task: Task) -> dict[str, Any]:
    """Images a second of all epochs but the first.

    Raises:
        RuntimeError: The run was not what the task says.
    """
    if len(run.ends) != task.epochs or len(run.training) != task.epochs:
        raise RuntimeError(f"{len(run.ends)} epochs timed where {task.epochs} were asked for")
    if run.steps != task.steps * task.epochs:
        raise RuntimeError(f"{run.steps} steps where {task.steps * task.epochs} were asked for")
    whole = [end - before for before, end in pairwise(run.ends)]
    images = task.images * len(whole)
    return {
        "images_per_second": images / sum(whole),
        "images_per_second_training_alone": images / sum(run.training[1:]),
        "epoch_seconds": whole,
        "training_seconds": run.training[1:],
        "val_accuracy": run.val_accuracy,
    }


def measure_memory(side: str, task: Task) -> dict[str, Any]:
    """Peak memory of one training in a process tree of its own."""
    script = Path(__file__).with_name("three_layers.py")
    command = [sys.executable, script, side, task.folder, task.images, task.epochs, task.pixels]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(list(map(str, command)), env=environment, stdout=log, stderr=log)
        try:
            with PeakMemory(process.pid) as peak:
                status = process.wait()
        finally:
            process.kill()
        if status:
            log.seek(0)
            raise SystemExit(f"error: {side} ended with status {status}\n{log.read()}")
    return {
        "peak_pss_mib": peak.pss / 2**20,
        "peak_rss_mib": peak.rss / 2**20,
        "processes": peak.processes,
        "samples": peak.samples,
    }


def summarize(
    pairs: Sequence[Mapping[str, Mapping[str, Any]]], memory: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Medians and ratios.

    Args:
        pairs: The speeds of both sides, pair by pair.
        memory: Of each side.

    Raises:
        RuntimeError: A side claims to be faster than the machine ever was.
    """
    figures: dict[str, Any] = {PEAK: max(pair[side][PEAK] for pair in pairs for side in SIDES)}
    for side in SIDES:
        rates = {name: median(pair[side][name] for pair in pairs) for name in SPEEDS}
        flops = 3 * forward_flops() * rates[SPEEDS[1]]
        if flops > figures[PEAK]:
            raise RuntimeError(
                f"{side}: {flops / 1e9:,.0f} GFLOP/s cannot be true, the machine does {figures[PEAK] / 1e9:,.0f}"
            )
        figures[side] = {**rates, "flops_per_second": flops, **memory[side]}
    figures["ratio"] = {}
    for name in SPEEDS:
        each = [_ratio(pair, name) for pair in pairs]
        figures["ratio"][name] = {
            "each": each, "median": median(each), "lowest": min(each), "highest": max(each)
        }  # fmt: skip
    for name in ("peak_pss_mib", "peak_rss_mib"):
        figures["ratio"][name] = _ratio(memory, name)
    figures["met"] = {
        f"{FASTER} times the images/s": figures["ratio"]["images_per_second"]["median"] >= FASTER,
        "under half the memory": figures["ratio"]["peak_pss_mib"] < SMALLER,
    }
    return figures


def forward_flops() -> int:
    """Operations of one forward pass of the net."""
    input_spec, params = notebook_nets()["three layers"]
    parameters, flops = map(int, spaces.load("cnn_wide").cost(params, input_spec))
    if parameters != TRAINABLE:
        raise RuntimeError(f"{parameters} parameters where the notebook's net has {TRAINABLE}")
    return flops


def _ratio(pair: Mapping[str, Mapping[str, Any]], name: str) -> float:
    return float(pair["ours"][name] / pair["plain"][name])


def _show(figures: Mapping[str, Any]) -> None:
    rows = []
    for name in SPEEDS:
        ratio = figures["ratio"][name]
        words = f"{ratio['median']:.2f} ({ratio['lowest']:.2f} to {ratio['highest']:.2f})"
        rows.append((name.replace("_", " "), *(f"{figures[side][name]:,.0f}" for side in SIDES), words))
    rows.append(("GFLOP/s", *(f"{figures[side]['flops_per_second'] / 1e9:,.0f}" for side in SIDES), ""))
    for name, words in (("peak_pss_mib", "peak PSS, MiB"), ("peak_rss_mib", "peak RSS, MiB")):
        sizes = (f"{figures[side][name]:,.0f}" for side in SIDES)
        rows.append((words, *sizes, f"{figures['ratio'][name]:.2f}"))
    print_table(("", *SIDES, "ours/plain"), rows)
    print(f"the machine does {figures[PEAK] / 1e9:,.0f} GFLOP/s at most")
    for target, met in figures["met"].items():
        print(f"{target}: {'met' if met else 'NOT met'}")


if __name__ == "__main__":
    main()

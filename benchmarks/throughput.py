"""How fast, and in how much memory: the notebook's three-layer net its own way, and the same net as a trial of ours.

Result, hardware, versions, number of runs: results/throughput.json. Wanted: images/s at least equal, memory under half.

The notebook's way: one process with Keras, all images as float64 divided by 255, ``fit`` on arrays, batch 64, Adam,
validation each epoch. Ours: a study of one fixed trial of ``cnn_wide`` (worker, fork server and child; uint8 cache,
memory-mapped; no augmentation; batch 64). Same images to train and to validate on. Images/s are of the second epoch,
validation and report included; two runs each, in turn (theirs, ours, theirs, ours). Peak memory is taken in one more
run each, since looking at it slows a run: PSS of the whole process tree, sampled every 50 ms.

    python benchmarks/throughput.py --data FOLDER_OF_CIFAR10 [--images N] [--epochs 2]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from statistics import mean
from typing import Any

from process_memory import INTERVAL, PeakMemory
from record import print_table, write_result
from three_layers import VALIDATION

from search.data import Dataset, prepare, split

SIDES = ("theirs", "ours")
RUNS = 2


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="images of 32x32 pixels in colour, of ten classes")
    parser.add_argument("--images", type=int, help="train on so many (default: all but those validated on)")
    parser.add_argument("--epochs", type=int, default=2, help="of each run, at least 2")
    asked = parser.parse_args()
    if asked.epochs < 2:
        parser.error("--epochs: expected at least 2, the second is the one that counts")
    dataset = prepare(asked.data)
    if (dataset.height, dataset.width, dataset.channels, len(dataset.classes)) != (32, 32, 3, 10):
        parser.error(f"--data {asked.data}: expected ten classes of 32x32 images in colour")
    images = len(split(dataset.train()[1], VALIDATION, asked.images, 0).train)
    runs = {side: list[dict[str, Any]]() for side in SIDES}
    for _ in range(RUNS):
        for side in SIDES:
            runs[side].append(_run(side, dataset, images, asked.epochs, sampled=False))
            print(f"{side}: {_speed(runs[side][-1], 'epoch'):,.0f} images/s", flush=True)
    memory = {side: _run(side, dataset, images, asked.epochs, sampled=True) for side in SIDES}
    figures = _figures(runs, memory)
    _show(figures)
    settings = {"images": images, "epochs": asked.epochs, "runs": RUNS, "memory_interval": INTERVAL}
    print(
        write_result(
            "throughput", {"settings": settings, **figures, "all": {"speed": runs, "memory": memory}}
        )
    )


def _run(side: str, dataset: Dataset, images: int, epochs: int, *, sampled: bool) -> dict[str, Any]:
    """One training in a process of its own; with its peak memory if ``sampled``."""
    script = Path(__file__).with_name("three_layers.py")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        command = [sys.executable, str(script), side, str(dataset.folder), str(images), str(epochs), str(out)]
        environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"}
        with (Path(folder) / "log.txt").open("w+") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            try:
                with PeakMemory(process.pid) if sampled else nullcontext() as peak:
                    status = process.wait()
            finally:
                process.kill()
            if status:
                log.seek(0)
                raise SystemExit(f"error: {side} ended with status {status}\n{log.read()}")
        found: dict[str, Any] = json.loads(out.read_text())
    if peak is not None:
        found |= {"peak_mib": peak.bytes / 2**20, "processes": peak.processes, "samples": peak.samples}
    return found


def _speed(run: dict[str, Any], part: str) -> float:
    """Images/s of the second epoch: the first one traces."""
    return float(run["images"] / run[part][1])


def _figures(runs: dict[str, list[dict[str, Any]]], memory: dict[str, dict[str, Any]]) -> dict[str, Any]:
    figures: dict[str, Any] = {
        side: {
            "images_per_second": mean(_speed(run, "epoch") for run in runs[side]),
            "images_per_second_training_alone": mean(_speed(run, "training") for run in runs[side]),
            "peak_pss_mib": memory[side]["peak_mib"],
            "processes": memory[side]["processes"],
        }
        for side in SIDES
    }
    figures["ratio"] = {name: figures["ours"][name] / figures["theirs"][name] for name in figures["ours"]}
    del figures["ratio"]["processes"]
    figures["met"] = {
        "images_per_second at least equal": figures["ratio"]["images_per_second"] >= 1,
        "memory under half": figures["ratio"]["peak_pss_mib"] < 0.5,
    }
    return figures


def _show(figures: dict[str, Any]) -> None:
    rows = [
        (name, *(f"{figures[side][name]:,.0f}" for side in SIDES), f"{ratio:.2f}")
        for name, ratio in figures["ratio"].items()
    ]
    print_table(("", *SIDES, "ours/theirs"), rows)
    for target, met in figures["met"].items():
        print(f"{target}: {'met' if met else 'NOT met'}")


if __name__ == "__main__":
    main()

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import throughput
from record import peak_flops
from three_layers import Run, Task

from search.data import Dataset
from search.process.fork_server import ForkServer

MEMORY = {
    "plain": {"peak_pss_mib": 2000.0, "peak_rss_mib": 2400.0},
    "ours": {"peak_pss_mib": 800.0, "peak_rss_mib": 1500.0},
}


def run(task: Task, seconds: float) -> Run:
    """A run whose epochs take so long each, half of it training, but for a longer first one."""
    ends = [100 + seconds * epoch for epoch in range(task.epochs)]
    training = [50.0] + [seconds / 2] * (task.epochs - 1)
    return Run(ends, training, task.steps * task.epochs, [0.1] * task.epochs)


def pair(ours: float, plain: float, machine: float = 1e12) -> dict[str, Mapping[str, Any]]:
    """Of sides that train so many images a second."""
    return {
        side: {
            "images_per_second": rate,
            "images_per_second_training_alone": rate,
            "machine_flops_per_second": machine,
        }
        for side, rate in (("ours", ours), ("plain", plain))
    }


def test_both_sides_stay_below_what_the_machine_can_do(task: Task, runs: dict[str, Run]) -> None:
    peak = {"machine_flops_per_second": peak_flops()}
    measured = {side: {**throughput.speeds(runs[side], task), **peak} for side in throughput.SIDES}
    figures = throughput.summarize([measured], MEMORY)
    for side in ("plain", "ours"):
        assert 0 < figures[side]["flops_per_second"] < figures["machine_flops_per_second"]
        assert len(measured[side]["epoch_seconds"]) == 2
    ratio = figures["ratio"]["images_per_second"]
    assert ratio["each"] == [ratio["median"]]
    assert 0.01 < ratio["median"] < 100


def test_memory_of_ours_is_that_of_worker_server_and_child(noise: Dataset) -> None:
    peak = throughput.measure_memory("ours", Task(str(noise.folder), images=64, epochs=1))
    assert peak["processes"] == 3
    assert 150 < peak["peak_pss_mib"] <= peak["peak_rss_mib"] < 8000


def test_pairs_are_as_many_as_asked_for_and_begin_with_either_side_in_turn(
    lend_server: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    order = []

    def train(side: str, task: Task, server: ForkServer) -> Run:
        order.append(side)
        return run(task, 2.0 if side == "plain" else 1.0)

    monkeypatch.setattr(throughput, "train", train)
    monkeypatch.setattr(throughput, "measure_memory", lambda side, task: MEMORY[side])
    pixels, labels = np.random.default_rng(0).integers(0, 256, (200, 32, 32, 3), "uint8"), np.arange(200) % 10
    np.savez(tmp_path / "images.npz", x_train=pixels, y_train=labels, x_test=pixels[:20], y_test=labels[:20])
    with lend_server(throughput):
        throughput.main(["--data", str(tmp_path / "images.npz"), "--pairs", "3", "--out", str(tmp_path)])
    found = json.loads((tmp_path / "throughput.json").read_text())
    assert order == ["plain", "ours", "ours", "plain", "plain", "ours"]
    assert found["ratio"]["images_per_second"]["each"] == [2.0, 2.0, 2.0]
    # 180 are left when 20 are validated on: two whole batches.
    assert found["settings"]["images"] == 128
    assert found["ours"]["images_per_second"] == 128


def test_speed_leaves_out_the_first_epoch(task: Task) -> None:
    assert throughput.speeds(run(task, 4.0), task)["images_per_second"] == 256 / 4
    assert throughput.speeds(run(task, 4.0), task)["images_per_second_training_alone"] == 256 / 2


def test_messages_that_are_no_epochs_are_noticed(task: Task) -> None:
    measured = run(task, 4.0)
    measured.ends.append(103.0)
    with pytest.raises(RuntimeError, match="4 epochs timed where 3"):
        throughput.speeds(measured, task)


def test_side_that_took_other_steps_is_noticed(task: Task) -> None:
    with pytest.raises(RuntimeError, match="12 steps where 3"):
        throughput.speeds(run(task, 4.0), Task(task.folder, images=64, epochs=3))


def test_ratio_is_the_median_of_the_pairs_with_its_spread() -> None:
    figures = throughput.summarize([pair(130, 100), pair(90, 100), pair(250, 200)], MEMORY)
    ratio = figures["ratio"]["images_per_second"]
    assert ratio == {"each": [1.3, 0.9, 1.25], "median": 1.25, "lowest": 0.9, "highest": 1.3}
    assert figures["ratio"]["peak_pss_mib"] == 0.4
    assert figures["met"] == {"1.2 times the images/s": True, "under half the memory": True}


def test_machine_that_grew_slower_meanwhile_refuses_no_figure() -> None:
    figures = throughput.summarize([pair(900, 900, machine=240e9), pair(900, 900, machine=50e9)], MEMORY)
    assert figures["machine_flops_per_second"] == 240e9


def test_figure_that_the_machine_cannot_reach_is_refused() -> None:
    # What it once said of a machine that could do 600.
    with pytest.raises(RuntimeError, match=r"ours: 513 GFLOP/s cannot be true, the machine does 240"):
        throughput.summarize([pair(8061, 600, machine=240e9)], MEMORY)

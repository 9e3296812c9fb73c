"""The parts of the GPU's benchmark, without a GPU: what is asked of children and commands, and made of answers."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gpu
import gpu_parts
import gpu_trainings
import pytest

from search.data import Dataset
from search.errors import TrialOutOfMemory

HISTORY = {"loss": [2.0, 1.0], "val_loss": [2.0, 1.5]}
SCRIPT = Path(gpu.__file__).with_name("gpu.sh")


class FakeServer:
    """Answers as a child does that trains a hundred images an epoch, at so many a second with images on the device."""

    def __init__(self, fails: Callable[[dict[str, Any]], bool] = lambda payload: False) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._fails = fails

    def start(self, job: str, payload: dict[str, Any], log: Path) -> Any:
        self.asked.append((job, payload))
        if self._fails(payload):
            raise TrialOutOfMemory("no room")
        seconds = 0.1 if payload.get("on_device") else 0.2
        epochs = [{"kind": "epoch", "sent": 5.0 + seconds * epoch} for epoch in range(3)]
        done = {"kind": "done", "history": HISTORY, "memory": {"bytes_limit": 2**33}}
        plain = {"ends": [5.0, 5.5, 6.0], "images": 100}
        messages = iter(
            [{"kind": "built", "device": "A card", "training_images": 100}, *epochs, {**done, **plain}]
        )
        if job == "gpu_jobs:plain":
            messages = iter([{**done, **plain}])
        child = SimpleNamespace(
            result=lambda timeout: next(messages), send=lambda message: None, kill=lambda: None
        )
        return nullcontext(child)


@pytest.fixture
def bench(noise: Dataset) -> Callable[..., gpu_parts.Bench]:
    def make(server: FakeServer, minutes: float = 5.0) -> gpu_parts.Bench:
        return gpu_parts.Bench(server, noise, gpu_parts.TINY, time.monotonic() + 60 * minutes)  # type: ignore[arg-type]

    return make


def test_equality_compares_whole_float32_on_the_device_with_the_cpu(
    bench: Callable[..., gpu_parts.Bench],
) -> None:
    server = FakeServer()
    found = bench(server).equality()
    (_, device), (_, cpu) = server.asked
    assert device["plan"] == cpu["plan"]
    assert (device["platform"], cpu["platform"]) == (None, "cpu")
    assert {one["exact"] for one in (device, cpu)} == {True}
    assert {one["precision"] for one in (device, cpu)} == {"float32"}
    assert (found["device"], found["equal"]) == ("A card", True)


def test_difference_over_the_tolerance_is_no_equality() -> None:
    far = {**HISTORY, "val_loss": [2.0, 1.5 * (1 + 2 * gpu_parts.TOLERANCE)]}
    found = gpu_parts.differences(far, HISTORY)
    assert not found["equal"]
    assert found["largest_difference"]["val_loss"] == pytest.approx(2 * gpu_parts.TOLERANCE)
    with pytest.raises(RuntimeError, match="1 epochs on the device, 2 on the CPU"):
        gpu_parts.differences({"loss": [2.0], "val_loss": [2.0]}, HISTORY)


def test_speed_is_that_of_each_net_in_each_way_and_one_that_fails_says_why(
    bench: Callable[..., gpu_parts.Bench],
) -> None:
    server = FakeServer(lambda payload: payload.get("precision") == "float32" and payload["on_device"])
    found = bench(server).speed()
    assert list(found) == ["default", "three layers"]
    for ways in found.values():
        assert ways["plain fit, float32"] == pytest.approx(200.0)
        assert ways["ours, bfloat16, images on the device"] == pytest.approx(1000.0)
        assert ways["ours, bfloat16, images off the device"] == pytest.approx(500.0)
        assert ways["ours, float32, images on the device"] == "TrialOutOfMemory: no room"
    plain = [payload["plan"] for job, payload in server.asked if job == "gpu_jobs:plain"]
    assert [plan is None for plan in plain] == [False, True]  # The notebook's own net is written out there.


def test_sharing_adds_up_and_says_whether_a_limit_was_kept(bench: Callable[..., gpu_parts.Bench]) -> None:
    server = FakeServer()
    found = bench(server).sharing()
    assert found["2"]["images_per_second"] == 2 * found["1"]["images_per_second"]
    assert found["2 within 8 GB"]["kept_to_it"] is True
    assert [payload["plan"]["gpu_memory"] for _, payload in server.asked] == [None] * 3 + [8.0] * 2
    assert [payload["plan"]["seed"] for _, payload in server.asked[1:3]] in ([0, 1], [1, 0])


def test_as_many_workers_search_as_trained_most_images() -> None:
    rates = {"1": 100.0, "2": 180.0, "4": 150.0, "4 within 8 GB": 999.0}
    found = {name: {"images_per_second": rate} for name, rate in rates.items()}
    assert gpu_parts.best_sharing({**found, "seconds": 12.0}) == 2
    assert gpu_parts.best_sharing({"failed": "why", "seconds": 1.0}) == 1


def test_search_is_the_command_in_the_time_that_is_left(
    bench: Callable[..., gpu_parts.Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = []

    def run(command: list[str], **settings: Any) -> Any:
        commands.append(command)
        if command[2] == "search.run":
            out = Path(command[command.index("--out") + 1])
            out.mkdir()
            summary = {
                "test_accuracy": 0.95,
                "test_accuracy_interval": [0.94, 0.96],
                "refit": True,
                "params": {},
            }
            (out / "summary.json").write_text(json.dumps(summary))
        return SimpleNamespace(returncode=0, stdout=json.dumps({"counts": {"finished": 50}}), stderr="")

    monkeypatch.setattr(gpu_parts.subprocess, "run", run)
    monkeypatch.setattr(gpu_parts, "visible_gpus", lambda: ["0"])
    found = bench(FakeServer()).search("cifar10", 2)
    assert (found["test_accuracy"], found["trials"]) == (0.95, {"finished": 50})
    searched = commands[0]
    assert searched[searched.index("--per-gpu") + 1] == "2"
    assert 200 < float(searched[searched.index("--timeout") + 1]) <= 300 - gpu_parts.END_SECONDS
    assert "left_out" in bench(FakeServer(), minutes=0.5).search("cifar10", 2)


def test_trainings_leave_the_search_its_time(noise: Dataset) -> None:
    soon = gpu_parts.Bench(
        FakeServer(), noise, gpu_parts.Size(), time.monotonic() + gpu_parts.Size.search_seconds - 1
    )  # type: ignore[arg-type]
    with pytest.raises(TimeoutError, match="no time was left"):
        soon.equality()


def test_part_that_fails_or_has_no_time_leaves_the_others_theirs() -> None:
    def fail() -> dict[str, Any]:
        raise TimeoutError("no time was left for it")

    later = time.monotonic() + 60
    assert gpu.run_part(fail, later)["failed"] == "TimeoutError: no time was left for it"
    assert gpu.run_part(fail, time.monotonic() - 1) == {"left_out": "no time was left"}
    assert gpu.run_part(lambda: {"a": 1}, later)["a"] == 1


def test_rate_leaves_the_epoch_out_that_traces() -> None:
    assert gpu_trainings.images_per_second([100.0, 101.0, 103.0], 300) == pytest.approx(200.0)
    with pytest.raises(RuntimeError, match="at least two"):
        gpu_trainings.images_per_second([100.0], 300)


def test_script_says_how_it_is_used_and_what_is_missing(tmp_path: Path) -> None:
    def run(*words: object) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": "/usr/bin:/bin", "PYTHON_COMMAND": sys.executable}
        return subprocess.run(
            ["bash", SCRIPT, *map(str, words)], env=environment, capture_output=True, text=True, check=False
        )

    help = run()
    assert help.returncode == 2
    assert "benchmarks/gpu.sh download DIR" in help.stdout
    absent = run(tmp_path / "none", "--data", "x")
    assert absent.returncode == 2
    assert absent.stderr.startswith(f"error: {tmp_path / 'none'} is no folder of wheels")

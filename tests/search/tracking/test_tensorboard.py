"""Event files, read back by TensorBoard's own reader."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from search.tracking.base import Ending, Point, TrackedTrial
from search.tracking.tensorboard import TensorBoard

pytest.importorskip("tensorboard", reason="pip install tensorboard")

TRIAL = TrackedTrial(7, {"filters": 8, "rate": 0.5, "flip": True, "head": "max"}, 1000.0)
RUN = "trial_00007"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Any:
    # TensorBoard's own way to do without TensorFlow, which would be imported for seconds.
    monkeypatch.setitem(sys.modules, "tensorboard.compat.notf", ModuleType("notf"))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def accumulate(folder: Path) -> Any:
        return EventAccumulator(str(folder)).Reload()

    return accumulate


def steps(found: Any, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in found.Scalars(tag)]


def hparams(found: Any, kind: str) -> Any:
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    content = found.SummaryMetadata(f"_hparams_/{kind}").plugin_data.content
    return getattr(HParamsPluginData.FromString(content), kind)


def test_trial_is_a_run_with_curves_parameters_and_end(tmp_path: Path, read: Any) -> None:
    tracker = TensorBoard(tmp_path)
    tracker.prepare()
    assert tracker.open(TRIAL) == {}
    tracker.write([Point("val_accuracy", 1, 0.25), Point("loss", 1, 2.0)])
    assert steps(read(tmp_path / RUN), "val_accuracy") == [(1, 0.25)]  # Seen while it trains.
    tracker.write([Point("val_accuracy", 2, 0.5)])
    tracker.close(Ending("finished"))
    found = read(tmp_path / RUN)
    assert steps(found, "val_accuracy") == [(1, 0.25), (2, 0.5)]
    start, end = hparams(found, "session_start_info"), hparams(found, "session_end_info")
    assert start.start_time_secs == 1000.0
    values = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}
    assert values == TRIAL.params
    assert end.status == 1  # STATUS_SUCCESS


@pytest.mark.parametrize(("state", "status"), [("pruned", 0), ("failed", 2)])
def test_state_and_reason_of_the_end_are_shown(tmp_path: Path, read: Any, state: str, status: int) -> None:
    tracker = TensorBoard(tmp_path)
    tracker.open(TRIAL)
    tracker.close(Ending(state, "for a reason"))
    found = read(tmp_path / RUN)
    assert hparams(found, "session_end_info").status == status
    assert found.Tensors("end")[0].tensor_proto.string_val == [f"{state}: for a reason".encode()]


def test_trial_that_goes_on_has_no_double_points(tmp_path: Path, read: Any) -> None:
    first, second = TensorBoard(tmp_path), TensorBoard(tmp_path)
    first.open(TRIAL)
    first.write([Point("loss", step, 1.0) for step in (1, 2, 3)])
    first.close(None)
    second.open(TRIAL)  # From a checkpoint after the first epoch.
    second.write([Point("loss", 1, 1.0)])
    second.write([Point("loss", 2, 0.5)])
    second.close(Ending("finished"))
    found = read(tmp_path / RUN)
    assert steps(found, "loss") == [(1, 1.0), (2, 0.5)]
    assert hparams(found, "session_end_info").status == 1


def test_writing_loads_no_framework() -> None:
    code = (
        "import sys, tempfile; from pathlib import Path\n"
        "from search.tracking.base import *; from search.tracking.tensorboard import TensorBoard\n"
        "from search.tracking.listener import Listener\n"
        "tracker = TensorBoard(Path(tempfile.mkdtemp()))\n"
        "tracker.open(TrackedTrial(0, {'a': 1}, 0.0)); tracker.write([Point('loss', 1, 0.5)])\n"
        "tracker.close(Ending('pruned', 'why'))\n"
        "print(sorted({'tensorflow', 'keras', 'jax', 'torch', 'mlflow'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import notebook_nets
import pytest
from PIL import Image, ImageColor

from search.data import Dataset
from search.process.fork_server import ForkServer
from search.training.plan import TrainingPlan
from spaces.notebook_nets import notebook_nets as nets


@pytest.fixture
def plan(noise: Dataset) -> TrainingPlan:
    return notebook_nets.plan_of(noise, "cnn_wide", nets()["one layer"][1], notebook_nets.LONGEST, 64)


def test_training_is_cut_off_when_its_time_is_over(plan: TrainingPlan, fork_server: ForkServer) -> None:
    began = time.monotonic()
    found = notebook_nets.train(fork_server, plan, 6.0)
    assert time.monotonic() - began < 6 + 5
    assert found["images"] == 64
    assert found["planned_epochs"] == notebook_nets.LONGEST
    times, accuracies = zip(*found["curve"], strict=True)
    assert list(times) == sorted(times)
    assert 0 < times[0] < times[-1] <= 6.01
    assert found["epochs"] == len(times) > 1
    assert found["best"] == max(accuracies) <= 1
    assert found["last"] == accuracies[-1] >= 0


def test_training_that_ends_no_epoch_in_its_time_is_refused(
    plan: TrainingPlan, fork_server: ForkServer
) -> None:
    with pytest.raises(SystemExit, match="no epoch ends within 0 s"):
        notebook_nets.train(fork_server, plan, 0.05)


def test_epochs_of_ours_fill_the_time() -> None:
    assert notebook_nets.epochs_within(40, [(10, 0.1), (16, 0.2)]) == 2 + 4
    assert notebook_nets.epochs_within(39.9, [(10, 0.1), (16, 0.2)]) == 2 + 3
    with pytest.raises(SystemExit, match="--minutes"):
        notebook_nets.epochs_within(12, [(10, 0.1)])


def test_result_and_picture_have_each_net(
    lend_server: Callable[..., Any], digits: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    planned = []

    def train(server: ForkServer, plan: TrainingPlan, seconds: float) -> dict[str, Any]:
        planned.append(plan.epochs)
        curve = [(2.0, 0.1), (5.0, 0.1 + 0.1 * len(planned))]
        return {"epochs": 2, "best": curve[-1][1], "last": curve[-1][1], "curve": curve}

    monkeypatch.setattr(notebook_nets, "train", train)
    with lend_server(notebook_nets):
        notebook_nets.main(
            ["--data", "digits", "--minutes", "0.5", "--images", "100", "--out", str(tmp_path)]
        )
    stored = json.loads((tmp_path / "notebook_nets.json").read_text())["nets"]
    assert list(stored) == ["notebook: one layer", "notebook: three layers", notebook_nets.OURS]
    # Two beforehand; of the time's 30 s five are over after them, and each further one takes three.
    assert planned == [2, notebook_nets.LONGEST, notebook_nets.LONGEST, 2 + 8]
    drawn = {
        colour for _, colour in Image.open(tmp_path / "notebook_nets.png").convert("RGB").getcolors(2**20)
    }
    assert {ImageColor.getrgb(colour) for colour in notebook_nets.COLOURS} <= drawn

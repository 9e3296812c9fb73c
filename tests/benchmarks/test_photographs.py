import argparse
import contextlib
import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import keras
import numpy as np
import photographs
import pytest
from record import read_rows

from search.data.backbones import find_backbones
from search.metrics.calibration import calibration_error
from search.metrics.classification import Scores
from search.training.models import FEATURES

SIDE = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, draw_pictures: Callable[..., Path]) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("photographs"), training=12, test=3, size=(10, 12))


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, strides=2)(keras.layers.Rescaling(1 / 255)(inputs))
    file = tmp_path_factory.mktemp("backbone") / "net.keras"
    keras.Model(inputs, x).save(file)
    return str(file)


def run_like_ours(
    asked: argparse.Namespace, tree: Path, cache: Path, place: Path, seed: int
) -> tuple[Any, float]:
    """What a run of the command gives, whose net over joined backbones knows nothing."""
    given = {path.name for path in (tree / "train").glob("*/*")}
    assert len(given) == len({path.name.partition("-")[0] for path in (tree / "train").glob("*/*")})
    inputs = keras.Input((8,))
    x = keras.layers.Activation("linear", name=FEATURES)(inputs)
    outputs = keras.layers.Dense(2, kernel_initializer="zeros")(x)
    summary = {"trial": 0, "calibration": {"temperature": 2.0}}
    export = SimpleNamespace(summary=summary, model=lambda: keras.Model(inputs, outputs))
    joined = find_backbones([f"{asked.backbone[0]}@{SIDE}+{asked.backbone[0]}@{2 * SIDE}"], cache)
    config = SimpleNamespace(backbones=joined, image_size=SIDE, classes=("bright", "dark"))
    study = SimpleNamespace(
        config=config, finished=lambda: [1, 2], ranked=lambda: [SimpleNamespace(number=0)], prepared=tree
    )
    return SimpleNamespace(export=export, study=study), 60.0


def run_here(script: ModuleType, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A script that has a Python of its own, in this one."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        script.main(*arguments)
    return subprocess.CompletedProcess(arguments, 0, printed.getvalue())


@pytest.mark.slow
def test_row_compares_the_export_with_logistic_regression_on_the_other_images(
    folder: Path, backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lent: list[Path] = []
    lend = photographs.Shared.lend

    def lend_seen(self: photographs.Shared, tree: Path) -> None:
        lend(self, tree)
        lent.extend((self.cache / "features").glob("*/plain.json"))

    monkeypatch.setattr("search.data.backbones.run_script", run_here)
    monkeypatch.setattr(photographs.Shared, "lend", lend_seen)
    monkeypatch.setattr(photographs, "command", run_like_ours)
    monkeypatch.setattr(photographs, "FEW", (10, 12))
    words = ["few", "--data", str(folder), "--backbone", backbone, "--size", str(SIDE), "--repetitions", "1"]
    for _ in range(2):  # The second call finds the row.
        photographs.main([*words, "--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")])
    (row,) = read_rows(tmp_path / "out" / "photographs_few.csv")
    assert int(row["given"]) + int(row["scored_on"]) == 24, "those to train on alone"
    assert float(row["exported"]) == float(row["default"]) == pytest.approx(0.5, abs=0.1)
    assert row["highest"] == row["exported"]
    assert float(row["logistic_0"]) == float(row["logistic_same"]) == 1.0
    assert float(row["loss"]) >= float(row["least_loss"])
    assert len(lent) == 2, "those of all photographs and those of the run"


def test_summary_has_how_often_and_how_far_the_export_is_worse() -> None:
    rows = [
        {"data": "d", "commit": "7e38662", "exported": exported, "logistic_0": "0.9", "backbone": "net"}
        for exported in ("0.95", "0.89")
    ]
    found = photographs.summarise(rows)["d"]
    # A commit such as this one reads like a number that is too large.
    assert found["means"] == pytest.approx({"exported": 0.92, "logistic_0": 0.9})
    assert found["export_minus"]["logistic_0"] == pytest.approx(
        {"mean": 0.02, "standard_error": 0.03, "times_worse": 1, "worst": -0.01}
    )


def test_error_under_perfect_calibration_is_that_of_chance() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(400, 3)).astype(np.float32)
    scores = Scores(np.zeros(400, np.int64), logits)
    perfect = photographs.perfect_error(scores, 0)
    assert 0.02 < perfect < 0.08
    assert perfect < calibration_error(scores)


def test_splits_are_of_all_images_and_few_of_those_to_train_on(folder: Path) -> None:
    photos = photographs.photos_of(folder, ("train", "test"))
    given, others = photographs.drawn(argparse.Namespace(part="splits"), photos, 0)
    assert sorted([*given, *others]) == list(range(30))
    assert len(given) == 21
    assert [photos[row].label for row in photographs.one_of_each(photos, range(30))] == ["dark", "bright"]

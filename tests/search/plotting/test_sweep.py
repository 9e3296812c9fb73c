"""The pictures of a sweep, on made-up runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from search.plotting.sweep import geometric, write_sweep_curves, write_sweep_values
from search.reporting.sweep_runs import SweepRun, finished_cells


def run(values: dict[str, Any], repeat: int = 0, epochs: int = 3) -> SweepRun:
    curve = [0.5 + 0.01 * epoch + 0.001 * repeat for epoch in range(epochs)]
    history = {"accuracy": curve, "val_accuracy": curve}
    return SweepRun(
        0, "finished", values, repeat, history, {"seconds": 2.5, "parameters": 314, "kept_epoch": epochs}
    )


MANY = [run({"filters": n, "head": head}, k) for n in (16, 32, 64) for head in ("max", "$x") for k in (0, 1)]


@pytest.mark.parametrize(
    ("runs", "varied"),
    [
        ([run({"filters": n}) for n in (16, 32, 64)], ["filters"]),
        (MANY, ["filters", "head"]),
        ([run({"head": head}) for head in ("max", "flatten")], ["head"]),
        ([run({"standardize": yes}) for yes in (True, False)], ["standardize"]),
        ([run({"dropout": 0.0}, epochs=1)], ["dropout"]),
    ],
    ids=["numbers", "two", "words", "yes and no", "one run of one epoch"],
)
@pytest.mark.filterwarnings("error::UserWarning")
def test_pictures_are_drawn(runs: Sequence[SweepRun], varied: Sequence[str], tmp_path: Path) -> None:
    cells = finished_cells(runs)
    write_sweep_curves(tmp_path / "curves.png", cells, "s")
    write_sweep_values(tmp_path / "values.png", cells, varied, "s")
    for name in ("curves.png", "values.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.format == "PNG"
            assert picture.width > 1000


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([16, 32, 64], True),
        ([1e-4, 1e-3, 1e-2], True),
        ([64, 96, 128], False),
        ([0, 16, 32], False),
        ([0.1, 0.2], False),
        (["a", "b", "c"], False),
    ],
)
def test_axis_is_logarithmic_where_values_are_geometric(values: list[Any], expected: bool) -> None:
    assert geometric(values) is expected

import dataclasses
from pathlib import Path

import make_table
import pytest
from record import read_rows

from search.config.settings import RunOptions
from search.data import Dataset
from search.study.creation import new_config

# Keras 3.15's own, once a variable that becomes an array.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
PER_EIGHTH = [f"{name}.{eighth}" for name in ("plain", "averaged", "decayed") for eighth in range(1, 9)]
COMMAND = [
    "--data",
    "digits",
    "--name",
    "digits",
    "--space",
    "small_space",
    "--length",
    "100MFLOP",
    "--images",
    "200",
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rows, of which the second was made by a second command."""
    folder = tmp_path_factory.mktemp("table")
    for rows in ("1", "2"):
        make_table.main([*COMMAND, "--unseen", "300", "--copies", "--rows", rows, "--out", str(folder)])
    return folder / "digits.csv"


def test_table_goes_on_where_it_ended(table: Path) -> None:
    assert [(row["row"], row["seed"]) for row in read_rows(table)] == [("0", "0"), ("1", "0")]


def test_rows_can_be_asked_for_alone(monkeypatch, tmp_path: Path) -> None:
    asked: list[int] = []

    def make_row(config, dataset, found, number: int, *more) -> dict[str, int]:
        asked.append(number)
        return {"row": number, "seed": 0}

    monkeypatch.setattr(make_table, "make_row", make_row)
    make_table.main([*COMMAND, "--only", "7", "3", "5", "--share", "0/2", "--out", str(tmp_path)])
    assert asked == [7, 5]


def test_row_has_each_eighth_in_three_ways_and_what_is_true(table: Path) -> None:
    for row in read_rows(table):
        assert {name for name in row if name.split(".")[0] in ("plain", "averaged", "decayed")} == set(
            PER_EIGHTH
        ) - {"decayed.8"}
        assert all(0 <= float(row[name]) <= 1 for name in (*PER_EIGHTH[:-1], "true"))
        assert float(row["true"]) > 0.2
        steps, batch, flops = (float(row[name]) for name in ("steps", "batch", "flops"))
        assert 0.95 * 1e8 < 3 * flops * batch * steps <= 1e8


def test_first_row_is_the_default_and_the_others_are_drawn(table: Path) -> None:
    one, two = read_rows(table)
    assert (one["param.width"], one["param.rate"]) == ("16", "0.05")
    assert two["param.rate"] != one["param.rate"]


def test_rows_near_the_default_keep_about_half_of_its_values(digits: Dataset) -> None:
    options = RunOptions.given(study="table", data="digits", space="cnn", images=200)
    config = dataclasses.replace(new_config(options, digits), length=10**12, training_images=200)
    default = make_table.configuration(config, 0, near=True).params
    near = [make_table.configuration(config, number, near=True).params for number in range(1, 41)]
    kept = sum(params[name] == default[name] for params in near for name in default)
    assert 0.4 < kept / (len(near) * len(default)) < 0.7
    assert near[0] == make_table.configuration(config, 1, near=True).params != near[1]


def test_cycle_that_is_left_falls_to_zero_and_is_as_before_when_gone_back_to() -> None:
    cycle = make_table.Stoppable(1.0, 100, 0.2)
    before = [float(cycle(step)) for step in range(100)]
    cycle.leave(60, 10)
    assert float(cycle(60)) == pytest.approx(before[60])
    assert float(cycle(65)) == pytest.approx(before[60] / 2)
    assert float(cycle(70)) == pytest.approx(0.0, abs=1e-6)
    cycle.go_back()
    assert [float(cycle(step)) for step in range(100)] == before

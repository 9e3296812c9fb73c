"""Replays on a small made-up table: what they spend and export, how its values rank, and what is refused."""

import argparse
import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import ranks
import replays
import simulate
import small_space
from optuna.pruners import SuccessiveHalvingPruner
from replays import NAMES, OURS, methods, replay
from table_rows import PARTS, Table, TableError, read_table

from spaces.contract import InputSpec

SPEC = InputSpec(8, 8, 1, 10)
SIZE = ["--size", "8", "8", "1", "10"]
ROWS = 60


def line_of(row: int, seed: int, chance: random.Random) -> dict[str, Any]:
    """A configuration whose accuracy falls with the distance of its width from 20; early on wide nets look better."""
    of_row = random.Random(row)
    width, rate = of_row.randint(4, 32), 10 ** of_row.uniform(-7, 0)
    if row == 0:
        width, rate = 16, 0.05  # The space's own default.
    good = 0.9 - 0.01 * abs(width - 20)
    curve = [
        good - 0.05 * (PARTS - part) + 0.01 * (PARTS - part) * width / 32 for part in range(1, PARTS + 1)
    ]
    noisy = [value + chance.gauss(0, 0.002) for value in curve]
    return {
        "row": row, "seed": seed, "param.width": width, "param.rate": rate,
        "param.dropout": 0.1 if row == 0 else of_row.uniform(0, 0.5),
        "flops": 2 * 64 * width, "parameters": 64 * width, "batch": 64, "steps": 1000,
        **{f"plain.{part}": noisy[part - 1] for part in range(1, PARTS + 1)},
        **{f"averaged.{part}": good + chance.gauss(0, 0.001) for part in range(1, PARTS + 1)},
        **{f"decayed.{part}": good for part in range(1, PARTS)}, f"decayed.{PARTS}": "", "decay_share": 0.05,
        "true": good,
    }  # fmt: skip


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    chance = random.Random(0)
    return [line_of(row, seed, chance) for row in range(ROWS) for seed in range(3 if row < 9 else 1)]


@pytest.fixture
def write(tmp_path: Path, lines: list[dict[str, Any]]) -> Callable[..., Path]:
    def write(lines: list[dict[str, Any]] = lines) -> Path:
        path = tmp_path / "made_up.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(lines[0]))
            writer.writeheader()
            writer.writerows(lines)
        return path

    return write


@pytest.fixture
def table(write: Callable[..., Path]) -> Table:
    replays.quiet()
    return read_table(write(), "small_space", SPEC)


def test_table_is_read_as_it_was_written(table: Table, lines: list[dict[str, Any]]) -> None:
    assert len(table.rows) == ROWS
    assert [len(row.runs) for row in table.rows] == [3] * 9 + [1] * (ROWS - 9)
    assert table.values() == ["plain", "averaged", "decayed"]
    assert table.rows[0].params == small_space.first(SPEC)[0]
    assert (table.default_row, table.has_default) == (0, True)
    assert table.rows[5].runs[0].curves["decayed"][-1] == lines[15]["plain.8"]


def test_nearest_row_of_a_row_is_itself_until_it_is_used(table: Table) -> None:
    every = list(range(ROWS))
    assert all(table.nearest(table.rows[row].params, every) == row for row in every)
    assert table.nearest(table.rows[7].params, every[8:]) != 7


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"param.width": 1000}, r"line 2: param.width = '1000'; expected a value of IntDistribution"),
        ({"param.width": "wide"}, r"line 2: param.width = 'wide'; expected a value of IntDistribution"),
        ({"plain.3": ""}, "line 2: plain.3 = ''; expected a number"),
        ({"true": "nan"}, "line 2: true = 'nan'; expected a number"),
    ],
)
def test_table_with_a_wrong_value_is_refused(write, lines, change: dict[str, Any], why: str) -> None:
    with pytest.raises(TableError, match=why):
        read_table(write([{**lines[0], **change}, *lines[1:]]), "small_space", SPEC)


def test_table_of_other_parameters_is_refused(write, lines) -> None:
    path = write([{**line, "param.depth": 3} for line in lines])
    with pytest.raises(TableError, match=r"param\.depth: not sampled by space small_space"):
        read_table(path, "small_space", SPEC)
    path = write([{name: value for name, value in line.items() if name != "param.rate"} for line in lines])
    with pytest.raises(TableError, match=r"has no column param\.rate, which space small_space samples"):
        read_table(path, "small_space", SPEC)


def test_table_that_lacks_averaged_values_cannot_be_pruned_by_them(write, lines, capsys) -> None:
    path = write([{**lines[0], "averaged.2": ""}, *lines[1:]])
    with pytest.raises(SystemExit) as ended:
        simulate.main(["--table", str(path), "--space", "small_space", *SIZE, "--value", "averaged"])
    assert ended.value.code == 2
    assert "--value averaged: not every row of" in capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES)
def test_replay_spends_what_it_may_and_knows_what_it_spent_by_then(table: Table, name: str) -> None:
    way = methods(simulate._config("small_space", (8, 8, 1, 10)))[name]
    half, full = replay(table, range(ROWS), way, "plain", (5, 10), seed=3)
    assert half.complete <= 5
    assert full.complete <= 10
    assert half.trials < full.trials <= ROWS
    assert full.true >= 0.9 - 0.16
    if name in ("random", "TPE"):
        assert (half.trials, half.complete, full.trials, full.complete) == (5, 5, 10, 10)
    else:
        assert full.trials > 10, "a pruned trial costs what it was trained for"


def test_same_seed_replays_the_same(table: Table) -> None:
    way = methods(simulate._config("small_space", (8, 8, 1, 10)))[OURS]
    first, again, other = (replay(table, range(ROWS), way, "plain", (4, 8), seed) for seed in (1, 1, 2))
    assert first == again != other


def test_decayed_copies_are_paid_for(table: Table) -> None:
    way = methods(simulate._config("small_space", (8, 8, 1, 10)))["random"]
    (plain,) = replay(table, range(ROWS), way, "plain", (10,), seed=0)
    (decayed,) = replay(table, range(ROWS), way, "decayed", (10,), seed=0)
    # A whole training with seven copies of a twentieth costs 1.35 of one.
    assert (plain.complete, decayed.complete) == (10, 7)


def test_ours_tries_the_default_first(table: Table) -> None:
    way = methods(simulate._config("small_space", (8, 8, 1, 10)))[OURS]
    for seed in range(3):
        (first,) = replay(table, range(ROWS), way, "plain", (1,), seed)
        assert (first.true, first.trials) == (table.rows[0].true, 1)


def test_rungs_are_chosen_among_where_rows_are_kept_for_it(table: Table) -> None:
    asked = argparse.Namespace(space="small_space", size=(8, 8, 1, 10), rows="report")
    assert list(simulate.ways_of(asked)) == list(NAMES)
    asked.rows = "choose"
    ways = simulate.ways_of(asked)
    assert [type(ways["ours, from 4/8 one of 2"].pruner()), len(ways)] == [SuccessiveHalvingPruner, 14]
    (export,) = replay(table, range(ROWS), ways["ours, none pruned"], "plain", (6,), seed=0)
    assert (export.trials, export.complete) == (6, 6)


def test_ties_export_their_mean() -> None:
    class Row:
        def __init__(self, true: float) -> None:
            self.true = true

    ended = [
        replays._Ended(1.0, PARTS, value, Row(true)) for value, true in ((0.8, 0.7), (0.8, 0.9), (0.1, 0))
    ]
    assert replays._export(ended).true == pytest.approx(0.8)


def test_ranks_say_what_the_table_was_made_with(table: Table, monkeypatch) -> None:
    monkeypatch.setattr(ranks, "RESAMPLES", 50)
    found = ranks.rank_statistics(table)
    rungs = {(one["value"], one["eighth"]): one for one in found["rungs"]}
    assert rungs["decayed", 1]["tau"] > rungs["plain", 1]["tau"]
    assert rungs["plain", 7]["tau"] > rungs["plain", 1]["tau"] > 0.3
    assert rungs["plain", 1]["slope_interval"][0] > 0, "early on wide nets look better"
    low, high = rungs["decayed", 1]["slope_interval"]
    assert low < rungs["decayed", 1]["slope"] < high
    assert found["ceiling"]["rows"] == 9
    assert 0.7 < found["ceiling"]["tau"] <= 1


def test_tau_and_slope_of_a_ranking_by_size() -> None:
    import numpy as np

    end, doublings = np.array([4.0, 3.0, 2.0, 1.0]), np.array([1.0, 2.0, 3.0, 4.0])
    assert ranks.tau(end, end) == 1
    assert ranks.tau(end, -end) == -1
    assert ranks.tau(np.ones(4), end) == 0
    assert ranks.slope(end, end, doublings) == 0
    assert ranks.slope(doublings, end, doublings) == pytest.approx(0.5)


def test_lead_that_lasts_is_told_from_one_that_larger_nets_take_over(
    write, lines, table, monkeypatch
) -> None:
    monkeypatch.setattr(ranks, "RESAMPLES", 50)
    some = [line for line in lines if line["row"] < 20 and line["seed"] == 0]

    def longer(gain: float) -> dict[str, Any]:
        there = [{**line, "true": line["true"] + gain * line["param.width"]} for line in some]
        return ranks.lasting(table, read_table(write(there), "small_space", SPEC))

    same, others = longer(0.0), longer(0.1)
    assert (same["rows"], same["tau"], same["slope"], same["regret_of_best"]) == (20, 1.0, 0.0, 0.0)
    assert others["tau"] < 0.7
    assert others["slope_interval"][0] > 0
    assert others["regret_of_best"] > 0.1


def test_longer_table_of_other_configurations_is_refused(write, lines, table) -> None:
    for there in (lines[:1], [{**line, "param.width": 5} for line in lines if line["row"] > 0]):
        with pytest.raises(TableError, match=r"^--longer: expected a table with three rows or more"):
            ranks.lasting(table, read_table(write(there), "small_space", SPEC))


def test_halves_share_the_default_alone_and_tasks_are_paired(table: Table) -> None:
    choose, report = (simulate.half_of(table, half) for half in ("choose", "report"))
    assert set(choose) & set(report) == {0}
    assert set(choose) | set(report) == set(range(ROWS))
    tasks = simulate.make_tasks(table, report, 4, NAMES)
    for resample in range(4):
        same = tasks[6 * resample : 6 * resample + 6]
        assert [task.method for task in same] == list(NAMES)
        assert len({(tuple(task.among), tuple(task.seeds)) for task in same}) == 1


def test_small_run_writes_figures_that_can_be_true(write, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(simulate, "ProcessPoolExecutor", InThisProcess)
    monkeypatch.setattr(ranks, "RESAMPLES", 20)
    simulate.main(
        ["--table", str(write()), "--space", "small_space", *SIZE, "--lengths", "6", "--replays", "4", "--out",
         str(tmp_path), "--longer", str(tmp_path / "made_up.csv")]
    )  # fmt: skip
    found = json.loads((tmp_path / "simulate_made_up.json").read_text())
    assert [(one["method"], one["budget"]) for one in found["methods"]] == [
        (name, budget) for name in NAMES for budget in ("half", "full")
    ]
    for one in found["methods"]:
        assert one["interval"][0] <= one["regret"] <= one["interval"][1]
        assert 0 <= one["regret"] < 0.17
        assert 0 <= one["worse_than_default"] <= 1
    same = next(one for one in found["methods"] if (one["method"], one["budget"]) == (OURS, "half"))
    assert same["ours_at_half_minus_this"] == 0
    assert found["settings"]["rows_a_replay"] == 21
    text = (tmp_path / "simulate_made_up.md").read_text()
    assert text in capsys.readouterr().out
    assert "| ours | full |" in text
    assert (
        f"The {ROWS} configurations that were trained for longer as well, by their true values: tau 1.00"
        in text
    )


class InThisProcess:
    """In the place of a pool: the tests' processes need not import everything again."""

    def __init__(
        self, processes: int, context: Any, begin: Callable[..., None], arguments: tuple[Any, ...]
    ) -> None:
        begin(*arguments)

    def __enter__(self) -> "InThisProcess":
        return self

    def __exit__(self, *error: object) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)

    def map(self, do: Callable[[Any], Any], tasks: Any, chunksize: int) -> list[Any]:
        return [do(task) for task in tasks]

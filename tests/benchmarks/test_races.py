import json
from pathlib import Path

import numpy as np
import races


def test_rules_differ_where_they_should() -> None:
    # Trial 1 leads by 1 in the mean, with a standard error of over 1, and is behind in the first round.
    drawn = np.array([[2.0, 0.0, 0.0], [1.0, 4.0, 0.0], [-5.0, 5.0, -1.0]])
    found = races.exports(np.array([0.0, 3.0, 2.0]), drawn)
    assert dict(found) == {"best mean": 0, "to the end": 1, "by its noise": 0, "no race": 1}
    ahead = np.array([[1.0, 1.0, 0.0], [2.0, 3.0, 0.0], [-5.0, 5.0, -1.0]])
    assert dict(races.exports(np.array([0.0, 3.0, 2.0]), ahead)) == {
        "best mean": 1,
        "to the end": 1,
        "by its noise": 0,
        "no race": 1,
    }


def test_default_that_nobody_is_ahead_of_is_exported_without_a_race() -> None:
    found = races.exports(np.array([4.0, 3.0, 2.0]), np.full((3, 3), np.nan))
    assert set(found.values()) == {races.DEFAULT}


def test_better_configurations_are_found_and_worse_ones_are_not() -> None:
    better = races.simulate(races.Case(3.0, 0.1, 0.1, 0.1), 5)
    assert all(2.8 < points <= better["best"] for points in better["points"].values())
    worse = races.simulate(races.Case(-3.0, 0.1, 0.1, 0.1), 5)
    assert worse["best"] == 0
    assert set(worse["points"].values()) == {0.0}


def test_races_as_long_as_the_final_training_find_what_lasts() -> None:
    """What leads after a trial's length says nothing here of what does after the final's."""
    sure = races.Case(2.0, 2.0, *races.IN_FOLDS, others=3, lasting=0.0)
    found = races.simulate_lengths(sure, 100)
    assert found["points"]["3 x 3, 3 times as long"] > found["points"]["3 x 9, 1 times as long"] + 0.5
    assert found["worse"]["3 x 3, 3 times as long"] < found["worse"]["3 x 9, 1 times as long"]


def test_table_has_a_row_for_each_case(tmp_path: Path) -> None:
    races.main(["--races", "2", "--out", str(tmp_path)])
    assert len(json.loads((tmp_path / "races.json").read_text())["cases"]) == len(races.CASES)
    lines = (tmp_path / "races.md").read_text().splitlines()
    assert sum(line.startswith("| ") for line in lines) == len(races.CASES) + len(races.LENGTHS) + 2 * 3

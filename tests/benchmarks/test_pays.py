import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import default_lengths
import numpy as np
import pays
import pays_summary
import pytest
from record import read_rows
from scipy.stats import ttest_rel

from search.workflows import run as run_workflow

TINY = pays.Task("digits_cnn", images=300, options={"space": "small_space", "final": "4 epochs", "trials": 2})
SIDES = ("exported", "raw", "default", "default_all", "random")
RACE = {
    "trial": 0,
    "confirm": {
        "configurations": [
            {"trial": 0, "mean": 0.90, "dropped_after_round": None},
            {"trial": 4, "mean": 0.91, "dropped_after_round": None},
            {"trial": 7, "mean": 0.95, "dropped_after_round": 2},
        ]
    },
}


def rows_of(name: str, exported: list[float], default: list[float]) -> list[dict[str, str]]:
    numbers = {f"{kind}.{side}": "1e9" for kind in ("compute", "seconds") for side in SIDES}
    same = {"set": name, "commit": "abc", "scored_on": "100", "gflops": "1", **numbers}
    rows = []
    for ours, theirs in zip(exported, default, strict=True):
        sides = {side: str(ours if side in ("exported", "raw") else theirs) for side in SIDES}
        rows.append({**same, **sides})
    return rows


@pytest.fixture(scope="module")
def run(
    lend_server: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str], pytest.MonkeyPatch]:
    """The whole of one repetition."""
    folder = tmp_path_factory.mktemp("pays")
    command = ["--sets", "digits", "--repetitions", "1", "--out", str(folder), "--work", str(folder / "work")]
    with pytest.MonkeyPatch.context() as patched, ExitStack() as servers:
        patched.setitem(pays.TASKS, "digits", TINY)
        patched.setattr(pays, "MANY", 1)
        # A fresh process for each of five exports; test_verification.py has what it finds.
        patched.setattr("search.exporting.builder.verify_in_fresh_process", lambda *given: None)
        for module in (pays, run_workflow):
            servers.enter_context(lend_server(module))
        pays.main(command)
        yield folder, command


def test_repetition_has_what_each_side_scores_and_takes(run: Any) -> None:
    folder, _ = run
    (row,) = read_rows(folder / "pays.csv")
    assert (row["set"], row["seed"], row["images"]) == ("digits", str(pays.FIRST_SEED), "300")
    for side in SIDES:
        # A net that has learnt anything of ten digits is right more often than one that guesses.
        assert 0.2 < float(row[side]) <= 1
        # Accuracies are those of the images that are scored on, and of no others.
        right = float(row[side]) * int(row["scored_on"])
        assert right == pytest.approx(round(right), abs=1e-3)
    whole = float(row["compute.exported"])
    assert float(row["compute.default"]) < 0.5 * whole
    assert 0.7 * whole < float(row["compute.default_all"]) <= whole
    assert float(row["compute.random"]) == pytest.approx(whole, rel=0.5)


def test_row_that_is_there_is_not_made_again(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, command = run
    before = (folder / "pays.csv").read_text()
    monkeypatch.setattr(pays, "repetition", lambda *given: pytest.fail("made again"))
    pays.main(command)
    assert (folder / "pays.csv").read_text() == before
    stored = json.loads((folder / "pays.json").read_text())
    assert [(pair["ours"], pair["rival"]) for pair in stored["pairs"]] == list(pays_summary.PAIRS)
    assert "exported - default" in (folder / "pays.md").read_text()


def test_images_that_are_scored_on_are_not_given_to_the_search() -> None:
    x_train, y_train, x_test, y_test = pays.deal(TINY, "digits", 3)
    assert (len(x_train), len(y_train), len(x_test)) == (300, 300, len(y_test))
    given = {image.tobytes() for image in x_train}
    assert not given & {image.tobytes() for image in x_test}
    assert not np.array_equal(x_test, pays.deal(TINY, "digits", 4)[2])


def test_raw_winner_is_the_best_of_the_race_that_has_not_dropped_out() -> None:
    assert pays.raw_trial(RACE) == 4
    assert pays.raw_trial({"trial": 5}) == 5


def test_set_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        pays.main(["--sets", "mnist"])
    assert "--sets mnist: no such set; expected some of cifar10" in capsys.readouterr().err


def test_default_at_three_lengths_and_its_final_training_take_no_more_than_they_may() -> None:
    epochs = default_lengths.epochs_within(10_000, 80, 20, 100)
    assert 1.75 * epochs * 260 + 300 * epochs <= 10_000 < 1.75 * (epochs + 1) * 260 + 300 * (epochs + 1)


def test_interval_is_that_of_a_paired_t_test() -> None:
    ours, theirs = [0.81, 0.79, 0.85, 0.80], [0.80, 0.77, 0.86, 0.76]
    found = pays_summary.difference(ours, theirs)
    expected = ttest_rel(ours, theirs).confidence_interval(0.95)
    assert found["interval"] == pytest.approx([expected.low, expected.high])
    assert found["mean"] == pytest.approx(np.mean(ours) - np.mean(theirs))


def test_ratio_over_sets_is_the_geometric_mean_of_those_of_errors() -> None:
    rows = rows_of("one", [0.9, 0.7], [0.8, 0.8]) + rows_of("two", [0.9], [0.6])
    pair = pays_summary.summarise(rows)["pairs"][0]
    assert pair["sets"]["one"]["error_ratio"] == pytest.approx(1.0)
    assert pair["sets"]["two"]["error_ratio"] == pytest.approx(0.25)
    assert pair["geometric_mean_of_error_ratios"] == pytest.approx(0.5)
    assert pair["sets"]["two"]["interval"] is None


def test_set_without_a_mistake_has_a_ratio() -> None:
    found = pays_summary.compare(rows_of("one", [1.0], [0.99]), "exported", "default")
    assert found["error_ratio"] == pytest.approx(0.5)

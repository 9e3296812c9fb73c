"""A sweep: every cell exactly once or so often as asked, gone on with, added to, tried again, and reported."""

import contextlib
import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState
from PIL import Image

from search.cli.app import main
from search.config.settings import RunOptions
from search.data import Dataset
from search.errors import InputError, StudyStopped
from search.exporting.folder import FILES
from search.study.opening import open_study
from search.study.sweep_cells import REPEAT, next_retry
from search.sweep import app
from search.workflows.results import SweepResult
from search.workflows.sweep import run_sweep


@pytest.fixture
def places(digits: Dataset, tmp_path: Path) -> dict[str, Path]:
    return {"root": tmp_path / "studies", "cache": digits.folder.parent, "out": tmp_path / "out"}


@pytest.fixture
def run(places, fast_server, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SweepResult]:
    """Sweep digits and ``in_child/small_space.py`` in the study ``s``, an epoch a run."""
    monkeypatch.setattr(
        "search.workflows.sweep.ForkServer", lambda backend: contextlib.nullcontext(fast_server)
    )

    def sweep(vary: dict[str, Any] | None = None, study: str = "s", **more: Any) -> SweepResult:
        said = {"data": "digits", "space": "small_space", "epochs": 1, "images": 200}
        return run_sweep(study, **{"vary": vary, **said, **places, **more})

    return sweep


def cells(result: SweepResult, *states: TrialState) -> Counter[tuple[Any, ...]]:
    """How often each cell stands in the study: width and repeat."""
    trials = result.study.optuna.get_trials(states=states or None)
    return Counter(
        (trial.system_attrs["fixed_params"]["width"], trial.user_attrs[REPEAT]) for trial in trials
    )


@pytest.mark.slow
def test_two_workers_run_every_cell_exactly_once_and_report(run, places) -> None:
    result = run({"width": (4, 8)}, repeat=2, workers=2)
    trials = result.study.optuna.trials
    assert cells(result, TrialState.COMPLETE) == Counter([(4, 0), (8, 0), (4, 1), (8, 1)])
    assert len(trials) == 4
    assert len({trial.user_attrs["seed"] for trial in trials}) == 4
    assert {tuple(sorted(trial.params.items())) for trial in trials} == {
        (("dropout", 0.1), ("rate", 0.05), ("width", width)) for width in (4, 8)
    }
    with (places["out"] / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "trial", "state", "width", "repeat", "validation_accuracy", "kept_epoch", "seed", "epochs", "seconds",
        "parameters", "flops", "reason",
    ]  # fmt: skip
    assert [(row["width"], row["repeat"], row["state"]) for row in rows] == [
        (width, repeat, "finished") for width in "48" for repeat in "01"
    ]
    for name in ("sweep.png", "sweep_curves.png"):
        with Image.open(places["out"] / name) as picture:
            assert picture.format == "PNG"
    written = json.loads((places["out"] / "sweep.json").read_text())
    assert written["sentence"] == result.summary["sentence"]
    assert "noise between repeats" in written["sentence"]
    assert written["fixed"] == {"rate": 0.05, "dropout": 0.1}


@pytest.mark.slow
def test_stopped_sweep_goes_on_adds_nothing_twice_and_a_longer_list_adds_what_is_new(run, places) -> None:
    stopped = run({"width": (4, 8)}, timeout=0.01)
    assert "go on with: python -m search.sweep --study s" in stopped.stopped
    assert cells(stopped, TrialState.WAITING) == Counter([(4, 0), (8, 0)])
    assert stopped.summary["sentence"].startswith("No cell has finished")
    for _ in range(2):
        result = run({"width": (4, 8)})
        assert cells(result) == Counter([(4, 0), (8, 0)])
        assert (result.stopped, result.summary["runs_finished"]) == ("", 2)
    (places["out"] / "sweep.png").unlink()
    added = run({"width": (4, 8, 16.0)})
    assert cells(added) == cells(added, TrialState.COMPLETE) == Counter([(4, 0), (8, 0), (16, 0)])
    assert (places["out"] / "sweep.png").exists()
    again = run()  # What is not said is the study's own.
    assert cells(again) == cells(added)
    assert [cell["width"] for cell in again.summary["cells"]] == [4, 8, 16]
    with pytest.raises(InputError, match="base='one-layer': study s was made with None"):
        run(base="one-layer", space=None)


@pytest.fixture
def mend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], None]:
    """Every build fails until this is called: the file that would make it good lies in no folder yet."""
    file = tmp_path / "later" / "mended"
    monkeypatch.setenv("SMALL_SPACE_FAULT", "raise")
    monkeypatch.setenv("SMALL_SPACE_ONCE", str(file))

    def touch() -> None:
        file.parent.mkdir(exist_ok=True)
        file.touch()

    return touch


@pytest.mark.slow
def test_failed_cells_are_tried_again_after_all_others(run, mend, monkeypatch: pytest.MonkeyPatch) -> None:
    def mended_again(trials: list[FrozenTrial]) -> dict[str, Any] | None:
        mend()
        return next_retry(trials)

    monkeypatch.setattr("search.study.sweep_cells.next_retry", mended_again)
    result = run({"width": (4, 8)})
    assert cells(result, TrialState.FAIL) == Counter([(4, 0), (8, 0)])
    assert cells(result, TrialState.COMPLETE) == Counter([(4, 0), (8, 0)])
    assert [one["state"] for one in result.summary["not_finished"]] == ["failed"] * 2


@pytest.mark.slow
def test_cell_that_keeps_failing_is_given_up_and_tried_when_run_again(run, mend) -> None:
    given_up = run({"width": (4, 8)})
    assert cells(given_up) == cells(given_up, TrialState.FAIL) == Counter({(4, 0): 2, (8, 0): 2})
    assert (given_up.summary["runs_owed"], given_up.study.wanted) == (2, 2)
    assert "2 of 2 runs failed (width=4: FileNotFoundError" in given_up.summary["sentence"]
    mend()
    mended = run({"width": (4, 8)})
    assert cells(mended, TrialState.COMPLETE) == Counter([(4, 0), (8, 0)])
    assert len(mended.study.optuna.trials) == 6


@pytest.mark.slow
def test_sweep_that_failures_end_reports_what_has_finished(
    run, places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise StudyStopped("10 trials in a row failed for one reason")

    run({"width": (4,)})
    monkeypatch.setattr("search.workflows.sweep.search", stopped)
    with pytest.raises(StudyStopped, match="10 trials in a row"):
        run({"width": (4, 8)})
    summary = json.loads((places["out"] / "sweep.json").read_text())
    assert (summary["runs_finished"], summary["runs_owed"]) == (1, 2)


@pytest.mark.slow
def test_cell_that_is_too_large_is_named_and_left_out(run, capsys: pytest.CaptureFixture[str]) -> None:
    result = run({"width": (4, 32)}, max_parameters=1000)
    assert cells(result) == Counter([(4, 0)])
    assert "left out: width=32: 2,442 parameters, over max_parameters=1000" in capsys.readouterr().out
    assert [one["values"] for one in result.summary["left_out"]] == [{"width": 32}]
    assert result.summary["sentence"].startswith("Only one cell has finished")


def test_sweep_whose_every_cell_is_too_large_is_refused(run, places) -> None:
    with pytest.raises(InputError, match="every cell is too large"):
        run({"width": (16, 32)}, max_parameters=1000)
    assert not places["root"].exists()


@pytest.mark.parametrize(("finished", "code"), [(2, 0), (1, 1), (0, 1)])
def test_sweep_exits_with_1_unless_every_run_is_finished(
    finished: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study: Any = SimpleNamespace(wanted=2, finished=lambda: [None] * finished)
    result = SweepResult(study, "", False, tmp_path, {"sentence": "Only one cell has finished."})
    monkeypatch.setattr("search.workflows.sweep.sweep_and_report", lambda options: result)
    with pytest.raises(SystemExit) as end:
        main(app, ["--study", "s"])
    assert end.value.code == code


def test_search_and_sweep_do_not_go_on_with_each_other(run, places) -> None:
    request = {"root": places["root"], "cache": places["cache"]}
    open_study(RunOptions.given("s", data="digits", space="small_space", **request))
    places["out"].mkdir()
    for name in FILES:
        (places["out"] / name).write_text("{}")
    # Another --out, which an export of the search would have asked for, would be no mend.
    go_on = (
        f"study='s': is a search; go on with python -m search.run --study s --studies {places['root']}, or"
    )
    with pytest.raises(InputError, match=go_on):
        run({"width": (4,)})
    with pytest.raises(InputError, match=r"cifar_dense: a sweep, not a search; run python -m search\.sweep"):
        open_study(RunOptions.given("cifar_dense", **request))
    with pytest.raises(SystemExit):  # So says its command, too, with nothing made.
        main(app, ["--study", "s", "--studies", str(places["root"])])


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (["--vary", "depth=1,2"], "--vary depth: no parameter of space small_space; expected one of dropout"),
        (["--vary", "width=4,64"], "width = 64 is outside what this space samples"),
        (["--vary", "width=a"], "width = 'a' is no number"),
        (["--vary", "width="], "expected NAME=VALUES"),
        (["--vary", "width"], "expected NAME=VALUES"),
        ([], "--vary: nothing is varied; expected such as --vary filters=16,32,64"),
        (["--vary", "width=4", "--repeat", "0"], "--repeat 0: expected a number from 1 to 1000"),
        (["--vary", "width=4", "--base", "bears"], "--base bears is of space cnn_wide"),
        (["--vary", "width=4", "--base", "panda"], "--base 'panda': expected a net of the notebooks"),
        (["--vary", "width=4", "--max-cost", "much"], "--max-cost 'much': expected"),
        (["--vary", "width=4", "--out", __file__], "is a file; expected a folder"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    said: list[str], expected: str, places, capsys: pytest.CaptureFixture[str]
) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    always = ["--study", "s", "--data", "digits", "--space", "small_space"]
    where = ["--studies", str(places["root"]), "--cache", str(places["cache"])]
    with pytest.raises(SystemExit) as end:
        main(app, [*always, *where, *said])
    error = capsys.readouterr().err
    assert end.value.code == 2
    assert expected in error
    assert error.count("\n") == 1
    assert not places["root"].exists()

"""What users made at 3b1f10e still opens, goes on, reports, exports and predicts.

``tests/made_at_3b1f10e/MADE.md`` says what lies in the archive. All goes through the commands as they are called, so
that modules may move and be renamed.
"""

import csv
import json
import runpy
import shutil
import sys
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import metadata
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial

from search import prepare

ARCHIVE = Path(__file__).parents[1] / "made_at_3b1f10e" / "made.tar.xz"
DIGITS, PICTURES = "3bd843b4efb2178c8074c0e18fa7f1a6", "ea42d3ac46d4408ff7a71d1b61775e23"
STUDIES = ("kept", "kept_sweep", "kept_folds", "kept_transfer")
same_keras = pytest.mark.skipif(
    metadata.version("keras") != "3.15.1", reason="from a checkpoint of another Keras nobody goes on"
)
Command = Callable[..., str]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The archive, unpacked where it was not made, as the current folder."""
    shutil.unpack_archive(ARCHIVE, tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SEARCH_STORAGE", raising=False)
    return tmp_path


@pytest.fixture
def command(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """``python -m search.NAME ...`` in this process: what it printed, once it has ended well."""

    def run(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        capsys.readouterr()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # Of a module that some test has imported.
            with pytest.raises(SystemExit) as end:
                runpy.run_module(f"search.{name}", run_name="__main__", alter_sys=True)
        printed = capsys.readouterr()
        assert not end.value.code, printed.err
        return printed.out

    return run


@pytest.fixture
def training(command: Command, place: Path, fork_server: Any, monkeypatch: pytest.MonkeyPatch) -> Command:
    """``command`` for those that train: all of them share the tests' fork server."""
    monkeypatch.setattr(type(fork_server), "_launch", lambda server: fork_server.share())
    # The server's current folder is another one.
    return lambda name, *arguments: command(name, *arguments, "--studies", place / "studies")


def study_of(place: Path, name: str) -> optuna.Study:
    return optuna.load_study(study_name=name, storage=f"sqlite:///{place / 'studies' / 'search.db'}")


def trials_of(place: Path, name: str) -> list[FrozenTrial]:
    return study_of(place, name).trials


def states(trials: list[FrozenTrial]) -> list[str]:
    return [trial.state.name for trial in trials]


def log_of(place: Path, study: str, number: int) -> str:
    return (place / "studies" / study / "trials" / f"{number:05d}" / "log.txt").read_text()


def summary_of(place: Path, study: str) -> dict[str, Any]:
    return json.loads((place / "exports" / study / "summary.json").read_text())


def predictions_of(place: Path, study: str) -> list[dict[str, str]]:
    with (place / "exports" / study / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_kept_studies_are_listed(command: Command) -> None:
    listed = json.loads(command("studies", "--json"))["studies"]
    facts = ("state", "finished", "wanted", "failed", "best")
    assert {one["study"]: tuple(one[fact] for fact in facts) for one in listed} == {
        "kept": ("unfinished", 3, 4, 1, 0.909722),
        "kept_sweep": ("unfinished", 1, 2, 0, 0.875),
        "kept_folds": ("unfinished", 1, 2, 1, 0.966667),
        "kept_transfer": ("done", 9, 9, 1, 0.833333),
    }


@pytest.mark.parametrize(
    ("study", "counts", "best"),
    [
        ("kept", {"finished": 2, "pruned": 1, "failed": 1, "running": 0, "waiting": 2}, 2),
        ("kept_sweep", {"finished": 1, "pruned": 0, "failed": 0, "running": 0, "waiting": 1}, 0),
        ("kept_folds", {"finished": 1, "pruned": 0, "failed": 1, "running": 0, "waiting": 1}, 1),
        ("kept_transfer", {"finished": 9, "pruned": 0, "failed": 1, "running": 0, "waiting": 0}, 2),
    ],
)
def test_kept_study_shows_how_it_stands(
    command: Command, study: str, counts: dict[str, int], best: int
) -> None:
    shown = json.loads(command("status", "--study", study, "--json"))
    assert shown["counts"].pop("refused") == 0
    assert (shown["counts"], shown["best"]["number"]) == (counts, best)


@pytest.mark.parametrize(
    ("study", "figures"),
    [
        ("kept", ("0.9097", "91.0 %", "LogisticRegression", "over --max-cost or --max-parameters")),
        ("kept_sweep", ("0.8750", "44,138 parameters")),
        ("kept_folds", ("0.9667", "96.7 %", "trained anew on all training images")),
        ("kept_transfer", ("0.8333", "0.6667", "Confirmation", "not decided")),
    ],
)
def test_kept_study_is_reported_with_its_export(
    command: Command, place: Path, study: str, figures: tuple[str, ...]
) -> None:
    command("report", "--study", study)
    page = (place / "exports" / f"{study}.html").read_text()
    assert [figure for figure in figures if figure not in page] == []


@pytest.mark.parametrize("data", ["digits", "pictures"])
def test_kept_images_are_those_that_are_decoded_now(place: Path, tmp_path: Path, data: str) -> None:
    said: list[str] = []
    kept = {"digits": DIGITS, "pictures": PICTURES}[data]
    assert prepare(data, cache=tmp_path / "empty", say=said.append).fingerprint == kept


def test_kept_images_are_found_and_not_decoded_anew(place: Path) -> None:
    said: list[str] = []
    found = prepare("digits", say=said.append)
    assert (found.folder, said) == (place / "cache" / "keras-image-search" / DIGITS, [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "images"),
    [("kept", "samples"), ("kept_folds", "pictures/test"), ("kept_transfer", "pictures/test")],
)
def test_kept_export_predicts_what_it_predicted_then(
    command: Command, place: Path, study: str, images: str
) -> None:
    answers = json.loads(command("predict", "--model", f"exports/{study}", images, "--json"))
    rows = predictions_of(place, study)
    if images == "samples":
        rows = [rows[int(Path(answer["image"]).stem)] for answer in answers]
    assert [answer["class"] for answer in answers] == [row["predicted"] for row in rows]
    assert [answer["confidence"] for answer in answers] == pytest.approx(
        [float(row["confidence"]) for row in rows], abs=1e-5
    )


@pytest.mark.parametrize(
    ("name", "study"), [("run", "kept"), ("run", "kept_transfer"), ("sweep", "kept_sweep")]
)
def test_kept_study_whose_space_has_other_ranges_by_now_is_left_as_it_was(
    command: Command, place: Path, name: str, study: str
) -> None:
    before = trials_of(place, study)
    words = "made with another version of it .*; go on with the version of this program that made it"
    with pytest.raises(AssertionError, match=words):
        command(name, "--study", study)
    assert trials_of(place, study) == before


@same_keras
@pytest.mark.slow
def test_kept_study_in_folds_goes_on_with_its_second_fold(training: Command, place: Path) -> None:
    before = trials_of(place, "kept_folds")[2]
    training("run", "--study", "kept_folds", "--trials", 2, "--no-export")
    after = trials_of(place, "kept_folds")

    assert states(after) == ["FAIL", "COMPLETE", "COMPLETE"]
    assert list(after[2].intermediate_values) == [1, 2, 3]
    assert before.intermediate_values.items() <= after[2].intermediate_values.items()
    assert log_of(place, "kept_folds", 2).count("fold 1 of 3") == 1


@pytest.mark.slow
def test_kept_trial_is_exported_as_it_was_then(
    training: Command, place: Path, warm_checks: Callable[[], AbstractContextManager[None]]
) -> None:
    before, rows = summary_of(place, "kept"), predictions_of(place, "kept")
    with warm_checks():
        training("export", "--study", "kept")
    after = summary_of(place, "kept")

    assert after["trial"] == before["trial"] == 2
    for figure in ("test_accuracy", "test_loss", "macro_f1", "validation_loss"):
        assert after[figure] == pytest.approx(before[figure], abs=1e-5)
    assert after["calibration"] == pytest.approx(before["calibration"], abs=1e-4)
    assert [float(row["confidence"]) for row in predictions_of(place, "kept")] == pytest.approx(
        [float(row["confidence"]) for row in rows], abs=1e-5
    )
    assert (before["times_test_scored"], after["times_test_scored"]) == (1, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "trials", "where"),
    [
        ("kept_folds", 1, ("--data", "pictures", "--cache", "empty")),
    ],
)
def test_kept_study_is_joined_where_its_cache_has_moved(
    training: Command, place: Path, study: str, trials: int, where: tuple[str, ...]
) -> None:
    before = states(trials_of(place, study))
    (place / "cache" / "keras-image-search").rename(place / "elsewhere")
    training("run", "--study", study, "--trials", trials, "--no-export", *where)
    assert states(trials_of(place, study)) == before

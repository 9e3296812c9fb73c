"""The command of a finished study run again: what is exported already is found, and nothing else is taken for it."""

import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from search.config.settings import RunOptions
from search.execution.worker import Worker
from search.execution.worker_loop import work
from search.exporting.earlier import earlier_export
from search.exporting.folder import FILES
from search.process.fork_server import ForkServer
from search.study.study import LoadedStudy
from search.workflows.run import search_and_export
from storage.ledger import times_scored


@pytest.fixture(scope="module")
def study(make_worker_in: Callable[..., Worker], tmp_path_factory: pytest.TempPathFactory) -> LoadedStudy:
    """A study of two trials, both finished; what a test changes of it, it changes back."""
    worker = make_worker_in(tmp_path_factory.mktemp("earlier") / "studies")
    work(worker, lambda: 2)
    worker.study.want(2)
    return worker.study


@pytest.fixture(scope="module")
def written(study: LoadedStudy, export_of: Callable[..., Path]) -> Path:
    """An export of the best trial, as the real writers make it, with something in the place of a model."""
    return completed(export_of(study))


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A copy of it, of the test's own."""
    return shutil.copytree(written, tmp_path / "export")


def completed(folder: Path) -> Path:
    """The folder with all files that an export has, where the writers of a model have not been at work."""
    for name in FILES:
        (folder / name).touch()
    ZipFile(folder / "model.keras", "w").close()
    return folder


def asked(study: LoadedStudy, **more: Any) -> RunOptions:
    made: RunOptions = RunOptions.given("small", root=study.paths.root, **more)
    return made


def test_export_of_the_same_trial_is_found(study: LoadedStudy, folder: Path) -> None:
    found = earlier_export(folder, study, asked(study))
    assert found is not None
    assert (found.folder, found.summary["trial"]) == (folder, study.ranked()[0].number)
    assert found.confusion_matrix.sum() == found.summary["test_images"]
    assert found.labels == list(study.config.classes)


@pytest.mark.parametrize("more", [{"refit": True}, {"confirm": True}, {"fine_tune": 3}, {"prefer": "small"}])
def test_export_that_was_made_otherwise_is_not_taken_for_it(
    study: LoadedStudy, folder: Path, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.exporting.earlier.can_race", lambda *_: True)
    assert earlier_export(folder, study, asked(study, **more)) is None


def test_export_of_another_study_of_this_name_is_not_taken_for_it(study: LoadedStudy, folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**summary, "study_uid": "0ther0ne"}))
    assert earlier_export(folder, study, asked(study)) is None


def test_export_of_an_older_version_that_names_no_study_is_found(study: LoadedStudy, folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    del summary["study_uid"]
    (folder / "summary.json").write_text(json.dumps(summary))
    assert earlier_export(folder, study, asked(study)) is not None


def test_export_without_a_race_is_the_one_where_none_can_be_had(
    study: LoadedStudy, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.exporting.earlier.can_race", lambda *_: False)
    assert earlier_export(folder, study, asked(study, confirm=True)) is not None


def test_final_training_that_was_cut_short_is_made_whole_without_a_time(
    make_worker: Callable[..., Worker], export_of: Callable[..., Path]
) -> None:
    length = 3 * 2 * (64 * 16 + 16 * 10) * 64 * 16
    about = {"epochs": 8, "length": length, "final": 2 * length, "final_epochs": 5.0, "training_images": 200}
    worker = make_worker("small", **about)
    work(worker, lambda: 1)
    worker.study.want(1)
    made = completed(export_of(worker.study))
    summary = json.loads((made / "summary.json").read_text())
    whole = {**summary, "refit": True, "epochs": 8, "unit": "eighth", "no_race": "one trial"}
    (made / "summary.json").write_text(json.dumps(whole))
    assert earlier_export(made, worker.study, asked(worker.study)) is not None
    worker.study.plan_final(length)
    assert earlier_export(made, worker.study, asked(worker.study)) is None
    assert earlier_export(made, worker.study, asked(worker.study, timeout=600)) is not None


def test_export_that_a_fine_tuning_did_not_better_is_the_one_that_is_asked_for(
    study: LoadedStudy, folder: Path
) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**summary, "backbone": {"fine_tuned_in_vain": 3}}))
    assert earlier_export(folder, study, asked(study, fine_tune=3)) is not None
    assert earlier_export(folder, study, asked(study, fine_tune=4)) is None


def test_export_of_a_races_winner_is_as_long_as_that_trial_asks_not_the_searchs_best(
    study: LoadedStudy, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head that is fitted exactly has one epoch: the same command exported again, and scored, at every call."""
    best, winner = study.ranked()
    monkeypatch.setattr("search.exporting.earlier.ranked_for_race", lambda *_: [best, winner])
    monkeypatch.setitem(best.user_attrs, "planned_epochs", 1)
    raced = [{"trial": trial.number, "search_value": trial.value} for trial in (best, winner)]
    about = {"trial": winner.number, "value": winner.value, "params": winner.user_attrs["params"]}
    summary = json.loads((folder / "summary.json").read_text())
    made = {
        **summary,
        **about,
        "refit": True,
        "epochs": study.config.epochs,
        "confirm": {"configurations": raced},
    }
    (folder / "summary.json").write_text(json.dumps(made))
    monkeypatch.setattr("search.exporting.earlier.candidates", lambda *_: [best, winner])
    assert earlier_export(folder, study, asked(study, refit=True, confirm=True)) is not None
    assert earlier_export(folder, study, asked(study, refit=True, confirm=True, refit_epochs=9)) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"trial": 77},
        {"value": 0.123},
        {"data_fingerprint": "other"},
        {"study": "other"},
        {"without": [7]},
        {"refit": True},
    ],
)
def test_export_of_something_else_is_not_taken_for_it(
    study: LoadedStudy, folder: Path, changed: dict[str, Any]
) -> None:
    file = folder / "summary.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))
    assert earlier_export(folder, study, asked(study)) is None


@pytest.mark.parametrize("name", FILES)
def test_export_that_lacks_a_file_is_made_again(study: LoadedStudy, folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert earlier_export(folder, study, asked(study)) is None


def test_export_whose_model_was_cut_off_is_made_again(study: LoadedStudy, folder: Path) -> None:
    (folder / "model.keras").write_bytes(b"PK")
    assert earlier_export(folder, study, asked(study)) is None


def test_finished_study_whose_command_is_run_again_does_nothing(
    study: LoadedStudy, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = (times_scored(study.optuna), study.finished())
    monkeypatch.setattr("search.workflows.run.search", lambda *_, **__: pytest.fail("it searches"))
    monkeypatch.setattr("search.workflows.run.make_export", lambda *_: pytest.fail("it exports"))
    result = search_and_export(asked(study, out=folder))
    assert result.export is not None
    assert (times_scored(study.optuna), study.finished()) == before
    assert "study small has its 2 trials: nothing was searched" in caplog.text
    assert "the test images were not scored again" in caplog.text
    assert f"search.export --study small --out {folder}" in caplog.text


def test_export_that_another_command_of_the_search_has_made_is_not_made_again(
    study: LoadedStudy,
    folder: Path,
    fast_server: ForkServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = times_scored(study.optuna)
    monkeypatch.setattr("search.workflows.run.ForkServer", lambda backend: nullcontext(fast_server))
    monkeypatch.setattr("search.workflows.run.search", lambda *_, **__: None)
    monkeypatch.setattr("search.workflows.export.build_export", lambda *_, **__: pytest.fail("it exports"))
    study.want(3)  # As it was when both began.
    try:
        result = search_and_export(asked(study, out=folder))
    finally:
        study.want(2)
    assert result.export is not None
    assert result.export.folder == folder
    assert times_scored(study.optuna) == before
    assert "the test images were not scored again" in caplog.text
    assert "nothing was searched" not in caplog.text

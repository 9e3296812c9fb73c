import dataclasses
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from search.execution.worker import Worker
from search.execution.worker_loop import work
from search.process.fork_server import ForkServer
from search.study.study import LoadedStudy
from search.web.attachments import artifacts_of
from search.web.notes import read_note, write_note
from search.web.study_page import EXPORTED, OURS, feed_best, feed_export, feed_study, study_note


def note_of(study: LoadedStudy) -> str:
    return read_note(study.storage, study.study_id)


class Exported(NamedTuple):
    """A study and the folder of its export."""

    study: LoadedStudy
    folder: Path

    def feed(self) -> None:
        summary = {"words": ["It gets nine of ten right."]}
        feed_export(self.study, self.folder, summary, "macro avg 0.9")


def test_new_study_leaves_note_and_samples(make_worker, fast_server: ForkServer) -> None:
    study: LoadedStudy = make_worker(folds=0).study
    feed_study(study, fast_server)
    note = note_of(study)
    assert "Searches space small\\_space for the best accuracy on validation images" in note
    assert "Best so far" not in note
    assert "| 3 | " in note  # A class of the digits, with its counts.
    assert f"python -m search.worker --study small --studies {study.paths.root}" in note
    assert f"![One training image of each class](/artifacts/{study.study_id}/" in note
    assert set(artifacts_of(study)) == {"samples.png"}


def test_study_that_is_opened_again_keeps_its_samples(make_worker, fast_server: ForkServer) -> None:
    study: LoadedStudy = make_worker().study
    feed_study(study, fast_server)
    first = note_of(study), artifacts_of(study)
    feed_study(study, fast_server)
    assert (note_of(study), artifacts_of(study)) == first


def test_best_trial_is_named_with_what_it_was_sampled_from(make_worker) -> None:
    worker: Worker = make_worker(epochs=1)
    work(worker, lambda: 2)
    best, note = worker.study.ranked()[0], note_of(worker.study)
    assert f"**Best so far: trial {best.number}, validation accuracy {best.value:.4f}**" in note
    for name in best.params:
        assert f"| {name} | " in note


def test_trials_that_are_worth_their_cost_are_listed(make_worker) -> None:
    worker: Worker = make_worker(epochs=1)
    for width in (16, 4):
        worker.study.optuna.enqueue_trial({"width": width, "rate": 0.05, "dropout": 0.1})
    work(worker, lambda: 2)
    rows = note_of(worker.study).partition("## Accuracy beside cost")[2].partition("##")[0].splitlines()[-3:]
    assert [row.split(" | ")[0] for row in rows if row] == ["| 1", "| 0 (the default)"]
    assert " ± " in rows[0]
    assert "kFLOP" in rows[1]
    assert "0.01\N{NO-BREAK SPACE}ms" in rows[1]


def test_trial_that_is_not_the_best_changes_nothing(make_worker) -> None:
    worker: Worker = make_worker(epochs=1)
    for dropout in (0.1, 0.4):  # Of one size: neither is cheaper.
        worker.study.optuna.enqueue_trial({"width": 16, "rate": 0.05, "dropout": dropout})
    work(worker, lambda: 2)
    other, before = worker.study.ranked()[1], note_of(worker.study)
    write_note(worker.study.storage, worker.study.study_id, f"{before} changed")
    feed_best(worker.study, other.number)
    assert note_of(worker.study) == f"{before} changed"


def test_note_that_a_person_has_made_theirs_stays(make_worker, fast_server: ForkServer) -> None:
    study: LoadedStudy = make_worker().study
    feed_study(study, fast_server)
    theirs = note_of(study).replace(OURS, "mine now")
    write_note(study.storage, study.study_id, theirs)
    feed_study(study, fast_server)
    assert note_of(study) == theirs


@pytest.fixture
def exported(make_worker, tmp_path: Path) -> Exported:
    """A study, and an export's files of what is shown of it."""
    folder = tmp_path / "exports"
    folder.mkdir()
    for name in EXPORTED:
        (folder / name).write_bytes(name.encode())
    return Exported(make_worker().study, folder)


def test_export_is_shown_with_its_matrix_report_and_mistakes(exported: Exported) -> None:
    study = exported.study
    exported.feed()
    note, left = note_of(study), artifacts_of(study)
    assert {"confusion_matrix.png", "mistakes.png", "classification_report.txt"} <= left.keys()
    for name in ("confusion_matrix.png", "mistakes.png"):
        assert f"(/artifacts/{study.study_id}/{left[name]})" in note
        assert study.pictures.open_reader(left[name]).read() == name.encode()
    assert "    macro avg 0.9" in note
    assert "It gets nine of ten right." in note


def test_export_made_twice_is_shown_once(exported: Exported) -> None:
    exported.feed()
    before = artifacts_of(exported.study)
    exported.feed()
    assert artifacts_of(exported.study) == before
    assert note_of(exported.study).count("## The export") == 1


def test_export_whose_files_are_gone_is_told_of(
    exported: Exported, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(exported.folder)
    exported.feed()
    assert "the dashboard does not show the export" in capsys.readouterr().out


def test_note_names_a_database_without_its_password(make_worker) -> None:
    study: LoadedStudy = make_worker().study
    elsewhere = dataclasses.replace(study, url="postgresql+psycopg://me:secret@db.example.org/search")
    note = study_note(elsewhere)
    assert "me:***@db.example.org/search" in note
    assert "secret" not in note

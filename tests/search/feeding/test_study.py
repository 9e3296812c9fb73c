import dataclasses
from pathlib import Path

import pytest

from search.child import ForkServer
from search.export import Export
from search.feeding.notes import read_note, write_note
from search.feeding.pictures import artifacts_of
from search.feeding.study import OURS, feed_best, feed_export, feed_study, study_note
from search.loop import work
from search.study import LoadedStudy
from search.trial import Worker


def note_of(study: LoadedStudy) -> str:
    return read_note(study.storage, study.study_id)


def test_new_study_leaves_note_and_samples(make_worker, fork_server: ForkServer) -> None:
    study: LoadedStudy = make_worker(folds=0).study
    feed_study(study, fork_server)
    note = note_of(study)
    assert "Searches space small\\_space for the best accuracy on validation images" in note
    assert "Best so far" not in note
    assert "| 3 | " in note  # A class of the digits, with its counts.
    assert f"python -m search.worker --study small --studies {study.paths.root}" in note
    assert f"![One training image of each class](/artifacts/{study.study_id}/" in note
    assert set(artifacts_of(study)) == {"samples.png"}


def test_study_that_is_opened_again_keeps_its_samples(make_worker, fork_server: ForkServer) -> None:
    study: LoadedStudy = make_worker().study
    feed_study(study, fork_server)
    first = note_of(study), artifacts_of(study)
    feed_study(study, fork_server)
    assert (note_of(study), artifacts_of(study)) == first


def test_best_trial_is_named_with_what_it_was_sampled_from(make_worker) -> None:
    worker: Worker = make_worker(epochs=1)
    work(worker, lambda: 2)
    best, note = worker.study.ranked()[0], note_of(worker.study)
    assert f"**Best so far: trial {best.number}, validation accuracy {best.value:.4f}**" in note
    for name in best.params:
        assert f"| {name} | " in note


def test_trial_that_is_not_the_best_changes_nothing(make_worker) -> None:
    worker: Worker = make_worker(epochs=1)
    work(worker, lambda: 2)
    other, before = worker.study.ranked()[1], note_of(worker.study)
    write_note(worker.study.storage, worker.study.study_id, f"{before} changed")
    feed_best(worker.study, other.number)
    assert note_of(worker.study) == f"{before} changed"


def test_note_that_a_person_has_made_theirs_stays(make_worker, fork_server: ForkServer) -> None:
    study: LoadedStudy = make_worker().study
    feed_study(study, fork_server)
    theirs = note_of(study).replace(OURS, "mine now")
    write_note(study.storage, study.study_id, theirs)
    feed_study(study, fork_server)
    assert note_of(study) == theirs


def test_export_is_shown_with_its_matrix_report_and_mistakes(searched: LoadedStudy, made: Export) -> None:
    feed_export(searched, made.folder, made.summary, made.report)
    note, left = note_of(searched), artifacts_of(searched)
    assert {"confusion_matrix.png", "mistakes.png", "classification_report.txt"} <= left.keys()
    for name in ("confusion_matrix.png", "mistakes.png"):
        assert f"(/artifacts/{searched.study_id}/{left[name]})" in note
        assert searched.pictures.open_reader(left[name]).read() == (made.folder / name).read_bytes()
    assert "macro avg" in note
    assert made.summary["words"][0].split(";")[0] in note


def test_export_made_twice_is_shown_once(searched: LoadedStudy, made: Export) -> None:
    feed_export(searched, made.folder, made.summary, made.report)
    before = artifacts_of(searched)
    feed_export(searched, made.folder, made.summary, made.report)
    assert artifacts_of(searched) == before
    assert note_of(searched).count("## The export") == 1


def test_export_whose_files_are_gone_is_told_of(
    searched: LoadedStudy, made: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    feed_export(searched, tmp_path, made.summary, made.report)
    assert "the dashboard does not show the export" in capsys.readouterr().out


def test_note_names_a_database_without_its_password(searched: LoadedStudy) -> None:
    elsewhere = dataclasses.replace(searched, url="postgresql+psycopg://me:secret@db.example.org/search")
    note = study_note(elsewhere)
    assert "me:***@db.example.org/search" in note
    assert "secret" not in note

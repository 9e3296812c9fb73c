"""A study removed: all that is its own goes, nothing else does, and nobody is at work on it."""

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import pytest
from optuna.artifacts import upload_artifact
from sqlalchemy.exc import OperationalError

from search.cli.app import main
from search.config.settings import ExportOptions
from search.config.study_config import StudyConfig
from search.delete import app
from search.errors import InputError, StudyStopped
from search.execution.stop_requests import Stop
from search.execution.worker import Worker
from search.execution.worker_loop import work
from search.exporting import builder
from search.exporting.request import ExportRequest
from search.study.deletion import Contents, contents_of, delete_study
from search.study.finding import create_study, find_study
from search.study.fold_results import FOLDS, PREDICTIONS
from search.study.out_of_fold import predictions_artifact
from search.study.study import KEPT, MODEL, LoadedStudy
from search.web.dashboard import make_application
from storage.artifacts import CHECKPOINT, upload
from storage.claims import Claim, Claims
from storage.connect import open_storage
from storage.database import Database
from storage.deletion import DeletionJournal, journals_of, leave_marker, remove
from storage.ledger import record_scoring, times_scored
from storage.liveness import HEARTBEAT
from storage.occupancy import EXPORTS, ExportAtWork
from storage.timeouts import Timeouts
from storage.url import identity

ROOT = Path(__file__).parents[3]
Make = Callable[..., LoadedStudy]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def make(url: str, tmp_path: Path) -> Make:
    """Make a study with two finished trials and their files, in every kind of database; its images are nowhere."""

    def made(name: str = "s", storage: str = url, **settings: object) -> LoadedStudy:
        size = {"height": 8, "width": 8, "channels": 1, "classes": ("a", "b")}
        config = StudyConfig(name, "/photos", "f", **{**size, **settings})  # type: ignore[arg-type]
        root = tmp_path / "studies"
        root.mkdir(exist_ok=True)
        study = create_study(config, tmp_path / "cache", storage, root, trials=5)
        assert study is not None
        for number in range(2):
            study.optuna.add_trial(
                optuna.trial.create_trial(value=0.5, intermediate_values={1: 0.5}, user_attrs={"token": "ab"})
            )
            for path in (study.paths.model(number, "ab"), study.paths.log(number)):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"x" * 500_000)
        return study

    return made


@pytest.fixture
def deleting(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command: its exit code, and what it printed and complained of."""

    def run(study: LoadedStudy, *arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(app, ["--study", study.config.study, *where(study), *arguments])
        printed = capsys.readouterr()
        return int(str(end.value.code)), printed.out, printed.err

    return run


def where(study: LoadedStudy) -> tuple[str, ...]:
    return "--storage", study.url, "--studies", str(study.paths.root)


def gone(study: LoadedStudy) -> bool:
    return find_study(study.config.study, study.url, study.paths.root) is None


def rows(study: LoadedStudy) -> int:
    """All rows of all tables, but for Optuna's own two of its version."""
    import sqlalchemy

    schema = sqlalchemy.MetaData()
    with study.storage.connect() as connection:
        schema.reflect(connection)
        tables = [table for name, table in schema.tables.items() if "version" not in name]
        counts = [
            connection.execute(sqlalchemy.select(sqlalchemy.func.count()).select_from(one)).scalar_one()
            for one in tables
        ]
    return sum(counts)


def test_deletion_shows_what_goes_and_leaves_nothing_of_it(make: Make, deleting: Run) -> None:
    study = make()
    record_scoring(study.optuna, 0, "export")
    code, printed, error = deleting(study, "--yes")
    assert (code, error, rows(study)) == (0, "", 0)
    assert printed.splitlines() == [
        "goes: study s with all its trials (2)",
        f"goes: {study.paths.folder}: models (2), checkpoints (0), logs and pictures, 2.0 MB",
        "goes: the count of scorings of its test images (1)",
        "stays: exports and prepared images",
        "study s is deleted",
    ]
    assert not study.paths.folder.exists()
    assert not list(study.paths.root.glob(".deleting*"))


@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
def test_deletion_opens_the_database_once(make: Make, deleting: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    study = make()
    opened: list[str] = []

    def counting(url: str, *more: Any, **named: Any) -> Database:
        opened.append(url)
        return open_storage(url, *more, **named)

    monkeypatch.setattr("search.study.finding.open_storage", counting)
    assert deleting(study, "--yes")[0] == 0
    assert opened == [study.url]


def test_deletion_leaves_other_studies_alone(make: Make) -> None:
    study, other = make("s"), make("s.ab")
    before = rows(study)
    delete_study("s", storage=study.url, root=study.paths.root)
    assert rows(other) == before / 2
    assert len(list(other.paths.folder.rglob("*.keras"))) == 2
    assert not gone(other)


def test_deletion_without_a_terminal_wants_yes(make: Make, deleting: Run, monkeypatch) -> None:
    study = make()
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    code, printed, error = deleting(study)
    assert (code, printed, error.count("\n")) == (2, "", 1)
    assert "pass --yes" in error
    assert study.paths.model(0, "ab").exists()


@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("answer", "code", "there"), [("n\n", 1, True), ("y\n", 0, False)])
def test_deletion_on_a_terminal_asks(make: Make, answer: str, code: int, there: bool) -> None:
    study = make()
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "search.delete", "--study", "s", *where(study)]
    with subprocess.Popen(command, cwd=ROOT, stdin=theirs, stdout=subprocess.PIPE, text=True) as process:
        os.write(ours, answer.encode())
        printed = process.communicate(timeout=120)[0]
    assert process.returncode == code
    assert "Delete it? [y/N]" in printed
    assert study.paths.folder.exists() == there


def test_deletion_of_no_such_study_is_refused(make: Make) -> None:
    study = make()
    with pytest.raises(InputError, match=r"^--study t: no such study"):
        delete_study("t", storage=study.url, root=study.paths.root)


def claim_of(study: LoadedStudy) -> Claim:
    claim = Claims(study.storage, study.study_id, "here-1").claim(5)
    assert claim is not None
    return claim


def test_deletion_is_refused_while_a_worker_works(make: Make, deleting: Run) -> None:
    study = make()
    claim_of(study)
    code, printed, error = deleting(study, "--yes")
    assert (code, printed, error.count("\n")) == (2, "", 1)
    assert error.startswith("error: --study s: worked on by here-1 (trial 2, seen ")
    assert study.paths.model(0, "ab").exists()
    assert not gone(study)


def test_deletion_does_not_wait_for_a_worker_that_is_surely_dead(make: Make) -> None:
    study = make()
    claim = claim_of(study)
    life = study.storage.get_trial(claim.trial_id).system_attrs[HEARTBEAT]
    with subprocess.Popen(["true"]) as process:
        process.wait()
    study.storage.set_trial_system_attr(claim.trial_id, HEARTBEAT, {**life, "pid": process.pid})
    assert delete_study("s", storage=study.url, root=study.paths.root)
    assert gone(study)


def test_deletion_leaves_files_of_the_same_name_in_another_database(make: Make, tmp_path: Path) -> None:
    study = make()
    other = make(storage=f"sqlite:///{tmp_path / 'other.db'}")
    assert contents_of(study).shared
    delete_study("s", storage=study.url, root=study.paths.root)
    assert not study.paths.model(0, "ab").exists()
    assert other.paths.model(0, "ab").exists()
    assert other.paths.log(0).exists()
    delete_study("s", storage=other.url, root=other.paths.root)
    assert not other.paths.folder.exists()


def test_deletion_follows_no_links(make: Make, tmp_path: Path) -> None:
    study = make()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / study.paths.model(7, "ab").name).write_text("theirs")
    (study.paths.folder / "checkpoints").symlink_to(outside)
    study.paths.log(0).with_name("notes.txt").symlink_to(outside)
    delete_study("s", storage=study.url, root=study.paths.root)
    assert not study.paths.folder.exists()
    assert len(list(outside.iterdir())) == 1


def test_deletion_leaves_an_export_that_lies_in_the_studys_folder(make: Make) -> None:
    """It was removed with the folder, under the line "stays: exports"."""
    study = make()
    export = study.paths.folder / "export" / "model.keras"
    export.parent.mkdir()
    export.write_bytes(b"x" * 9_000_000)
    assert contents_of(study).size < 9_000_000
    delete_study("s", storage=study.url, root=study.paths.root)
    assert gone(study)
    assert list(study.paths.folder.rglob("*")) == [export.parent, export]


@pytest.mark.parametrize("text", ["", "{", "null", "{}"])
def test_what_a_damaged_marker_stands_for_stays(make: Make, deleting: Run, text: str) -> None:
    study = make()
    marker = replace(study.paths, uid="0abc").marker
    marker.write_text(text)
    code, printed, error = deleting(study, "--yes")
    assert (code, error) == (0, "")
    assert f"all of this name that is of an unknown database ({marker} is damaged)" in printed
    assert marker.exists()
    assert not study.paths.model(0, "ab").exists()


def test_damaged_journal_stops_no_deletion_and_is_told_of(make: Make, deleting: Run) -> None:
    study = make()
    journal = study.paths.root / ".deleting-s.0abc.json"
    journal.write_text("")
    code, printed, _ = deleting(study, "--yes")
    assert code == 0
    assert f"all of this name that is of an unknown database ({journal} is damaged)" in printed


def test_damaged_journal_goes_with_the_files_that_a_marker_tells_of(make: Make, deleting: Run) -> None:
    study = make()
    left = replace(study.paths, uid="0abc")
    leave_marker(left, identity(study.url, study.paths.root))
    journal = DeletionJournal(left).journal
    journal.write_text("")
    code, printed, _ = deleting(study, "--yes")
    assert (code, "unknown database" in printed, journal.exists()) == (0, False, False)
    assert not study.paths.folder.exists()


def test_what_a_killed_writer_and_a_desktop_left_does_not_keep_the_folder(make: Make) -> None:
    study = make()
    for name in (".1234abcd..study-0abc.json", ".DS_Store"):
        (study.paths.folder / name).write_text("")
    delete_study("s", storage=study.url, root=study.paths.root)
    assert not study.paths.folder.exists()


def test_deletion_of_a_folder_that_is_a_link_removes_the_link_alone(make: Make, tmp_path: Path) -> None:
    study = make()
    study.paths.folder.rename(tmp_path / "elsewhere")
    study.paths.folder.symlink_to(tmp_path / "elsewhere")
    delete_study("s", storage=study.url, root=study.paths.root)
    assert not study.paths.folder.is_symlink()
    assert (tmp_path / "elsewhere" / "models").is_dir()


def test_deletion_takes_the_artifacts_and_no_others(make: Make, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    study = make(artifacts=str(store))
    file = study.paths.log(0)
    for name in ("model", "kept", "checkpoint", "backbone-of-all", "of-another"):
        upload(study.artifacts, name, file)
    trial = study.optuna.trials[0]._trial_id
    study.optuna.set_user_attr(KEPT, ["kept"])
    upload_artifact(artifact_store=study.artifacts, file_path=str(file), study_or_trial=study.optuna)
    waiting = study.optuna.ask()
    study.storage.set_trial_user_attr(waiting._trial_id, MODEL, "model")
    study.storage.set_trial_system_attr(waiting._trial_id, CHECKPOINT, {"artifact": "checkpoint", "epoch": 1})
    assert trial is not None
    in_folds = [{"value": 0.5, PREDICTIONS: token} for token in ("ab", "cd")]
    study.storage.set_trial_user_attr(waiting._trial_id, FOLDS, in_folds)
    for fold, token in enumerate(("ab", "cd")):
        path = study.paths.predictions(waiting.number, token, fold)
        upload(study.artifacts, predictions_artifact("s", path), file)
    assert contents_of(study).artifacts == 6
    delete_study("s", storage=study.url, root=study.paths.root)
    assert sorted(path.name for path in store.iterdir()) == ["backbone-of-all", "of-another"]


def test_deletion_leaves_the_predictions_of_the_same_name_in_another_database(
    make: Make, tmp_path: Path
) -> None:
    ours, theirs = make(), make(storage=f"sqlite:///{tmp_path}/other.db")
    files = [study.paths.predictions(0, "ab", 0) for study in (ours, theirs)]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"x")
    delete_study("s", storage=ours.url, root=ours.paths.root)
    assert [file.exists() for file in files] == [False, True]


def test_deletion_that_was_killed_can_be_repeated(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    study = make()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("search.study.deletion.remove", die)
        with pytest.raises(KeyboardInterrupt):
            delete_study("s", storage=study.url, root=study.paths.root)
    assert gone(study)
    assert len(journals_of(study.paths.root, "s")) == 1
    assert study.paths.model(0, "ab").exists()
    assert delete_study("s", storage=study.url, root=study.paths.root)
    assert not study.paths.folder.exists()
    assert journals_of(study.paths.root, "s") == []


def test_what_a_killed_deletion_left_is_not_taken_from_a_new_study(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make()
    with monkeypatch.context() as patch:
        patch.setattr("search.study.deletion.remove", lambda *_: None)
        delete_study("s", storage=study.url, root=study.paths.root)
    new = make()
    (left,) = journals_of(study.paths.root, "s")
    remove(study.paths.folder, [left], [None])
    assert not study.paths.model(0, "ab").exists()
    assert new.paths.model(0, "ab").exists()


@pytest.mark.parametrize("when", ["before", "between", "anew"])
def test_worker_whose_study_is_deleted_ends_in_one_line(make: Make, url: str, when: str) -> None:
    study = make()
    claims = Claims(study.storage, study.study_id, "here-1")
    no_child = SimpleNamespace(revive=lambda: True)
    worker = Worker(study, no_child, claims, Stop())  # type: ignore[arg-type]

    def wanted() -> int:
        if when == "between" and not gone(study):
            delete_study("s", storage=url, root=study.paths.root)
        return 5

    if when != "between":
        delete_study("s", storage=url, root=study.paths.root)
    new = make() if when == "anew" else None  # In SQLite it has the key of the one that was deleted.
    with pytest.raises(StudyStopped, match=r"^study s is not in the database any more: .*$"):
        work(worker, wanted)
    assert new is None or len(new.optuna.trials) == 2


def test_deletion_that_the_database_refuses_leaves_no_journal(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make()

    def refuse(*_: object) -> None:
        raise OperationalError("DELETE", {}, Exception("database is locked"))

    monkeypatch.setattr("search.study.deletion.delete_from_database", refuse)
    with pytest.raises(InputError, match=r"^--storage: the database did not answer .*locked.*; try again$"):
        delete_study("s", storage=study.url, root=study.paths.root)
    assert not gone(study)
    assert journals_of(study.paths.root, "s") == []


@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("named", [True, False], ids=["named", "of an older version"])
def test_journal_of_a_living_study_is_finished_from_no_database(
    make: Make, url: str, tmp_path: Path, named: bool
) -> None:
    living = make(storage=f"sqlite:///{tmp_path / 'studies' / 'search.db'}")
    remains = DeletionJournal(living.paths, database=identity(living.url, living.paths.root) if named else "")
    remains.write()
    with pytest.raises(InputError, match=r"^--study s: no such study in the database given"):
        delete_study("s", storage=url, root=living.paths.root)
    asked: list[Contents] = []
    assert not delete_study("s", root=living.paths.root, agreed=lambda one: bool(asked.append(one)))
    assert (asked[0].unfinished, asked[0].trials) == (0, 2)
    assert living.paths.model(0, "ab").exists()


def test_deletion_that_was_cut_short_asks_before_it_is_finished(
    make: Make, deleting: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make()
    with monkeypatch.context() as patch:
        patch.setattr("search.study.deletion.remove", lambda *_: None)
        delete_study("s", storage=study.url, root=study.paths.root)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    assert deleting(study)[0] == 2
    assert study.paths.model(0, "ab").exists()
    code, printed, _ = deleting(study, "--yes")
    assert (code, printed.splitlines()[0]) == (0, "goes: deletions of it that were cut short (1)")
    assert not study.paths.folder.exists()


def test_deletion_clears_what_a_study_left_that_was_deleted_by_optuna(make: Make, deleting: Run) -> None:
    study = make()
    optuna.delete_study(study_name="s", storage=study.storage)
    code, printed, error = deleting(study, "--yes")
    assert (code, error) == (0, "")
    assert printed.splitlines()[:2] == [
        "goes: studies of this name that were deleted by other means, which left files (1)",
        f"goes: {study.paths.folder}: models (2), checkpoints (0), logs and pictures, 2.0 MB",
    ]
    assert list(study.paths.root.iterdir()) == []
    assert deleting(study, "--yes")[0] == 2


def test_deletion_clears_the_orphans_of_the_same_name_too(make: Make) -> None:
    old = make()
    optuna.delete_study(study_name="s", storage=old.storage)
    new = make()
    assert contents_of(new).shared
    asked: list[Contents] = []
    delete_study("s", storage=new.url, root=new.paths.root, agreed=lambda one: not asked.append(one))
    assert (asked[0].orphans, asked[0].models, asked[0].shared) == (1, 4, False)
    assert not new.paths.folder.exists()


def test_orphans_of_another_database_are_left_to_it(make: Make, deleting: Run, tmp_path: Path) -> None:
    study = make()
    other = make(storage=f"sqlite:///{tmp_path / 'other.db'}")
    optuna.delete_study(study_name="s", storage=study.storage)
    code, printed, _ = deleting(study, "--yes")
    stays = printed.splitlines()[-2]
    assert code == 0
    assert stays.startswith("stays: exports and prepared images, and what another study of this name has in ")
    assert "other.db on " in stays
    assert not study.paths.model(0, "ab").exists()
    assert other.paths.model(0, "ab").exists()
    assert other.paths.log(0).exists()


def test_files_that_no_database_is_named_for_are_left(make: Make) -> None:
    study = make()
    study.paths.marker.unlink()  # As an older version left it.
    optuna.delete_study(study_name="s", storage=study.storage)
    with pytest.raises(InputError, match=r"^--study s: no such study"):
        delete_study("s", storage=study.url, root=study.paths.root)
    assert study.paths.model(0, "ab").exists()


def at_work(study: LoadedStudy) -> ExportAtWork:
    return ExportAtWork(study.storage, study.study_id, "here-2", study.still_there)


def test_deletion_is_refused_during_an_export(make: Make, deleting: Run) -> None:
    study = make()
    with at_work(study), at_work(study):
        code, printed, error = deleting(study, "--yes")
    assert (code, printed, error.count("\n")) == (2, "", 1)
    assert error.count("here-2 (an export that began ") == 2
    assert delete_study("s", storage=study.url, root=study.paths.root)


def test_deletion_does_not_wait_for_an_export_whose_process_is_gone(make: Make) -> None:
    study = make()
    with at_work(study):
        lives = study.storage.get_study_system_attrs(study.study_id)[EXPORTS]
        dead = {token: {**life, "pid": 2**22 + 1} for token, life in lives.items()}
        study.storage.set_study_system_attr(study.study_id, EXPORTS, dead)
        assert delete_study("s", storage=study.url, root=study.paths.root)


def test_export_gives_signs_of_life(make: Make) -> None:
    study = make()
    study.storage.use_timeouts(Timeouts(grace=0.5))
    with at_work(study):
        before = study.storage.get_study_system_attrs(study.study_id)[EXPORTS]
        time.sleep(0.4)
        after = study.storage.get_study_system_attrs(study.study_id)[EXPORTS]
    assert before.keys() == after.keys()
    assert [one["time"] for one in before.values()] < [one["time"] for one in after.values()]
    assert study.storage.get_study_system_attrs(study.study_id)[EXPORTS] == {}


@pytest.mark.parametrize("anew", [False, True])
def test_export_whose_study_is_deleted_ends_in_one_line(
    make: Make, monkeypatch: pytest.MonkeyPatch, anew: bool, tmp_path: Path
) -> None:
    study = make()
    trial = study.optuna.trials[0]
    request = ExportRequest(study, trial, False, ExportOptions.given("s"), (), (), print)

    def build(*_: object) -> None:
        optuna.delete_study(study_name="s", storage=study.storage)
        if anew:  # In SQLite it has the key of the one that was deleted.
            made.append(make())
        builder._record_scoring(request)

    made: list[LoadedStudy] = []
    monkeypatch.setattr(builder, "_build", build)
    with pytest.raises(
        StudyStopped, match=r"^study s is not in the database any more: .*; nothing exported$"
    ):
        builder.build_export(tmp_path / "out", request, None, confirm=False)  # type: ignore[arg-type]
    assert [times_scored(one.optuna) for one in made] == [0] * anew


def test_dashboard_does_not_delete_a_study_that_is_worked_on(make: Make) -> None:
    study = make()
    guard = make_application(study, frozenset({"localhost"}), allow_changes=True)

    def delete() -> tuple[int, str]:
        answers: list[str] = []
        environ: dict[str, object] = {
            "PATH_INFO": f"/api/studies/{study.study_id}", "REQUEST_METHOD": "DELETE", "wsgi.input": io.BytesIO(),
            "HTTP_HOST": "localhost",
        }  # fmt: skip
        setup_testing_defaults(environ)
        body = b"".join(guard(environ, lambda status, *_: answers.append(status)))
        return int(answers[0][:3]), body.decode()

    claim_of(study)
    with at_work(study):
        code, body = delete()
        assert (code, "here-1 (trial 2, " in body, "here-2 (an export " in body) == (409, True, True)
    for trial in study.optuna.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        study.storage.set_trial_state_values(trial._trial_id, optuna.trial.TrialState.FAIL)
    assert delete()[0] == 204
    assert gone(study)

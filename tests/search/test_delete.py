import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from search.command import main
from search.delete import Doomed, app, delete_study, what_goes
from search.errors import InputError, StudyStopped
from search.feeding.study import feed_study
from search.loop import work
from search.study import LoadedStudy, find_study
from search.trial import Worker
from storage.claims import Claims

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def finished(make_worker, tmp_path: Path) -> Worker:
    """A study of one finished trial, whose checkpoints, weights and pictures others can reach, too."""
    (tmp_path / "shared").mkdir()
    worker: Worker = make_worker(epochs=1, artifacts=str(tmp_path / "shared"))
    feed_study(worker.study, worker.server)
    work(worker, lambda: 1)
    return worker


def root_of(worker: Worker) -> Path:
    return worker.study.paths.root


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(worker: Worker, *arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(app, ["--study", "small", "--studies", str(root_of(worker)), *arguments])
        printed = capsys.readouterr()
        return int(str(end.value.code)), printed.out, printed.err

    return call


def test_study_goes_with_all_its_files(finished: Worker, tmp_path: Path) -> None:
    assert any((tmp_path / "shared").iterdir())
    assert delete_study("small", root=root_of(finished))
    assert find_study("small", None, root_of(finished)) is None
    assert not finished.study.paths.folder.exists()
    assert not list((tmp_path / "shared").iterdir())


def test_command_shows_what_goes_and_asks_nobody_where_nobody_is(finished: Worker, run: Run) -> None:
    code, out, err = run(finished)
    assert code == 2
    assert "1 trials of small (1 finished or pruned)" in out
    assert "say --yes" in err
    assert finished.study.paths.folder.exists()


def test_command_that_need_not_ask_removes(finished: Worker, run: Run) -> None:
    code, out, _ = run(finished, "--yes")
    assert (code, out.splitlines()[-1]) == (0, "study small is removed")
    assert run(finished, "--yes")[0] == 2


def test_disagreement_leaves_everything(finished: Worker) -> None:
    shown: list[Doomed] = []
    assert not delete_study("small", root=root_of(finished), agreed=lambda doomed: bool(shown.append(doomed)))
    assert (shown[0].trials, shown[0].finished) == (1, 1)
    assert shown[0].size > 0
    assert finished.study.finished()
    assert finished.study.paths.models(0)


def test_study_at_work_is_refused(finished: Worker) -> None:
    study = finished.study
    Claims(study.storage, study.study_id, "busy-1").claim(2)
    with pytest.raises(InputError, match="busy-1 work on it"):
        delete_study("small", root=root_of(finished))
    assert study.paths.models(0)


def test_interrupted_removal_is_repeated(finished: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("search.delete.shutil.rmtree", full)
    with pytest.raises(InputError, match=r"cannot be removed \(Permission denied\).* try again"):
        delete_study("small", root=root_of(finished))
    monkeypatch.undo()
    assert delete_study("small", root=root_of(finished))
    assert not finished.study.paths.folder.exists()


def test_files_of_a_study_of_this_name_in_another_database_stay(finished: Worker) -> None:
    paths = finished.study.paths
    theirs = paths.folder / "models" / "00000-0123456789abcdef01234567.keras"
    shutil.copy(paths.models(0)[0], theirs)
    assert delete_study("small", root=root_of(finished))
    assert theirs.exists()
    assert not paths.models(0)


def test_link_in_the_folder_is_not_followed(finished: Worker, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "photo.jpg").write_bytes(b"x")
    (finished.study.paths.folder / "link").symlink_to(tmp_path / "precious")
    assert what_goes(finished.study).files > 0
    assert delete_study("small", root=root_of(finished))
    assert (tmp_path / "precious" / "photo.jpg").exists()


def test_worker_whose_study_is_deleted_ends_in_one_line(make_worker) -> None:
    worker: Worker = make_worker()
    study: LoadedStudy = worker.study
    study.storage.delete_study(study.study_id)
    with pytest.raises(StudyStopped, match="study small has been deleted"):
        work(worker, lambda: study.wanted)

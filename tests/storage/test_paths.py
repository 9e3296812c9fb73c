"""Where the files of a study lie."""

from pathlib import Path

import pytest

from storage.paths import StudyPaths

PATHS = StudyPaths(Path("studies"), "flowers")
OLD, NEW = "0123456789abcdef", "fedcba9876543210"


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    return StudyPaths(tmp_path, "flowers")


def make(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_all_files_of_a_study_are_in_its_folder() -> None:
    made = [
        PATHS.checkpoint(3, OLD), PATHS.model(3, OLD), PATHS.log(3), PATHS.worker_log("host-1"),
        PATHS.refit_checkpoint(3, 5),
    ]  # fmt: skip
    assert len(set(made)) == len(made)
    assert all(path.is_relative_to(Path("studies") / "flowers") for path in made)


def test_folder_is_meant_from_where_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    named = StudyPaths(Path("studies"), "flowers")
    assert named.folder == Path("studies/flowers")
    monkeypatch.chdir("elsewhere")
    assert named.folder == tmp_path / "studies" / "flowers"


def test_trials_sort_by_number() -> None:
    folders = [PATHS.trial(number) for number in (0, 9, 10, 99_999)]
    assert folders == sorted(folders)


@pytest.mark.parametrize("file", [PATHS.checkpoint, PATHS.model])
def test_owners_of_a_trial_write_beside_each_other(file) -> None:
    assert file(3, OLD) != file(3, NEW)


@pytest.mark.parametrize(("one", "every"), [("checkpoint", "checkpoints"), ("model", "models")])
def test_files_of_a_trial_are_found_whoever_wrote_them(paths: StudyPaths, one: str, every: str) -> None:
    mine = [make(getattr(paths, one)(3, token)) for token in (OLD, NEW)]
    make(getattr(paths, one)(30, OLD))
    assert getattr(paths, every)(3) == mine


def test_checkpoint_half_written_is_not_found_to_go_on_from(paths: StudyPaths) -> None:
    whole = paths.checkpoint(3, OLD)
    make(whole.with_name(f".{whole.name}.77"))
    assert paths.checkpoints(3) == []


def test_study_without_files_has_none(paths: StudyPaths) -> None:
    assert (paths.checkpoints(0), paths.models(0), paths.trial_files()) == ([], [], [])


def test_every_file_of_a_trial_is_known_with_its_number_and_token(paths: StudyPaths) -> None:
    checkpoint, model = make(paths.checkpoint(123_456, OLD)), make(paths.model(2, NEW))
    assert paths.trial_files() == [(checkpoint, 123_456, OLD), (model, 2, NEW)]


def test_what_a_killed_writer_left_is_known_too(paths: StudyPaths) -> None:
    whole = paths.checkpoint(3, OLD)
    left = make(whole.with_name(f".{whole.name}.77"))
    assert paths.trial_files() == [(left, 3, OLD)]


def test_files_that_are_none_of_ours_are_left_out(paths: StudyPaths) -> None:
    make(paths.folder / "models" / "notes.txt")
    make(paths.folder / "checkpoints" / "best.npz")
    assert paths.trial_files() == []


def test_trainings_of_a_race_are_found_by_their_study_alone(tmp_path: Path) -> None:
    ours, theirs = StudyPaths(tmp_path, "s", "aaaa0000"), StudyPaths(tmp_path, "s", "bbbb0000")
    mine, other = ours.race_file(12, 345, "json"), theirs.race_file(12, 345, "json")
    left = mine.with_name(f".777.{mine.name}")  # by a writer that was killed
    mine.parent.mkdir(parents=True)
    for path in (mine, other, left):
        path.touch()

    assert mine != other
    assert sorted(ours.race_files()) == sorted([(left, 12), (mine, 12)])

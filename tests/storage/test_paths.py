"""Where the files of a study lie."""

from pathlib import Path

from storage.paths import StudyPaths

PATHS = StudyPaths(Path("studies"), "flowers")


def test_all_files_of_a_study_are_in_its_folder() -> None:
    made = [PATHS.checkpoint(3), PATHS.model(3), PATHS.log(3), PATHS.worker_log("host-1")]
    assert len(set(made)) == len(made)
    assert all(path.is_relative_to(Path("studies") / "flowers") for path in made)


def test_trials_sort_by_number() -> None:
    folders = [PATHS.trial(number) for number in (0, 9, 10, 99_999)]
    assert folders == sorted(folders)

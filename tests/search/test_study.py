"""A study in the database: created, found again, read; nothing is made by looking."""

import dataclasses
import shutil
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from search.config import StudyConfig
from search.data import Dataset
from search.errors import InputError
from search.study import LoadedStudy, create_study, find_study, load_study


@pytest.fixture
def config(digits: Dataset) -> StudyConfig:
    of_data = ("fingerprint", "classes", "height", "width", "channels")
    return StudyConfig("s", "digits", **{name: getattr(digits, name) for name in of_data})


@pytest.fixture
def study(config: StudyConfig, digits: Dataset, tmp_path: Path) -> LoadedStudy:
    return create_study(config, digits.folder, None, tmp_path / "studies")


def test_created_study_is_found_again_with_its_config(study: LoadedStudy, config: StudyConfig) -> None:
    found = load_study("s", None, study.paths.root)
    assert found.config == config
    assert found.study_id == study.study_id
    assert found.dataset().fingerprint == config.fingerprint


def test_several_studies_share_one_database(study: LoadedStudy, digits: Dataset) -> None:
    other = dataclasses.replace(study.config, study="other", epochs=3)
    create_study(other, digits.folder, None, study.paths.root)
    assert load_study("other", None, study.paths.root).config.epochs == 3
    assert load_study("s", None, study.paths.root).config.epochs == 12


def test_looking_for_a_study_creates_nothing(tmp_path: Path) -> None:
    assert find_study("s", None, tmp_path / "studies") is None
    assert find_study("s", f"sqlite:///{tmp_path / 'my.db'}", tmp_path / "studies") is None
    assert list(tmp_path.iterdir()) == []


def test_unknown_study_is_refused(study: LoadedStudy) -> None:
    assert find_study("t", None, study.paths.root) is None
    with pytest.raises(InputError, match=r"^--study t: no such study in "):
        load_study("t", None, study.paths.root)


def test_study_of_another_program_is_refused(study: LoadedStudy) -> None:
    optuna.create_study(study_name="theirs", storage=study.storage)
    with pytest.raises(InputError, match=r"^--study theirs: .* search\.run did not make"):
        load_study("theirs", None, study.paths.root)


@pytest.mark.parametrize("name", ["../s", "a/b", ""])
def test_name_that_is_a_path_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="--study"):
        find_study(name, None, tmp_path)


def test_database_given_by_url_is_used(config: StudyConfig, digits: Dataset, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    create_study(config, digits.folder, url, tmp_path / "studies")
    assert load_study("s", url, tmp_path / "studies").config == config
    assert not (tmp_path / "studies" / "search.db").exists()


def test_images_are_found_in_the_cache_where_their_folder_has_moved(
    config: StudyConfig, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    moved = tmp_path / "keras-image-search" / digits.fingerprint
    shutil.copytree(digits.folder, moved)
    study = create_study(config, tmp_path / "gone" / digits.fingerprint, None, tmp_path / "studies")
    assert study.dataset().folder == moved


def test_images_that_are_gone_are_named_with_the_way_to_prepare_them(
    config: StudyConfig, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    study = create_study(config, tmp_path / "gone" / digits.fingerprint, None, tmp_path / "studies")
    with pytest.raises(InputError, match=r"python -m search\.run --study s --data digits"):
        study.dataset()


@pytest.mark.parametrize(("metric", "best"), [("accuracy", [1, 3, 0]), ("loss", [0, 1, 3])])
def test_ranking_follows_the_metric_and_leaves_pruned_ones_out(
    config: StudyConfig, digits: Dataset, tmp_path: Path, metric: str, best: list[int]
) -> None:
    study = create_study(
        dataclasses.replace(config, metric=metric), digits.folder, None, tmp_path / "studies"
    )
    for value, state in (
        (0.5, "COMPLETE"),
        (0.7, "COMPLETE"),
        (0.9, "PRUNED"),
        (0.7, "COMPLETE"),
        (None, "FAIL"),
    ):
        study.optuna.add_trial(create_trial(state=TrialState[state], value=value))
    assert [trial.number for trial in study.ranked()] == best
    assert len(study.finished()) == 4

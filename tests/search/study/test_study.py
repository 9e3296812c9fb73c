"""A study that is open: its images, its ranking, how many trials it shall have."""

import dataclasses
import shutil
from pathlib import Path

import pytest
from optuna.trial import TrialState, create_trial

from search.config.study_config import StudyConfig
from search.data import Dataset
from search.errors import InputError
from search.study.finding import create_study, load_study
from search.study.study import WANTED, LoadedStudy


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


def test_wanted_trials_are_stored_and_a_later_word_reaches_all_who_have_it_open(
    open_digits, url: str
) -> None:
    opened = open_digits(trials=5)
    another = load_study("s", url, opened.paths.root)
    assert (opened.wanted, another.wanted) == (5, 5)
    another.want(8)
    assert opened.wanted == 8


def test_view_of_a_study_shows_what_is_stored_now(open_digits) -> None:
    opened = open_digits(trials=5)
    view = opened.view
    opened.want(6)
    opened.optuna.enqueue_trial({"width": 8})
    assert view.user_attrs[WANTED] == 6
    assert len(view.trials) == 2


def test_images_looked_for_on_this_host_come_before_the_creators_place(
    study: LoadedStudy, digits: Dataset, tmp_path: Path
) -> None:
    copied = tmp_path / "here" / digits.fingerprint
    shutil.copytree(digits.folder, copied)
    assert dataclasses.replace(study, prepared=copied).dataset().folder == copied

"""Studies are made in the database and found there again; nothing is made by looking."""

import dataclasses
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from search.config.study_config import StudyConfig
from search.data import Dataset
from search.errors import InputError
from search.study.finding import create_study, find_study, load_study, warn_of_password
from search.study.space_version import SPACE
from search.study.study import CONFIG, DATASET, WANTED, LoadedStudy
from storage.connect import open_storage

# Eight processes that open one new study at once; each says how it found it.
RACE = """
import multiprocessing, os, sys
from pathlib import Path
from search.config.settings import RunOptions
from search.study.opening import open_study

url, root, cache = sys.argv[1:]
processes = multiprocessing.get_context("fork")
start = processes.Barrier(8)

def run():
    request = RunOptions.given("s", data="digits", space="small_space", trials=5, epochs=3, images=200, storage=url,
                      root=Path(root), cache=Path(cache))
    start.wait()
    opened = open_study(request)
    queued = [trial.system_attrs["fixed_params"]["width"] for trial in opened.optuna.trials]
    said = ["opened", opened.study_id, opened.wanted, queued, opened.config.epochs, opened.dataset().fingerprint]
    os.write(1, (" ".join(map(str, said)) + "\\n").encode())  # In one piece.

eight = [processes.Process(target=run) for _ in range(8)]
for one in eight:
    one.start()
for one in eight:
    one.join()
sys.exit(sum(one.exitcode for one in eight))
"""


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
    optuna.create_study(study_name="theirs", storage=study.storage).ask()
    with pytest.raises(InputError, match=r"^--study theirs: .* search\.run did not make"):
        load_study("theirs", None, study.paths.root)


def test_study_of_another_program_with_several_values_is_refused(study: LoadedStudy) -> None:
    optuna.create_study(study_name="theirs", storage=study.storage, directions=["minimize", "maximize"])
    with pytest.raises(
        InputError, match=r"^--study theirs: .* ranks its trials by 2 values, .* another name$"
    ):
        load_study("theirs", None, study.paths.root)


def test_study_is_not_made_over_an_empty_one_with_several_values(
    study: LoadedStudy, config: StudyConfig, digits: Dataset
) -> None:
    optuna.create_study(study_name="theirs", storage=study.storage, directions=["minimize", "maximize"])
    with pytest.raises(InputError, match=r"^--study theirs: the database has an empty study of this name"):
        create_study(dataclasses.replace(config, study="theirs"), digits.folder, None, study.paths.root)


@pytest.mark.parametrize("name", ["../s", "a/b", ""])
def test_name_that_is_a_path_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="--study"):
        find_study(name, None, tmp_path)


def test_database_given_by_url_is_used(config: StudyConfig, digits: Dataset, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    create_study(config, digits.folder, url, tmp_path / "studies")
    assert load_study("s", url, tmp_path / "studies").config == config
    assert not (tmp_path / "studies" / "search.db").exists()


@pytest.mark.slow
@pytest.mark.soak
def test_study_begun_by_eight_processes_at_once_is_made_once(
    empty_url: str, digits: Dataset, tmp_path: Path
) -> None:
    path = os.pathsep.join(filter(None, sys.path))
    ended = subprocess.run(
        [sys.executable, "-c", RACE, empty_url, str(tmp_path / "studies"), str(digits.folder.parent)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    found = load_study("s", empty_url, tmp_path / "studies")
    # Whole for each of them: its configuration, its images, and its one first trial.
    # Not by lines: two of eight may write into one.
    said = re.findall(r"opened \d+ \d+ \[\d+\] \d+ [0-9a-f]{32}", ended.stdout)
    assert said == [f"opened {found.study_id} 5 [16] 3 {digits.fingerprint}"] * 8
    assert [study.study_name for study in found.storage.get_all_studies()] == ["s"]
    assert [trial.state for trial in found.optuna.trials] == [TrialState.WAITING]


@pytest.mark.parametrize("queued", [0, 1], ids=["before its first trial", "after its first trial"])
def test_study_whose_creator_died_half_way_is_made_whole_by_the_next(
    open_digits, url: str, digits: Dataset, queued: int, tmp_path: Path
) -> None:
    storage = open_storage(url)
    half = optuna.create_study(study_name="s", storage=storage, direction="maximize")
    half.set_user_attr(DATASET, str(digits.folder))
    for _ in range(queued):
        half.enqueue_trial({"width": 16, "rate": 0.05, "dropout": 0.1})
    assert find_study("s", url, tmp_path / "studies") is None

    opened = open_digits(trials=4)
    found = load_study("s", url, tmp_path / "studies")
    assert (opened.study_id, found.study_id) == (half._study_id, half._study_id)
    assert found.config == opened.config
    assert {CONFIG, DATASET, WANTED, SPACE} <= found.optuna.user_attrs.keys()
    assert [trial.state for trial in found.optuna.trials] == [TrialState.WAITING]


def test_study_whose_creator_died_at_once_is_made_whole_by_the_next(open_digits, url: str) -> None:
    optuna.create_study(study_name="s", storage=open_storage(url), direction="maximize")
    assert open_digits(trials=4).wanted == 4


def test_study_opened_again_is_opened_without_a_word_of_optunas(
    open_digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_digits(trials=4)
    said: list[str] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", lambda record: said.append(record.getMessage()))
    logging.getLogger("optuna").addHandler(handler)
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)  # As it is by default.
    try:
        open_digits(trials=4)
    finally:
        optuna.logging.set_verbosity(before)
        logging.getLogger("optuna").removeHandler(handler)
    assert said == []


def test_study_of_another_program_is_refused_for_a_search_too(open_digits, url: str) -> None:
    theirs = optuna.create_study(study_name="s", storage=open_storage(url), direction="maximize")
    theirs.add_trial(create_trial(state=TrialState.COMPLETE, value=0.5))
    with pytest.raises(InputError, match=r"^--study s: .* search\.run did not make; choose another"):
        open_digits()
    assert optuna.load_study(study_name="s", storage=theirs._storage).user_attrs == {}


def test_study_made_meanwhile_by_another_process_is_left_as_it_is(
    study: LoadedStudy, config: StudyConfig, digits: Dataset
) -> None:
    other = dataclasses.replace(config, epochs=99)
    assert create_study(other, digits.folder, None, study.paths.root, trials=9) is None
    found = load_study("s", None, study.paths.root)
    assert found.config == config
    assert found.wanted == 0


def test_study_opened_again_keeps_its_wanted_trials_unless_told(open_digits) -> None:
    open_digits(trials=5)
    assert open_digits().wanted == 5
    assert open_digits(trials=3).wanted == 3


@pytest.mark.parametrize(
    ("storage", "warned"),
    [
        (None, False),
        ("sqlite:///search.db", False),
        ("postgresql://me@host/db", False),
        ("postgresql://me:sesame@host/db", True),
        ("postgresql://me@host/db?password=sesame", True),
        ("nonsense", False),
    ],
)
def test_password_on_the_command_line_is_warned_of_and_not_shown(storage: str | None, warned: bool) -> None:
    warning = warn_of_password(storage)
    assert bool(warning) == warned
    assert "sesame" not in warning
    if warned:
        assert "PGPASSFILE" in warning
        assert "SEARCH_STORAGE" in warning


def test_password_in_the_environment_is_not_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCH_STORAGE", "postgresql://me:sesame@host/db")
    assert warn_of_password(None) == ""

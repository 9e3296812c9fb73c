"""The list of studies: what each is at, whoever made it, and fast however many there are."""

import json
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from search.config.study_config import StudyConfig
from search.studies import app, cells
from search.study.finding import create_study
from search.study.listing import Listed, list_studies
from search.study.study import LoadedStudy
from storage.claims import Claims
from storage.liveness import HEARTBEAT

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def listing(run_app, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command: its exit code, and what it printed and complained of."""
    monkeypatch.setenv("COLUMNS", "160")
    return partial(run_app, app)


@pytest.fixture
def make(url: str, tmp_path: Path) -> Callable[..., LoadedStudy]:
    """Make a study in every kind of database; its images are nowhere."""

    def made(name: str, trials: int = 5, **settings: object) -> LoadedStudy:
        size = {"height": 8, "width": 8, "channels": 1, "classes": ("a", "b")}
        config = StudyConfig(name, "/photos/flowers", "f", **{**size, **settings})  # type: ignore[arg-type]
        created = create_study(config, tmp_path / "cache", url, tmp_path, trials=trials)
        assert created is not None
        return created

    return made


def finish(study: LoadedStudy, *values: float | None) -> None:
    """Give a study an ended trial each; None fails."""
    for value in values:
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        study.optuna.add_trial(optuna.trial.create_trial(state=state, value=value))


def listed(url: str, root: Path) -> dict[str, Listed]:
    return {one.study: one for one in list_studies(storage=url, root=root)}


def test_list_tells_empty_unfinished_done_and_running(
    make: Callable[..., LoadedStudy], url: str, tmp_path: Path
) -> None:
    make("empty")
    finish(make("unfinished"), 0.5, None, 0.75)
    finish(make("done", trials=2), 0.25, 0.125)
    running = make("running")
    Claims(running.storage, running.study_id, "here-1").claim(5)
    found = listed(url, tmp_path)
    assert {name: one.state for name, one in found.items()} == {name: name for name in found}
    assert (found["unfinished"].finished, found["unfinished"].failed, found["unfinished"].best) == (
        2,
        1,
        0.75,
    )
    assert (found["done"].finished, found["done"].wanted, found["running"].workers) == (2, 2, 1)
    assert found["empty"].seconds_since is None
    assert 0 <= (found["done"].seconds_since or 0) < 60


def test_list_of_a_study_that_has_more_than_was_last_asked_for_counts_what_there_is(
    make: Callable[..., LoadedStudy], url: str, tmp_path: Path
) -> None:
    """It was "2 of 1"."""
    finish(make("s", trials=1), 0.5, 0.25)
    assert cells(listed(url, tmp_path)["s"])[2] == "2 of 2"


@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
def test_list_is_asked_for_by_the_name_of_the_flag_too(
    make: Callable[..., LoadedStudy], url: str, tmp_path: Path
) -> None:
    make("s")
    assert [one.study for one in list_studies(storage=url, studies=str(tmp_path))] == ["s"]  # type: ignore[call-arg]


def test_list_of_a_loss_has_the_lowest_as_best(
    make: Callable[..., LoadedStudy], url: str, tmp_path: Path
) -> None:
    finish(make("s", metric="loss"), 0.5, 0.25)
    assert cells(listed(url, tmp_path)["s"])[4] == "0.2500 loss"


def test_list_does_not_take_a_dead_worker_for_one_at_work(
    make: Callable[..., LoadedStudy], url: str, tmp_path: Path
) -> None:
    study = make("s")
    claim = Claims(study.storage, study.study_id, "there-1").claim(5)
    assert claim is not None
    life = study.storage.get_trial(claim.trial_id).system_attrs[HEARTBEAT]
    silent = {**life, "place": "another machine", "time": life["time"] - 76}
    study.storage.set_trial_system_attr(claim.trial_id, HEARTBEAT, silent)
    # Interrupted in its first trial, which is another thing than one that nobody has begun.
    assert (listed(url, tmp_path)["s"].state, listed(url, tmp_path)["s"].workers) == ("unfinished", 0)


def test_list_has_studies_that_the_search_did_not_make(
    make: Callable[..., LoadedStudy], url: str, tmp_path: Path, listing: Run
) -> None:
    storage = make("s").storage
    theirs = optuna.create_study(study_name="their own", storage=storage, directions=["minimize", "maximize"])
    theirs.add_trial(optuna.trial.create_trial(state=TrialState.COMPLETE, values=[1.0, 2.0]))
    optuna.create_study(study_name="odd", storage=storage).set_user_attr("config", ["no", "text"])
    code, printed, _ = listing("--storage", url, "--studies", tmp_path)
    rows = {line.split("  ")[0]: line for line in printed.splitlines()}
    assert code == 0
    assert "not made by search.run" in rows["their own"]
    assert "not made by search.run" in rows["odd"]


def test_list_shows_the_last_worked_on_first(
    make: Callable[..., LoadedStudy], url: str, tmp_path: Path, listing: Run
) -> None:
    make("never")
    finish(make("first"), 0.5)
    finish(make("second"), 0.5)
    code, printed, _ = listing("--storage", url, "--studies", tmp_path)
    assert code == 0
    assert [line.split()[0] for line in printed.splitlines()] == ["study", "second", "first", "never"]
    assert printed.splitlines()[1].split()[1:8] == ["unfinished", "1", "of", "5", "0", "0.5000", "accuracy"]


def test_list_for_scripts_is_one_json_object(
    make: Callable[..., LoadedStudy], url: str, tmp_path: Path, listing: Run
) -> None:
    finish(make("s"), 0.5)
    code, printed, error = listing("--storage", url, "--studies", tmp_path, "--json")
    (one,) = json.loads(printed)["studies"]
    assert (code, error, one["study"], one["best"], one["data"]) == (0, "", "s", 0.5, "/photos/flowers")


@pytest.mark.parametrize("there", [False, True])
def test_list_where_no_database_is_says_how_to_begin(listing: Run, tmp_path: Path, there: bool) -> None:
    root = tmp_path / "studies"
    if there:
        root.mkdir()
    code, printed, error = listing("--studies", root)
    assert (code, printed, error.count("\n")) == (2, "", 1)
    assert "no studies there; begin one, such as python -m search.run --study digits_cnn" in error
    assert list(tmp_path.iterdir()) == [root] * there


def test_list_of_a_database_without_our_tables_says_how_to_begin(listing: Run, empty_url: str) -> None:
    if empty_url.startswith("sqlite"):
        sqlite3.connect(empty_url.removeprefix("sqlite:///")).execute("CREATE TABLE other (x)")
    code, _, error = listing("--storage", empty_url)
    assert (code, error.count("\n")) == (2, 1)
    assert "begin one" in error


def test_list_of_a_file_that_is_no_database_is_refused(listing: Run, tmp_path: Path) -> None:
    (tmp_path / "search.db").write_text(
        "not a database at all, but a text long enough to be read as one" * 20
    )
    code, _, error = listing("--studies", tmp_path)
    assert (code, error.count("\n")) == (2, 1)
    assert "cannot be opened (file is not a database)" in error


def test_list_reads_no_trial_one_by_one(
    make: Callable[..., LoadedStudy], url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(make("s"), *[0.5] * 3)
    monkeypatch.setattr(optuna.storages.RDBStorage, "get_all_trials", None)
    assert listed(url, tmp_path)["s"].finished == 3

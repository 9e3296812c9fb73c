"""The command: what it prints is what a search needs, and a search survives the death of its server."""

import json
import os
import shlex
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from search.data import Dataset
from search.database import app
from search.errors import InputError
from search.postgres.folder import ServerFolder
from search.postgres.server import status_of
from search.study.finding import load_study
from search.study.study import LoadedStudy
from storage.claims import lock_name
from storage.url import parse

ENDLESS = 10_000


@pytest.fixture
def database(run_app) -> Callable[..., tuple[int, str, str]]:
    """The command in this process: its exit code, what it printed, and what it complained of."""
    return partial(run_app, app)


def test_start_prints_what_to_export_and_quietly_that_alone(private_server: ServerFolder, database) -> None:
    code, said, _ = database("start", "--dir", private_server.path)
    exports = [line for line in said.splitlines() if line.startswith("export ")]
    assert code == 0
    assert "runs already" in said
    assert f"ssh -N -L 5432:{private_server.path}/.s.PGSQL.5432 " in said
    assert database("start", "--dir", private_server.path, "--quiet") == (0, "\n".join([*exports, ""]), "")
    exported = dict(shlex.split(line)[1].split("=", 1) for line in exports)
    assert Path(exported["PGPASSFILE"]) == private_server.password_file
    assert parse(exported["SEARCH_STORAGE"]).query == {"host": str(private_server.path)}


def test_status_tells_scripts_the_same(private_server: ServerFolder, database) -> None:
    code, said, _ = database("status", "--dir", private_server.path, "--json")
    told = json.loads(said)
    assert (code, told["running"], told["url"]) == (0, True, os.environ["SEARCH_STORAGE"])
    assert told["log"] in database("status", "--dir", private_server.path)[1]


def test_backup_says_how_it_is_restored(private_server: ServerFolder, database, tmp_path: Path) -> None:
    code, said, _ = database("backup", "--dir", private_server.path, tmp_path / "b.dump")
    assert code == 0
    assert f"pg_restore --no-owner --exit-on-error --dbname $SEARCH_STORAGE {tmp_path / 'b.dump'}" in said


def test_refusal_is_one_line(database, tmp_path: Path) -> None:
    for action in (
        ["start", "--dir", tmp_path / "a,b"],
        ["stop", "--dir", tmp_path],
        ["backup", "--dir", "x", "y"],
    ):
        code, said, complained = database(*action)
        assert (code, said, complained.count("\n")) == (2, "", 1)


@pytest.mark.slow
def test_server_killed_under_four_workers_loses_nothing(
    private_server: ServerFolder,
    database,
    commands,
    digits: Dataset,
    until,
    tmp_path: Path,
) -> None:
    words = (
        "--study s --data digits --space small_space --images 200 --pruner none --sampler random --no-export"
    )
    lengths = ("--trials", ENDLESS, "--epochs", 4, "--workers", 4)
    root = tmp_path / "studies"
    places = ("--studies", root, "--cache", digits.folder.parent)
    search = commands.start("search.run", *words.split(), *lengths, *places, SEARCH_TEST_EPOCH_SECONDS="0.1")

    def study_with(finished: int) -> LoadedStudy | None:
        if search.poll() is not None:
            pytest.fail(f"the search ended: {search.communicate()[0]}")
        try:
            study = load_study("s", None, root)
        except InputError:  # There is no such study yet.
            return None
        return study if len(study.finished()) >= finished else None

    before = {trial.number: trial.values for trial in until(lambda: study_with(1)).finished()}
    pid = status_of(private_server).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    code, said, complained = database("start", "--dir", private_server.path)
    assert (code, "runs on" in said) == (0, True), complained

    study = until(lambda: study_with(len(before) + 1))  # It goes on; now it is told when to end.

    def four_more() -> int:
        wanted = (
            sum(trial.state.is_finished() or trial.state.name == "RUNNING" for trial in study.optuna.trials)
            + 4
        )
        study.want(wanted)
        return wanted

    wanted = study.storage.exclusively(lock_name(study.study_id), four_more)
    printed = search.communicate(timeout=120)[0]
    assert search.returncode == 0, printed
    finished = {trial.number: trial.values for trial in load_study("s", None, root).finished()}
    assert sorted(finished) == list(range(wanted))
    assert {number: finished[number] for number in before} == before

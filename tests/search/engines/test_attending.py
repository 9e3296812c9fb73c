"""Workers that outlive the command that started them: attached to, left, and ended from another terminal."""

import json
import signal
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from search.cli.app import main
from search.config.settings import RunOptions
from search.delete import app as delete_app
from search.engines.attending import attend, end
from search.engines.base import ENDED, RUNNING, WAITING
from search.engines.started import Started, read_started
from search.errors import InputError, StudyStopped
from search.execution.stop_requests import Stop
from search.process.fork_server import ForkServer
from search.run import app as run_app
from search.status import app as status_app
from search.stop import app as stop_app
from search.stop import stop
from search.study.finding import find_study, load_study
from search.study.snapshot import StartedWorker
from search.study.study import LoadedStudy
from search.workflows.results import StudyResult
from search.workflows.run import search_and_export
from storage.liveness import HEARTBEAT
from storage.process_identity import process_exists

ENDLESS = 10_000


class FakeEngine:
    """An engine whose workers are as the test says; each look takes the next state, and the last one stays."""

    look_seconds = 0.0

    def __init__(self, *looks: list[str]) -> None:
        self.looks, self.stopped = list(looks), 0

    def words(self, facts: Any) -> str:
        return "job 7"

    def state(self, facts: Any) -> list[StartedWorker]:
        now = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return [StartedWorker(f"7_{place}", state, "", "log") for place, state in enumerate(now)]

    def stop(self, facts: Any) -> None:
        self.stopped += 1
        self.looks = [[ENDED]]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeEngine]:
    monkeypatch.setattr("search.engines.attending.LOOK_SECONDS", 0.01)

    def make(*looks: list[str]) -> FakeEngine:
        fake = FakeEngine(*looks)
        monkeypatch.setattr("search.engines.started.make_engine", lambda word: fake)
        return fake

    return make


@pytest.fixture
def record(tmp_path: Path) -> Started:
    one = Started("slurm", {"workers": 2}, record=tmp_path / "engines" / "x.json")
    one.write()
    return one


class Finished:
    """A study with so many finished trials."""

    def __init__(self, finished: int) -> None:
        self.wanted, self._finished = 2, finished

    def finished(self) -> list[int]:
        return list(range(self._finished))


def test_workers_that_still_wait_when_all_trials_are_there_are_taken_back(engine, record: Started) -> None:
    fake = engine([RUNNING, WAITING], [RUNNING, WAITING], [ENDED, WAITING])
    assert [one.state for one in attend(Finished(2), record, Stop())] == [ENDED]
    assert fake.stopped == 1


def test_workers_that_have_all_ended_end_the_waiting(engine, record: Started) -> None:
    fake = engine([WAITING], [RUNNING], [ENDED])
    attend(Finished(1), record, Stop())
    assert fake.stopped == 0


def test_signal_ends_the_waiting_and_no_worker(engine, record: Started) -> None:
    fake, stop = engine([RUNNING]), Stop()
    stop.on_signal(signal.SIGINT)
    attend(Finished(1), record, stop)
    assert fake.stopped == 0
    assert record.record.exists()


def test_ending_waits_until_none_works_and_none_is_started_again(engine, record: Started) -> None:
    fake = engine([RUNNING, WAITING])
    end(record)
    assert fake.stopped == 1
    assert not record.record.exists()


def test_workers_that_do_not_end_in_time_stay_on_record(engine, record: Started, monkeypatch) -> None:
    monkeypatch.setattr("search.engines.attending.END_SECONDS", 0.0)
    fake = engine([RUNNING])
    fake.stop = lambda facts: None
    with pytest.raises(
        StudyStopped, match=r"^job 7 was told to end 0 s ago and has not; try again, or look at log$"
    ):
        end(record)
    assert record.record.exists()


def test_process_of_another_host_is_not_ended_from_here(record: Started) -> None:
    facts = {"pid": 1, "started": 1, "host": "ada", "namespace": "x", "workers": 1, "log": "log"}
    one = Started("local", facts, record=record.record)
    assert [worker.state for worker in one.state()] == ["elsewhere"]
    with pytest.raises(InputError, match=r"^process 1 of ada works on it, .*; run the same command on ada$"):
        end(one)
    assert one.record.exists()


@pytest.fixture
def places(
    digits, fast_server: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    monkeypatch.setattr("search.workflows.run.ForkServer", lambda backend: nullcontext(fast_server))
    monkeypatch.setenv("SEARCH_TEST_TRAINING", "numpy")
    monkeypatch.setenv("SEARCH_TEST_EPOCH_SECONDS", "0.05")
    return {"root": tmp_path / "studies", "cache": digits.folder.parent}


def search(places: dict[str, Any], **more: Any) -> StudyResult:
    fixed = {"data": "digits", "space": "small_space", "images": 200, "pruner": "none", "sampler": "random"}
    return search_and_export(RunOptions.given("s", **{**fixed, **places, "export": False, **more}))


@pytest.fixture
def command(places: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch) -> Callable[..., Any]:
    """One of our commands on the study ``s``, in this process: its exit code, and what it printed."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(app: Any, *arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(app, ["--study", "s", "--studies", str(places["root"]), *arguments])
        return int(str(ended.value.code)), capsys.readouterr().out

    return run


def first_pid(study: LoadedStudy) -> int:
    return int(study.optuna.trials[0].system_attrs[HEARTBEAT]["pid"])


@pytest.mark.slow
def test_detached_workers_are_shown_attached_to_and_stopped_from_another_terminal(
    places, command, until, far, monkeypatch, capsys
) -> None:
    flags = (
        "--data digits --space small_space --images 200 --pruner none --sampler random --trials 2 --detach"
    )
    code, printed = command(
        run_app, *flags.split(), "--epochs", str(ENDLESS), "--cache", str(places["cache"])
    )
    assert code == 0
    study = load_study("s", None, places["root"])
    assert printed.rstrip().endswith(f"stop with: {study.command('stop')}")
    until(lambda: far(study))
    (started,) = read_started(study.paths)
    assert started.facts["log"] in command(status_app)[1]
    (shown,) = json.loads(command(status_app, "--json")[1])["started"]
    assert (shown["state"], shown["log"]) == ("running", started.facts["log"])

    assert command(delete_app, "--yes")[0] == 2
    assert find_study("s", None, places["root"]) is not None

    def attend_until_stopped(*arguments: Any) -> list[StartedWorker]:
        stopping = threading.Thread(target=stop, kwargs={"study": "s", "root": places["root"]})
        stopping.start()
        try:
            return attend(*arguments)
        finally:
            stopping.join()

    monkeypatch.setattr("search.workflows.searching.attend", attend_until_stopped)
    attached = search(places)
    assert attached.by_user
    assert attached.stopped.startswith(
        "stopped by search.stop: 0 of 2 trials finished, nothing is lost; go on with"
    )
    assert (
        f"{started} with 1 worker: stopped\n0 of 2 trials of study s are finished" in capsys.readouterr().out
    )
    (trial,) = study.optuna.trials
    assert trial.state == TrialState.WAITING
    assert not process_exists(first_pid(study))
    assert command(stop_app)[0] == 0

"""Joining a study from anywhere: what is owed is finished, all that is not said is read from the study."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from search.cli.app import main
from search.data import Dataset
from search.errors import InputError
from search.process.fork_server import ForkServer
from search.study.compatibility import BACKEND
from search.study.space_version import SPACE
from search.study.study import LoadedStudy
from search.worker import app
from search.workflows.join import join_study
from storage.checkpoints import read_checkpoint
from storage.claims import INTERRUPTIONS
from storage.process_identity import hostname
from storage.timeouts import Timeouts

ON_SQLITE = pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
ON_POSTGRES = pytest.mark.parametrize("new_database", ["postgres"], indirect=True)
ENDLESS = 10_000
SHORT = Timeouts(grace=3.0, outage=30.0, pause=0.5, poll=0.1)


@pytest.fixture
def join(
    digits: Dataset, url: str, fast_server: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Join the study ``s``, with the tests' own fork server."""
    backends: list[str] = []

    def lend(backend: str) -> Any:
        backends.append(backend)
        return contextlib.nullcontext(fast_server)

    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setattr("search.workflows.join.ForkServer", lend)

    def run(**more: Any) -> str:
        places = {"storage": url, "root": tmp_path / "studies", "cache": digits.folder.parent}
        return join_study("s", **{**places, "times": SHORT, "checkpoint_seconds": 0.0, **more})

    run.backends = backends  # type: ignore[attr-defined]
    return run


@pytest.fixture
def command(join, digits: Dataset, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The command in this process: its exit code, and what it printed and complained of."""
    # Optuna's handler holds the standard error of whichever test came first, closed by now.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    places = ("--storage", url, "--studies", tmp_path / "studies", "--cache", digits.folder.parent)

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(app, list(map(str, (*places, *arguments))))
        printed = capsys.readouterr()
        return int(str(end.value.code)), printed.out, printed.err

    return run


def strike(ready: Callable[[], Any], number: int) -> None:
    """Once ``ready``, send this very process a signal, unless nobody waits for it any more."""
    before = signal.getsignal(number)

    def wait() -> None:
        deadline = time.monotonic() + 60
        while not ready() and time.monotonic() < deadline:
            time.sleep(0.02)
        if signal.getsignal(number) != before:
            os.kill(os.getpid(), number)

    threading.Thread(target=wait, daemon=True).start()


def states(study: LoadedStudy) -> list[TrialState]:
    return [trial.state for trial in study.optuna.get_trials(deepcopy=False)]


@pytest.mark.slow
def test_joined_worker_finishes_what_is_owed(open_digits, join) -> None:
    study = open_digits(trials=2)
    assert join() == ""
    assert states(study) == [TrialState.COMPLETE] * 2
    assert study.optuna.trials[0].params["width"] == 16  # The first trial was queued by the study's creator.


def test_study_that_has_all_its_trials_is_left_at_once(open_digits, join) -> None:
    study = open_digits(trials=1)
    study.optuna.tell(study.optuna.ask(), 0.5)
    before = study.optuna.trials
    assert join() == ""
    assert study.optuna.trials == before


@pytest.mark.slow
@ON_POSTGRES
def test_larger_number_of_trials_reaches_a_worker_at_work(open_digits, join, until) -> None:
    study = open_digits(trials=1, epochs=15)
    worker = threading.Thread(target=join)
    worker.start()
    until(lambda: states(study) == [TrialState.RUNNING])
    study.want(3)
    worker.join(60)
    assert not worker.is_alive()
    assert states(study) == [TrialState.COMPLETE] * 3


@pytest.mark.slow
@ON_SQLITE
def test_several_workers_join_from_one_command(open_digits, join) -> None:
    study = open_digits(trials=5)
    assert join(workers=2) == ""
    assert states(study) == [TrialState.COMPLETE] * 5
    assert len(list((study.paths.folder / "logs").glob(f"{hostname()}-*.log"))) == 2


@pytest.mark.slow
def test_waiting_trial_of_another_worker_goes_on_where_it_was(open_digits, join) -> None:
    study = open_digits(trials=1, epochs=40)
    strike(lambda: study.paths.checkpoints(0), signal.SIGTERM)
    assert join() == "stopped by SIGTERM"
    stored = read_checkpoint(*study.paths.checkpoints(0))
    assert stored is not None
    assert states(study) == [TrialState.WAITING]

    assert join() == ""
    (trial,) = study.optuna.trials
    assert (trial.state, trial.system_attrs[INTERRUPTIONS]) == (TrialState.COMPLETE, 1)
    seconds = trial.user_attrs["history"]["seconds"]
    assert (len(seconds), seconds[: stored[1]["epoch"]]) == (40, stored[1]["history"]["seconds"])


@ON_SQLITE
def test_backend_is_the_studys_unless_said(
    open_digits, join, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    study = open_digits(trials=1)
    study.optuna.tell(study.optuna.ask(), 0.5)
    study.optuna.set_user_attr(BACKEND, "jax")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)  # All are installed.
    join()
    assert "warning" not in capsys.readouterr().out
    join(backend="torch")
    assert join.backends == ["jax", "torch"]
    assert "warning: study s was begun on jax, this worker runs torch" in capsys.readouterr().out


def test_other_version_of_the_space_is_refused_before_anything_starts(open_digits, join) -> None:
    study = open_digits(trials=1)
    study.optuna.set_user_attr(SPACE, "0123456789abcdef")
    with pytest.raises(InputError, match=r"^space small_space: study s was made with another version"):
        join()
    assert join.backends == []
    assert states(study) == [TrialState.WAITING]


@ON_SQLITE
def test_password_of_the_command_line_is_warned_of_and_not_shown(join, url: str, capsys) -> None:
    with pytest.raises(InputError) as refused:
        join(storage="postgresql://me:sesame@/studies?host=/no/such/place")
    printed = capsys.readouterr().out
    assert printed.startswith("warning: the password in storage can be read by every user of this host")
    assert "sesame" not in printed + str(refused.value)


@pytest.mark.slow
@ON_POSTGRES
def test_command_trains_what_is_owed_and_ends_well(open_digits, commands, url: str, digits: Dataset) -> None:
    """With TensorFlow, as people start it."""
    study = open_digits(trials=1)
    places = ("--storage", url, "--studies", study.paths.root, "--cache", digits.folder.parent)
    worker = commands.start("search.worker", "--study", "s", *places, SEARCH_TEST_TRAINING="")
    printed = worker.communicate(timeout=120)[0]
    assert worker.returncode == 0, printed
    assert "trial 0 finished: accuracy 0." in printed
    (trial,) = study.optuna.trials
    assert (trial.state, trial.user_attrs["backend"]) == (TrialState.COMPLETE, "tensorflow")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "new_database"), [("SIGINT", "sqlite"), ("SIGTERM", "postgres")], indirect=["new_database"]
)
def test_command_stopped_by_a_signal_gives_its_trial_back(open_digits, command, name: str) -> None:
    study = open_digits(trials=1, epochs=ENDLESS)
    strike(lambda: (study.optuna.trials[0].last_step or 0) >= 2, getattr(signal, name))
    assert command("--study", "s")[0] == 130
    (trial,) = study.optuna.trials
    stored = read_checkpoint(*study.paths.checkpoints(0))
    assert stored is not None
    assert (trial.state, stored[1]["epoch"]) == (TrialState.WAITING, trial.last_step)


@ON_SQLITE
@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--study", "t"], "--study t: no such study in the database given"),
        (["--study", "a/b"], "--study 'a/b': expected a name"),
        (["--study", "s", "--workers", "0"], "--workers 0: expected a number from 1 to 1000"),
        (["--study", "s", "--workers", "two"], "'two' is no whole number"),
        (["--study", "s", "--per-gpu", "0", "--gpus", "0"], "--per-gpu 0: expected a number"),
        (["--study", "s", "--per-gpu", "2"], "--per-gpu 2 says nothing without --gpus"),
        (["--study", "s", "--gpus", "0,0"], "--gpus 0,0: expected all, or numbers"),
        (["--study", "s", "--gpus", "0", "--workers", "2"], "--workers 2: 1 GPU with 1 each make 1 places"),
        (["--study", "s", "--gpu-memory", "0"], "--gpu-memory 0.0: expected a number"),
        (["--study", "s", "--backend", "mxnet"], "--backend 'mxnet': expected one of tensorflow, jax, torch"),
        (["--study", "s", "--data", "no/such/folder"], "--data 'no/such/folder': no such data set"),
        (["--study", "s", "--storage", "nonsense"], "--storage: not a database URL"),
        (["--study", "s", "--trials", "5"], "--trials"),  # That is the study's own.
        ([], "--study"),
    ],
)
def test_wrong_input_is_refused_in_one_line(
    open_digits, command, argv: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    study = open_digits(trials=1)
    code, printed, error = command(*argv)
    assert (code, printed, error.count("\n")) == (2, "", 1)
    assert error.startswith("error: ")
    assert said in error
    assert states(study) == [TrialState.WAITING]


@ON_SQLITE
def test_help_shows_what_can_be_said_with_an_example(command) -> None:
    code, printed, _ = command("--help")
    words = " ".join(printed.split())
    assert code == 0
    for flag in ("--study", "--storage", "--data", "--studies", "--workers", "--gpus", "--per-gpu"):
        assert flag in words
    assert "python -m search.worker --study cifar_cnn --storage postgresql://" in words


@pytest.mark.slow
@ON_POSTGRES
def test_two_commands_on_one_study_make_exactly_n_distinct_trials(
    open_digits, commands, digits: Dataset, url: str
) -> None:
    study = open_digits(trials=6, epochs=3, grace=3.0)
    places = ("--storage", url, "--studies", study.paths.root, "--cache", digits.folder.parent)
    two = [commands.start("search.worker", "--study", "s", *places) for _ in range(2)]
    printed = [one.communicate(timeout=120)[0] for one in two]
    assert [one.returncode for one in two] == [0, 0], printed
    trials = study.optuna.trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 6
    assert len({tuple(trial.params.values()) for trial in trials}) == 6
    assert len(list((study.paths.folder / "logs").glob(f"{hostname()}-*.log"))) == 2
    assert commands.alive() == []

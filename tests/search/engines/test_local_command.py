"""The real command with two workers: a signal stops all of it in time, and whatever ends it loses no trial."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import pytest
from optuna.trial import TrialState

from search.errors import InputError
from search.study.finding import load_study
from search.study.study import LoadedStudy
from storage.checkpoints import read_checkpoint

# Longer than any test: such a trial ends by being stopped.
ENDLESS = 10_000


class SearchCommand:
    """The real command with two workers, on endless trials."""

    def __init__(self, commands, url: str, root: Path, cache: Path) -> None:
        self.commands, self._where = commands, (url, root)
        words = "--study s --data digits --space small_space --images 200 --pruner none --sampler random"
        places = ("--storage", url, "--studies", root, "--cache", cache)
        more = ("--trials", 2, "--epochs", ENDLESS, "--workers", 2, "--grace", "3s", "--no-export", *places)
        self.process: subprocess.Popen[str] = commands.start("search.run", *words.split(), *more)

    def study(self) -> LoadedStudy | None:
        if self.process.poll() is not None:
            pytest.fail(f"the search ended: {self.process.communicate()[0]}")
        with contextlib.suppress(InputError):  # There is no such study yet.
            return load_study("s", *self._where)
        return None


@pytest.fixture
def command(commands, url: str, digits, tmp_path: Path) -> SearchCommand:
    return SearchCommand(commands, url, tmp_path / "studies", digits.folder.parent)


def check_given_back(study: LoadedStudy) -> None:
    trials = study.optuna.trials
    assert [trial.state for trial in trials] == [TrialState.WAITING] * 2
    for trial in trials:
        stored = read_checkpoint(*study.paths.checkpoints(trial.number))
        assert stored is not None
        assert 3 <= stored[1]["epoch"] == trial.last_step


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "new_database"), [("SIGINT", "sqlite"), ("SIGTERM", "postgres")], indirect=["new_database"]
)
def test_signal_at_the_search_stops_all_in_time_and_gives_the_trials_back(
    command: SearchCommand, until, far, name: str
) -> None:
    study = until(command.study, 90)
    until(lambda: far(study, 2) if command.process.poll() is None else True, 90)
    command.process.send_signal(getattr(signal, name))
    printed = command.process.communicate(timeout=20)[0]
    assert command.process.returncode == 130, printed
    assert f"stopped by {name}: 0 of 2 trials finished, nothing is lost; go on with: " in printed
    until(lambda: not command.commands.alive(), 2)
    check_given_back(study)


@pytest.mark.slow
@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
def test_signal_to_every_process_of_a_job_stops_all_in_time_and_gives_the_trials_back(
    command: SearchCommand, until, far
) -> None:
    """As Slurm sends it, to the workers' children and their server, too."""
    study = until(command.study, 90)
    until(lambda: far(study, 2) if command.process.poll() is None else True, 90)
    for pid in command.commands.alive():
        os.kill(pid, signal.SIGTERM)
    printed = command.process.communicate(timeout=20)[0]
    assert command.process.returncode == 130, printed
    assert "stopped by SIGTERM: 0 of 2 trials finished, nothing is lost; go on with: " in printed
    until(lambda: not command.commands.alive(), 2)
    check_given_back(study)


@pytest.mark.slow
@pytest.mark.parametrize("new_database", ["postgres"], indirect=True)
def test_workers_of_a_killed_search_end_by_themselves_and_give_their_trials_back(
    command: SearchCommand, until, far
) -> None:
    study = until(command.study, 90)
    until(lambda: far(study, 2) if command.process.poll() is None else True, 90)
    command.process.kill()
    until(lambda: not command.commands.alive(), 20)
    check_given_back(study)

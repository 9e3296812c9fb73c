"""Workers through a real Slurm of one node: killed, preempted, out of time, cancelled: exactly N trials, none left."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.trial import TrialState

from benchmarks.slurm import SlurmCluster
from search.engines import slurm as engine
from search.engines.base import ENDED
from search.engines.started import read_started
from search.study.study import LoadedStudy
from storage.checkpoints import read_checkpoint
from storage.process_identity import process_exists
from tests.search.engines.clusters import pids, started

ENDLESS = 10_000
# Slurm's clock ticks twice a minute, and a job that was requeued waits for ten seconds.
PATIENCE = 240.0


@pytest.fixture
def here(slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmCluster]:
    """Slurm's commands of this process, and of the jobs, ask the cluster; workers train in NumPy. No job is left."""
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SEARCH_TEST_TRAINING", "numpy")
    monkeypatch.setenv("SEARCH_TEST_EPOCH_SECONDS", "0.1")
    yield slurm
    slurm.end_jobs()


def states(study: LoadedStudy) -> list[str]:
    return [worker.state for worker in started(study).state()]


def log(study: LoadedStudy, task: int) -> str:
    return Path(str(started(study).facts["log"]).replace("%a", str(task))).read_text()


def queued_again(study: LoadedStudy) -> list[int]:
    return [task for task in (1, 2) if "queued again" in log(study, task)]


def epochs_trained(study: LoadedStudy, number: int) -> list[int]:
    return [
        int(epoch)
        for epoch in re.findall(r"^epoch (\d+):", study.paths.log(number).read_text(), re.MULTILINE)
    ]


@pytest.mark.slow
def test_study_whose_worker_is_killed_ends_with_exactly_n_trials_and_nothing_left(
    here: SlurmCluster, search, until, far
) -> None:
    study = search(engine="slurm:cpus-per-task=4", workers=2, trials=4, epochs=20, detach=True).study
    until(lambda: far(study, 2), PATIENCE)
    os.kill(pids(study)[0], signal.SIGKILL)
    until(lambda: "is started again" in log(study, 1) + log(study, 2), PATIENCE)
    job = started(study).facts["job"]
    result = search()  # Attaches.
    assert not result.stopped
    assert [trial.state for trial in study.optuna.trials] == [TrialState.COMPLETE] * 4
    assert len({tuple(trial.params.values()) for trial in study.optuna.trials}) == 4
    assert not read_started(study.paths)
    assert not here.ask("squeue", "--noheader", f"--jobs={job}").strip()
    assert not any(process_exists(pid) for pid in pids(study))


@pytest.mark.slow
def test_preempted_worker_and_one_out_of_time_give_their_trials_back_and_go_on_until_cancelled(
    here: SlurmCluster, search, until, far
) -> None:
    study = search(
        engine="slurm:partition=low,cpus-per-task=4",
        workers=2,
        trials=2,
        epochs=ENDLESS,
        walltime=3600,
        detach=True,
    ).study
    until(lambda: far(study, 2), PATIENCE)
    job = started(study).facts["job"]
    here.ask("sbatch", "--partition=high", "--cpus-per-task=4", "--output=/dev/null", "--wrap=true")
    until(lambda: queued_again(study), PATIENCE)
    other = 3 - queued_again(study)[0]
    # It is warned a minute before: now.
    here.ask("scontrol", "update", f"jobid={job}_{other}", "TimeLimit=1")
    until(lambda: queued_again(study) == [1, 2], PATIENCE)
    here.ask("scontrol", "update", f"jobid={job}_{other}", "TimeLimit=60")
    before = [trial.last_step for trial in study.optuna.trials]
    # One is back at work.
    until(lambda: [trial.last_step for trial in study.optuna.trials] != before, PATIENCE)
    here.ask("scancel", job)
    until(lambda: states(study) == [ENDED, ENDED], PATIENCE)
    assert [trial.state for trial in study.optuna.trials] == [TrialState.WAITING] * 2
    for trial in study.optuna.trials:
        stored = read_checkpoint(*study.paths.checkpoints(trial.number))
        assert stored is not None
        assert stored[1]["epoch"] == trial.last_step
        # Each epoch was trained once, whoever trained it.
        assert epochs_trained(study, trial.number) == list(range(1, trial.last_step + 1))
    assert not any(process_exists(pid) for pid in pids(study))


def test_worker_that_says_why_it_cannot_go_on_has_the_last_word(tmp_path: Path) -> None:
    script = Path(engine.__file__).with_name("slurm_task.sh")
    worker = ["bash", "-c", "echo error: no such study; exit 2"]
    done = subprocess.run(
        ["bash", script, tmp_path / "record", *worker], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "error: no such study\n")

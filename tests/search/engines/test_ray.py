"""Workers on a real Ray of two nodes: killed, their seat killed, a node lost: exactly N trials, none left."""

import os
import signal
from pathlib import Path

import pytest
from optuna.trial import TrialState

from benchmarks.ray_cluster import RayCluster
from search.config.settings import RunOptions
from search.engines.base import ENDED, RUNNING, WAITING
from search.engines.ordering import check_engine
from search.engines.started import read_started
from search.errors import InputError
from search.study.study import LoadedStudy
from storage.checkpoints import read_checkpoint
from storage.process_identity import process_exists
from tests.search.engines.clusters import parent, pids, started

ENDLESS = 10_000
PATIENCE = 240.0
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def here(ray_cluster: RayCluster, monkeypatch: pytest.MonkeyPatch) -> RayCluster:
    """What this process starts asks the cluster; workers train in NumPy."""
    for name, value in ray_cluster.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SEARCH_TEST_TRAINING", "numpy")
    monkeypatch.setenv("SEARCH_TEST_EPOCH_SECONDS", "0.2")
    return ray_cluster


def logs(study: LoadedStudy) -> str:
    return "".join(log.read_text() for log in (study.paths.folder / "logs").glob("ray-*.log"))


def states(study: LoadedStudy) -> list[str]:
    return sorted(worker.state for worker in started(study).state())


@pytest.mark.slow
def test_study_whose_worker_is_killed_ends_with_exactly_n_trials_and_nothing_left(
    here: RayCluster, search, until, far
) -> None:
    study = search(engine="ray", workers=2, trials=4, epochs=20, detach=True).study
    until(lambda: far(study), PATIENCE)
    worked = pids(study)
    os.kill(worked[0], signal.SIGKILL)
    until(lambda: "is started again" in logs(study), PATIENCE)
    was = started(study)
    result = search()  # Attaches.
    assert not result.stopped
    assert [trial.state for trial in study.optuna.trials] == [TrialState.COMPLETE] * 4
    assert len({tuple(trial.params.values()) for trial in study.optuna.trials}) == 4
    assert not read_started(study.paths)
    assert {worker.state for worker in was.state()} == {ENDED}
    assert not any(process_exists(pid) for pid in {*worked, *pids(study)})


@pytest.mark.soak
def test_worker_whose_task_or_seat_is_killed_or_node_is_lost_comes_back_until_stopped(
    here: RayCluster, search, until, far
) -> None:
    study = search(engine="ray:cpus=1", workers=2, trials=2, epochs=ENDLESS, detach=True).study

    def others(than: list[int]) -> list[int]:
        """The processes of both trials, once both have been taken by others than these."""
        now = [pid for pid in pids(study) if pid not in than and process_exists(pid)]
        running = [trial.state for trial in study.optuna.trials] == [TrialState.RUNNING] * 2
        return now if running and len(now) == 2 else []

    first = until(lambda: far(study, 2) and others([]), PATIENCE)
    for seat in here.seats():
        os.kill(seat, signal.SIGKILL)
    until(lambda: not any(process_exists(pid) for pid in first), PATIENCE)
    assert [trial.number for trial in study.optuna.trials] == [0, 1]
    second = until(lambda: others(first), PATIENCE)
    os.kill(parent(second[0]), signal.SIGKILL)
    second = until(lambda: others(second[:1]), PATIENCE)

    here.lose_node()
    until(lambda: sum(process_exists(pid) for pid in second) == 1, PATIENCE)
    until(lambda: states(study) == [RUNNING, WAITING], PATIENCE, lambda: [*states(study), logs(study)])
    here.start_node()
    (kept,) = [pid for pid in second if process_exists(pid)]
    until(lambda: len({*others([pid for pid in second if pid != kept])}) == 2, PATIENCE)

    was = started(study)
    was.by.stop(was.facts)
    until(lambda: {worker.state for worker in was.state()} == {ENDED}, PATIENCE, lambda: [*was.state()])
    assert [trial.state for trial in study.optuna.trials] == [TrialState.WAITING] * 2
    assert all(read_checkpoint(*study.paths.checkpoints(number)) for number in range(2))
    assert not any(process_exists(pid) for pid in pids(study))
    assert here.seats() == []


@pytest.mark.slow
def test_cluster_is_not_joined_without_its_token(
    here: RayCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")
    monkeypatch.delenv("RAY_AUTH_MODE")
    with pytest.raises(
        InputError, match=r"^--engine ray: the cluster wants a token; expected RAY_AUTH_TOKEN_P"
    ):
        check_engine(RunOptions.given("s", engine="ray"))

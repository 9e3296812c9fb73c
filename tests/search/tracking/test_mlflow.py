"""Runs, read back by MLflow's own client; its store of files needs no server and no database."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from search.tracking.base import Ending, Point, TrackedTrial
from search.tracking.mlflow import ENVIRONMENT, MLflow

# Looked for and not imported: it takes a second, which every process that collects tests would spend.
pytestmark = pytest.mark.skipif(find_spec("mlflow") is None, reason="pip install mlflow-skinny")

TRIAL = TrackedTrial(7, {"filters": 8, "rate": 0.5, "fault": ""}, 1000.0)


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in {**ENVIRONMENT, "MLFLOW_ALLOW_FILE_STORE": "true"}.items():
        monkeypatch.setenv(name, value)
    return (tmp_path / "runs").as_uri()


def runs(uri: str) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("mine")
    return list(client.search_runs([experiment.experiment_id]))


def curve(uri: str, run: Any, name: str) -> list[tuple[int, float]]:
    from mlflow import MlflowClient

    history = MlflowClient(tracking_uri=uri).get_metric_history(run.info.run_id, name)
    return sorted((one.step, one.value) for one in history)


def test_trial_is_a_run_with_parameters_metrics_by_step_and_tags(uri: str) -> None:
    tracker = MLflow(uri, "mine", "u1")
    tracker.prepare()
    assert tracker.open(TRIAL) == {}
    tracker.write([Point("loss", step, 1.0 / step) for step in (1, 2)])
    assert runs(uri)[0].info.status == "RUNNING"
    tracker.close(Ending("finished"))
    (run,) = runs(uri)
    assert (run.info.run_name, run.info.status, run.info.start_time) == ("trial 7", "FINISHED", 1_000_000)
    assert run.data.params == {"filters": "8", "rate": "0.5", "fault": "''"}
    assert curve(uri, run, "loss") == [(1, 1.0), (2, 0.5)]
    tags = {name: run.data.tags[name] for name in ("study", "study_uid", "trial", "state")}
    assert tags == {"study": "mine", "study_uid": "u1", "trial": "7", "state": "finished"}


@pytest.mark.parametrize(("state", "status"), [("pruned", "KILLED"), ("failed", "FAILED")])
def test_state_and_reason_of_the_end_are_shown(uri: str, state: str, status: str) -> None:
    tracker = MLflow(uri, "mine", "u1")
    tracker.open(TRIAL)
    tracker.close(Ending(state, "for a reason"))
    (run,) = runs(uri)
    assert run.info.status == status
    assert (run.data.tags["state"], run.data.tags["why"]) == (state, "for a reason")


def test_trial_that_goes_on_elsewhere_goes_on_in_its_run(uri: str) -> None:
    first, second = MLflow(uri, "mine", "u1"), MLflow(uri, "mine", "u1")
    first.open(TRIAL)
    first.write([Point("loss", 1, 1.0), Point("loss", 2, 0.5), Point("accuracy", 1, 0.1)])
    first.close(None)
    assert [(run.info.status, run.data.tags["state"]) for run in runs(uri)] == [("SCHEDULED", "waiting")]
    assert second.open(TRIAL) == {"loss": 2, "accuracy": 1}
    assert runs(uri)[0].data.tags["state"] == "running"
    second.close(Ending("finished"))
    assert [run.info.status for run in runs(uri)] == ["FINISHED"]


def test_another_study_of_the_name_has_runs_of_its_own(uri: str) -> None:
    for uid in ("u1", "u2"):
        tracker = MLflow(uri, "mine", uid)
        assert tracker.open(TRIAL) == {}
        tracker.close(Ending("finished"))
    assert len(runs(uri)) == 2

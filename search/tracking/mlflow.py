"""Trials in MLflow: a run a trial, in an experiment named as the study, with parameters, metrics by step, and tags."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from search.config.tracker_word import MLFLOW, shown
from search.tracking.base import Ending, Point, TrackedTrial, tracker_name

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Unless the user's environment says otherwise: a server that is away is given up in seconds, nothing is printed between
# the lines of a search, and nobody else hears of it.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
STATUS = {"finished": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
# Of one call, by MLflow's own limits.
MOST_POINTS, MOST_PARAMS, LONGEST_PARAM, LONGEST_TAG = 1000, 100, 6000, 5000


class MLflow:
    """Keeps each trial in a run, which whoever goes on with the trial finds again by its tags.

    Args:
        uri: Of the tracking server, or of a database.
        study: The study's name.
        uid: What tells the study from others of its name.
    """

    def __init__(self, uri: str, study: str, uid: str) -> None:
        self.word = f"{MLFLOW}:{shown(uri)}"
        self.look = f"experiment {study} at {shown(uri)}"
        self._uri, self._study, self._uid = uri, study, uid
        self._client: MlflowClient | None = None
        self._experiment = self._run = ""

    def prepare(self) -> None:
        """See ``Tracker``."""
        self._connect()

    def open(self, trial: TrackedTrial) -> Mapping[str, int]:
        """See ``Tracker``."""
        from mlflow.entities import Param

        client = self._connect()
        mine = f"tags.study_uid = '{self._uid}' and tags.trial = '{trial.number}'"
        found = client.search_runs([self._experiment], mine, max_results=1)
        if found:
            run = found[0].info.run_id
            client.update_run(run, status="RUNNING")
            client.set_tag(run, "state", "running")
            there = {name: client.get_metric_history(run, name) for name in found[0].data.metrics}
            self._run = run
            return {name: max(one.step for one in history) for name, history in there.items()}
        tags = {"study": self._study, "study_uid": self._uid, "trial": str(trial.number), "state": "running"}
        made = client.create_run(
            self._experiment, round(1000 * trial.began), tags, run_name=f"trial {trial.number}"
        )
        self._run = made.info.run_id
        params = [
            Param(tracker_name(name), str(value)[:LONGEST_PARAM] or "''")
            for name, value in trial.params.items()
        ]
        for first in range(0, len(params), MOST_PARAMS):
            client.log_batch(self._run, params=params[first : first + MOST_PARAMS])
        return {}

    def write(self, points: Sequence[Point]) -> None:
        """See ``Tracker``."""
        from mlflow.entities import Metric

        client, now = self._connect(), round(1000 * time.time())
        metrics = [Metric(curve, value, now, step) for curve, step, value in points]
        for first in range(0, len(metrics), MOST_POINTS):
            client.log_batch(self._run, metrics=metrics[first : first + MOST_POINTS])

    def close(self, ending: Ending | None) -> None:
        """See ``Tracker``."""
        from mlflow.entities import RunTag

        run, self._run = self._run, ""
        if not run:
            return
        client = self._connect()
        if ending is None:
            client.set_tag(run, "state", "waiting")
            client.update_run(run, status="SCHEDULED")
            return
        tags = {"state": ending.state, "why": ending.why[:LONGEST_TAG]}
        client.log_batch(run, tags=[RunTag(name, text) for name, text in tags.items() if text])
        client.set_terminated(run, STATUS[ending.state])

    def _connect(self) -> "MlflowClient":
        """The client, once the experiment is known."""
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        if self._client is not None:
            return self._client
        client = MlflowClient(tracking_uri=self._uri)
        experiment = client.get_experiment_by_name(self._study)
        if experiment is None:
            try:
                self._experiment = client.create_experiment(self._study)
            except MlflowException:  # Another worker has just made it.
                experiment = client.get_experiment_by_name(self._study)
                if experiment is None:
                    raise
        if experiment is not None:
            self._experiment = experiment.experiment_id
        self._client = client
        return client

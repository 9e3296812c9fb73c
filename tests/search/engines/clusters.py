"""What a study's workers on a cluster are known by."""

from search.engines.started import Started, read_started
from search.study.study import LoadedStudy
from storage.liveness import HEARTBEAT


def started(study: LoadedStudy) -> Started:
    (one,) = read_started(study.paths)
    return one


def pids(study: LoadedStudy) -> list[int]:
    """The process that has each trial, or had it last."""
    lives = [trial.system_attrs.get(HEARTBEAT, {}) for trial in study.optuna.trials]
    return [int(life["pid"]) for life in lives if "pid" in life]

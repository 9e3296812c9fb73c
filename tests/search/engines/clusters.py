"""What a study's workers on a cluster are known by."""

from pathlib import Path

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


def parent(pid: int) -> int:
    """The process that has started this one."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])

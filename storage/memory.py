"""Which workers have more memory than a trial found: those that run trials, and the one with most of those that wait.

A trial's last sign of life tells of its worker's memory. It is looked at in ended trials, too: between two of them a
worker has none. One that waits has had none for long, or never had any. So the waiting worker with most of a kind of
memory leaves a sign of life on the study itself, one for all that wait: however many they are, there is little to
write, and nothing to clear away.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from optuna.trial import FrozenTrial

from storage.database import Database
from storage.liveness import HEARTBEAT, is_worker_dead

# The kinds of memory that a worker says that it has; and the system attribute of a trial that wants more of one.
HOST, GPU = "host", "gpu"
MORE_MEMORY = "more_memory"
# A worker has more memory only from this factor on: hosts of one kind differ by what their systems keep for themselves.
MUCH_MORE = 1.1
# System attributes of a study: the sign of life of the waiting worker with most memory of a kind.
WAITING_WITH_MOST = {kind: f"waiting_with_most_{kind}" for kind in (HOST, GPU)}


def has_more(memory: Mapping[str, int], wish: Mapping[str, Any]) -> bool:
    """Whether a worker's memory, in bytes by kind, is as much as a trial wants (its ``MORE_MEMORY``)."""
    return bool(memory.get(wish["kind"], 0) > MUCH_MORE * wish["than"])


def lives_with_more(
    database: Database, study_id: int, trials: Iterable[FrozenTrial], wish: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The last signs of life, fresh or old, of workers with as much memory as a trial wants.

    Args:
        database: The study's database, which is asked once.
        study_id: Optuna's key of the study.
        trials: All trials of the study.
        wish: The trial's ``MORE_MEMORY``.
    """
    lives = [trial.system_attrs.get(HEARTBEAT) for trial in trials]
    waiting = database.get_study_system_attrs(study_id).get(WAITING_WITH_MOST[wish["kind"]])
    return [life for life in (*lives, waiting) if life and has_more(life.get("memory", {}), wish)]


def show_waiting(database: Database, study_id: int, life: Mapping[str, Any], patience: float) -> None:
    """Leave the sign of life of a worker that waits, where no other with as much memory has done so lately.

    Two that do so at once may overwrite each other; whoever has more is seen at its next sign of life.

    Args:
        database: The study's database.
        study_id: Optuna's key of the study.
        life: The sign of life, with the worker's memory.
        patience: Seconds after which another's sign of life is to be replaced.
    """
    shown = database.get_study_system_attrs(study_id)
    for kind, size in life["memory"].items():
        before = shown.get(WAITING_WITH_MOST[kind])
        if before is None or before["memory"][kind] < size or is_worker_dead(before, life["time"], patience):
            database.set_study_system_attr(study_id, WAITING_WITH_MOST[kind], dict(life))

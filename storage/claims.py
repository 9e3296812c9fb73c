"""Who may work on which trial: exactly N finished ones, each owned by one worker at a time.

Everything here happens under the claim lock. Optuna's own loop oversteps N with several workers and leaves trials
RUNNING for ever (measured); so counting, creating and the first sign of life are one step.
"""

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from storage.database import claim_lock

LIFE = "life"
INTERRUPTIONS = "interruptions"
MOST_INTERRUPTIONS = 20
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass
class Claims:
    """The claims of one worker on one study.

    Attributes:
        storage: The open database.
        url: Its URL, which also says where the lock is.
        study_id: Optuna's key of the study.
        worker: This worker's name.
        grace: Seconds without a sign of life after which a trial's worker is taken for dead.
        now: The clock, in seconds since the epoch; tests set it.
    """

    storage: optuna.storages.BaseStorage
    url: str
    study_id: int
    worker: str
    grace: float = 75.0
    now: Callable[[], float] = time.time

    def claim(self, wanted: int) -> int | None:
        """Take a trial, if one is owed.

        Args:
            wanted: The number of finished trials that the study shall have.

        Returns:
            Optuna's id of a trial that is RUNNING and this worker's, or None where finished and running trials
            together make ``wanted``.
        """
        with claim_lock(self.url):
            self.sweep()
            trials = self.storage.get_all_trials(self.study_id, deepcopy=False)
            taken = sum(trial.state in (*FINISHED, TrialState.RUNNING) for trial in trials)
            if taken >= wanted:
                return None
            # Trials given back come before those never begun: what was begun is nearer its end.
            waiting = [trial for trial in trials if trial.state == TrialState.WAITING]
            waiting.sort(key=lambda trial: (LIFE not in trial.system_attrs, trial.number))
            if waiting:
                trial_id = waiting[0]._trial_id
                self.storage.set_trial_state_values(trial_id, TrialState.RUNNING)
            else:
                trial_id = self.storage.create_new_trial(self.study_id)
            self.beat(trial_id)
            return trial_id

    def beat(self, trial_id: int, **facts: Any) -> None:
        """Give a sign of life, with what there is to show (epoch, value, images a second)."""
        life: dict[str, Any] = {
            "worker": self.worker,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "time": self.now(),
        }
        self.storage.set_trial_system_attr(trial_id, LIFE, {**life, **facts})

    def give_back(self, trial_id: int) -> None:
        """Put a trial back to WAITING under its number, or, the twenty-first time, end it as FAIL."""
        times = self.storage.get_trial(trial_id).system_attrs.get(INTERRUPTIONS, 0) + 1
        self.storage.set_trial_system_attr(trial_id, INTERRUPTIONS, times)
        if times > MOST_INTERRUPTIONS:
            self.storage.set_trial_user_attr(trial_id, "reason", f"interrupted {times} times")
            self.storage.set_trial_state_values(trial_id, TrialState.FAIL)
        else:
            self.storage.set_trial_state_values(trial_id, TrialState.WAITING)

    def sweep(self) -> None:
        """Give back the trials of dead workers; called under the lock."""
        running = self.storage.get_all_trials(self.study_id, deepcopy=False, states=(TrialState.RUNNING,))
        for trial in running:
            if not self._alive(trial):
                self.give_back(trial._trial_id)

    def _alive(self, trial: FrozenTrial) -> bool:
        life = trial.system_attrs.get(LIFE)
        if life is None:
            return False  # It died between creating the trial and its first sign of life: both are under our lock.
        if life["worker"] == self.worker:
            return (
                False  # A worker that claims owns no trial: this one is left from a run that was cut short.
            )
        if life["host"] == socket.gethostname() and not _process_exists(life["pid"]):
            return False  # On this host there is no need to wait for the grace to pass.
        return bool(self.now() - life["time"] <= self.grace)


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

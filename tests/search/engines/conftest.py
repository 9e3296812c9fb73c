"""What tests of workers at work wait for."""

from collections.abc import Callable

import pytest
from optuna.trial import FrozenTrial, TrialState

from search.study.study import LoadedStudy


def running_far(study: LoadedStudy, count: int = 1) -> list[FrozenTrial]:
    trials = study.optuna.get_trials(deepcopy=False)
    running = [trial for trial in trials if trial.state == TrialState.RUNNING and (trial.last_step or 0) >= 3]
    return running if len(running) >= count else []


@pytest.fixture
def far() -> Callable[..., list[FrozenTrial]]:
    """So many running trials of a study, once each has come to its third epoch."""
    return running_far

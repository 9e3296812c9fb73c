"""What tests of workers at work start, and wait for."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState

from search.config.settings import RunOptions
from search.process.fork_server import ForkServer
from search.study.study import LoadedStudy
from search.workflows.results import StudyResult
from search.workflows.run import search_and_export


def running_far(study: LoadedStudy, count: int = 1) -> list[FrozenTrial]:
    trials = study.optuna.get_trials(deepcopy=False)
    running = [trial for trial in trials if trial.state == TrialState.RUNNING and (trial.last_step or 0) >= 3]
    return running if len(running) >= count else []


@pytest.fixture
def far() -> Callable[..., list[FrozenTrial]]:
    """So many running trials of a study, once each has come to its third epoch."""
    return running_far


@pytest.fixture
def search(
    digits, fast_server: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., StudyResult]:
    """``search.run`` on the study ``s`` of digits, in this process; what is asked for counts."""
    monkeypatch.setattr("search.workflows.run.ForkServer", lambda backend: nullcontext(fast_server))
    fixed = {"data": "digits", "space": "small_space", "images": 200, "pruner": "none", "sampler": "random"}

    def run(**more: Any) -> StudyResult:
        places = {"root": tmp_path / "studies", "cache": digits.folder.parent}
        return search_and_export(RunOptions.given("s", **{**fixed, **places, "export": False, **more}))

    return run

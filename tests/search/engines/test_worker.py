"""A worker of a space of few configurations: each is tried once, whoever works, and then the search ends."""

import few_space
import pytest
from optuna.trial import TrialState

from search.engines.local import LocalWorkers
from search.engines.resources import ResourceSlot
from search.engines.worker import run_worker
from search.execution.stop_requests import Stop
from search.process.fork_server import ForkServer
from search.study.configurations import all_configurations, end_exhausted, key_of
from search.study.study import LoadedStudy


def tried(study: LoadedStudy) -> list:
    return [key_of(trial.params) for trial in study.optuna.get_trials(states=(TrialState.COMPLETE,))]


def test_workers_try_every_configuration_of_a_space_once_and_end(
    open_digits, fast_server: ForkServer
) -> None:
    study = open_digits(space="few_space", trials=50, sampler="prior")
    LocalWorkers(study, fast_server, [ResourceSlot(1, {})] * 3).run(Stop())
    listed = all_configurations(few_space, study.config.input_spec)
    assert len(tried(study)) == len(set(tried(study))) == len(listed) == 12
    assert end_exhausted(study) == (
        "space few_space has 12 configurations for these images, and all have been tried: study s ends with 12 trials "
        "instead of 50"
    )
    assert study.wanted == 12
    assert end_exhausted(study) == ""


@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
def test_search_of_fewer_trials_than_there_are_configurations_is_not_exhausted(
    open_digits, fast_server: ForkServer
) -> None:
    study = open_digits(space="few_space", trials=3)
    run_worker(study, fast_server, Stop(), ResourceSlot(1, {}), checkpoint_seconds=0.0)
    assert len(tried(study)) == 3
    assert end_exhausted(study) == ""
    assert study.wanted == 3

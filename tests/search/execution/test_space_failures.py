"""A space that fails, or whose file is edited while it is searched: when the search ends, and in which words."""

import re
import sys
from collections.abc import Callable, Iterator
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

import spaces
from search.config.settings import RunOptions
from search.data import Dataset
from search.errors import InputError, SpaceChanged, StudyStopped
from search.execution.stop_requests import Stop
from search.execution.worker import Worker
from search.execution.worker_loop import work
from search.process.fork_server import ForkServer
from search.study.opening import open_study
from storage.claims import Claims

SMALL = Path(__file__).parents[1] / "in_child" / "small_space.py"
BREAK = '    fault = params["fault"]\n'


class Edited:
    """A space in a file of its own, which children find too."""

    def __init__(self, file: Path) -> None:
        self.file, self.name = file, file.stem

    def write(self, old: str = "", new: str = "") -> None:
        text = SMALL.read_text()
        assert old in text
        self.file.write_text(text.replace(old, new, 1))
        # Python would take another text of the same length and second for what it has compiled.
        Path(cache_from_source(str(self.file))).unlink(missing_ok=True)


@pytest.fixture
def space(monkeypatch: pytest.MonkeyPatch) -> Iterator[Edited]:
    """A copy of ``small_space.py``; it lies beside that, for the fork server knows no other folder."""
    monkeypatch.setattr(spaces, "SAVING_SECONDS", 0.2)
    edited = Edited(SMALL.with_name("edited_space.py"))
    edited.write()
    yield edited
    edited.file.unlink(missing_ok=True)
    sys.modules.pop(edited.name, None)


@pytest.fixture
def worker_of(
    digits: Dataset, fast_server: ForkServer, space: Edited, tmp_path: Path
) -> Callable[..., Worker]:
    """Open a study of the space, as the command does, for one worker."""

    def make(**more: Any) -> Worker:
        asked = {"data": "digits", "space": space.name, "sampler": "random", "pruner": "none", "epochs": 1}
        places = {"root": tmp_path / "studies", "cache": digits.folder.parent}
        study = open_study(RunOptions.given("s", **{**asked, "images": 200, "flip": False, **places, **more}))
        claims = Claims(study.storage, study.study_id, "worker-1")
        return Worker(study, fast_server, claims, Stop(), threads=1, checkpoint_seconds=0.0)

    return make


def reload(space: Edited) -> None:
    """As a new process would have it."""
    sys.modules.pop(space.name, None)


def states(worker: Worker) -> list[TrialState]:
    return [trial.state for trial in worker.study.optuna.get_trials()]


def test_build_that_fails_for_the_default_ends_the_search_at_once_and_can_be_mended(space, worker_of) -> None:
    space.write(BREAK, "    raise ValueError(f'layer {id(params)} is no layer')\n")
    worker = worker_of()
    with pytest.raises(InputError) as stopped:
        work(worker, lambda: 3)
    assert re.fullmatch(
        r"space edited_space: its own default configuration, trial 0, fails: ValueError: layer \d+ is no layer "
        r"\(edited_space.py, line \d+, in break_as_asked\); mend the space, then run the same command again",
        str(stopped.value),
    )
    assert states(worker) == [TrialState.FAIL]

    reload(space)
    with pytest.raises(InputError, match="its own default configuration, trial 1, fails"):
        work(worker_of(), lambda: 3)  # It was not mended.

    space.write()
    reload(space)
    worker = worker_of()
    work(worker, lambda: 2)
    assert states(worker) == [TrialState.FAIL] * 2 + [TrialState.COMPLETE] * 2
    assert worker.study.optuna.trials[2].params["width"] == 16


@pytest.mark.parametrize("ends", ["SystemExit('bye')", "KeyboardInterrupt('bye')"])
def test_build_that_ends_its_process_for_the_default_ends_the_search_at_once(space, worker_of, ends) -> None:
    space.write(BREAK, f"    raise {ends}\n")
    worker = worker_of()
    with pytest.raises(InputError, match=r"trial 0, fails: \w+: bye \(edited_space.py, line \d+, in break"):
        work(worker, lambda: 3)
    assert states(worker) == [TrialState.FAIL]


def test_build_that_fails_with_varying_numbers_is_one_reason(space, worker_of) -> None:
    space.write(BREAK, "    raise ValueError(f'layer_{id(params)} of {params}')\n")
    space.file.write_text(space.file.read_text().replace("def first(", "def unused("))
    worker = worker_of()
    with pytest.raises(
        StudyStopped, match=r"^10 trials in a row failed for one reason; .*line \d+, in break"
    ):
        work(worker, lambda: 3)
    assert len(states(worker)) == 10


@pytest.mark.parametrize("edited", ["another build", "half saved", "gone"])
def test_space_that_is_edited_while_it_is_searched_ends_the_search_and_costs_no_trial(
    space, worker_of, monkeypatch, edited: str
) -> None:
    worker = worker_of()
    start = worker.server.start

    def start_edited(job: str, *more: Any, **settings: Any) -> Any:
        """The file is saved between the claim and the child."""
        if job == "search.training.job:train":
            space.write("momentum=0.8", "momentum=0.9")
            if edited == "half saved":
                space.file.write_text(space.file.read_text()[:900])
            elif edited == "gone":
                space.file.unlink()
        return start(job, *more, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(worker.server, "start", start_edited)
        with pytest.raises(SpaceChanged) as stopped:
            work(worker, lambda: 1)
    assert str(stopped.value).startswith(
        "space edited_space: its code has been changed since the search read it"
    )
    assert "\n" not in str(stopped.value)
    assert states(worker) == [TrialState.WAITING]

    with pytest.raises(SpaceChanged):  # Nothing is claimed.
        work(worker, lambda: 1)
    space.write()
    work(worker, lambda: 1)
    assert states(worker) == [TrialState.COMPLETE]


def test_worker_with_another_version_of_the_space_claims_nothing(space, worker_of) -> None:
    worker = worker_of()
    space.write("momentum=0.8", "momentum=0.9")
    reload(space)
    with pytest.raises(InputError, match="study s was made with another version of it"):
        work(worker, lambda: 1)
    assert states(worker) == [TrialState.WAITING]


def test_joint_sampling_that_fails_fails_the_trial_and_not_the_worker(space, worker_of, monkeypatch) -> None:
    def fails(self: Any, study: Any, trial: Any, search_space: Any) -> Any:
        raise ValueError("these cannot be sampled together")

    space.write("def first(", "def unused(")
    worker = worker_of(sampler="tpe")
    monkeypatch.setattr("optuna.samplers.TPESampler.sample_relative", fails)
    with pytest.raises(StudyStopped, match=r"10 trials in a row failed for one reason; .*sampled together"):
        work(worker, lambda: 1)
    assert {trial.user_attrs["reason"] for trial in worker.study.optuna.trials} == {
        "ValueError: these cannot be sampled together (test_space_failures.py, line "
        f"{fails.__code__.co_firstlineno + 1}, in fails)"
    }

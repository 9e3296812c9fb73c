"""The contract of claims: exactly N finished trials, each owned by one worker at a time, none lost."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from storage.claims import INTERRUPTIONS, LIFE, MOST_INTERRUPTIONS, Claims
from storage.database import open_storage

ROOT = Path(__file__).parents[2]
GRACE = 75.0
WANTED = 24
# Four processes, forked from one so that they start together, finish trials and give every fifth back once.
CLAIMING = """
import json, os, sys, time
from pathlib import Path
from optuna.trial import TrialState
from storage.claims import INTERRUPTIONS, Claims
from storage.database import open_storage

url, study_id, wanted, place = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
begin = time.time() + 0.5
for number in range(4):
    if os.fork():
        continue
    done = []
    storage = open_storage(url)
    claims = Claims(storage, url, study_id, f"worker-{number}")
    time.sleep(max(0.0, begin - time.time()))
    while (trial_id := claims.claim(wanted)) is not None:
        trial = storage.get_trial(trial_id)
        if trial.number % 5 == 0 and INTERRUPTIONS not in trial.system_attrs:
            claims.give_back(trial_id)
            continue
        time.sleep(0.005)
        storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.5])
        done.append(trial.number)
    (place / f"{number}.json").write_text(json.dumps(done))
    os._exit(0)
for number in range(4):
    assert os.wait()[1] == 0
"""


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'search.db'}"


@pytest.fixture
def study(url: str) -> optuna.Study:
    return optuna.create_study(study_name="s", storage=open_storage(url), direction="maximize")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def claims(study: optuna.Study, url: str, clock: Clock) -> Claims:
    return Claims(study._storage, url, study._study_id, "one", grace=GRACE, now=clock)


@pytest.fixture
def other(study: optuna.Study, url: str, clock: Clock) -> Claims:
    """Another worker on the same study."""
    return Claims(study._storage, url, study._study_id, "two", grace=GRACE, now=clock)


def states(study: optuna.Study) -> list[str]:
    return [trial.state.name for trial in study.trials]


def live_as(claims: Claims, trial_id: int, **facts: object) -> None:
    """Write a sign of life with other facts than this process's own."""
    life = claims.storage.get_trial(trial_id).system_attrs[LIFE]
    claims.storage.set_trial_system_attr(trial_id, LIFE, {**life, **facts})


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def claimed(claims: Claims, wanted: int = 1) -> int:
    trial_id = claims.claim(wanted)
    assert trial_id is not None
    return trial_id


def test_claimed_trial_runs_and_has_a_sign_of_life(study: optuna.Study, claims: Claims, clock: Clock) -> None:
    trial_id = claimed(claims)
    (trial,) = study.trials
    assert (trial._trial_id, trial.state) == (trial_id, TrialState.RUNNING)
    assert trial.system_attrs[LIFE] == {
        "worker": "one",
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "time": clock.seconds,
    }


def test_sign_of_life_shows_what_it_is_given(study: optuna.Study, claims: Claims, clock: Clock) -> None:
    trial_id = claimed(claims)
    clock.seconds += 15
    claims.beat(trial_id, epoch=3, value=0.5)
    life = study.trials[0].system_attrs[LIFE]
    assert (life["epoch"], life["value"], life["time"]) == (3, 0.5, clock.seconds)


def number_of(study: optuna.Study, trial_id: int) -> int:
    return study._storage.get_trial(trial_id).number


def test_nothing_is_given_out_where_finished_and_running_make_n(
    study: optuna.Study, claims: Claims, other: Claims
) -> None:
    study.tell(number_of(study, claimed(claims)), 0.5)
    claimed(claims, 2)
    assert other.claim(2) is None
    assert other.claim(3) is not None


@pytest.mark.parametrize(("state", "counts"), [("COMPLETE", True), ("PRUNED", True), ("FAIL", False)])
def test_complete_and_pruned_trials_count_and_failed_ones_do_not(
    study: optuna.Study, claims: Claims, state: str, counts: bool
) -> None:
    value = 0.5 if state == "COMPLETE" else None
    study.tell(number_of(study, claimed(claims)), value, state=TrialState[state])
    assert (claims.claim(1) is None) is counts


def test_waiting_trial_is_given_out_before_a_new_one_is_made(study: optuna.Study, claims: Claims) -> None:
    study.enqueue_trial({"width": 3})
    trial_id = claimed(claims)
    assert study._storage.get_trial(trial_id).system_attrs["fixed_params"] == {"width": 3}
    assert len(study.trials) == 1


def test_trial_begun_is_given_out_before_those_never_begun(study: optuna.Study, claims: Claims) -> None:
    for width in (3, 4):
        study.enqueue_trial({"width": width})
    begun = study.trials[1]._trial_id
    claims.beat(begun)
    assert claims.claim(5) == begun


def test_trial_given_back_waits_under_its_number_with_what_it_has(
    study: optuna.Study, claims: Claims, other: Claims
) -> None:
    trial_id = claimed(claims)
    study._storage.set_trial_user_attr(trial_id, "epochs", 4)
    study._storage.set_trial_intermediate_value(trial_id, 4, 0.7)
    claims.give_back(trial_id)
    assert states(study) == ["WAITING"]
    assert other.claim(1) == trial_id
    (trial,) = study.trials
    assert (trial.number, trial.user_attrs["epochs"], trial.last_step) == (0, 4, 4)


def test_twenty_first_interruption_fails_the_trial(study: optuna.Study, claims: Claims) -> None:
    for _ in range(MOST_INTERRUPTIONS):
        claims.give_back(claimed(claims))
        assert states(study) == ["WAITING"]
    claims.give_back(claimed(claims))
    (trial,) = study.trials
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["reason"] == "interrupted 21 times"
    assert claims.claim(1) is not None


def test_live_trial_is_left_alone(study: optuna.Study, claims: Claims, other: Claims, clock: Clock) -> None:
    live_as(claims, claimed(claims), host="elsewhere", pid=1)
    clock.seconds += GRACE
    other.sweep()
    assert states(study) == ["RUNNING"]


def test_stale_trial_of_another_host_is_given_back(
    study: optuna.Study, claims: Claims, other: Claims, clock: Clock
) -> None:
    trial_id = claimed(claims)
    live_as(claims, trial_id, host="elsewhere", pid=1)
    clock.seconds += GRACE + 1
    assert other.claim(1) == trial_id
    (trial,) = study.trials
    assert trial.system_attrs[INTERRUPTIONS] == 1
    assert trial.system_attrs[LIFE]["worker"] == "two"


def test_hung_worker_of_this_host_is_stale_after_the_grace(
    study: optuna.Study, claims: Claims, other: Claims, clock: Clock
) -> None:
    claimed(claims)  # This very process is alive, and silent.
    other.sweep()
    assert states(study) == ["RUNNING"]
    clock.seconds += GRACE + 1
    other.sweep()
    assert states(study) == ["WAITING"]


def test_sign_of_life_keeps_a_trial(study: optuna.Study, claims: Claims, other: Claims, clock: Clock) -> None:
    trial_id = claimed(claims)
    for _ in range(5):
        clock.seconds += 60
        claims.beat(trial_id)
        other.sweep()
    assert states(study) == ["RUNNING"]


def test_dead_process_of_this_host_is_swept_at_once(
    study: optuna.Study, claims: Claims, other: Claims
) -> None:
    trial_id = claimed(claims)
    live_as(claims, trial_id, pid=dead_pid())
    assert other.claim(1) == trial_id


def test_process_of_another_user_is_alive(
    study: optuna.Study, claims: Claims, other: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed(claims)

    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    other.sweep()
    assert states(study) == ["RUNNING"]


def test_worker_that_claims_takes_its_own_left_trial_again(claims: Claims) -> None:
    trial_id = claimed(claims)
    assert claims.claim(1) == trial_id


def test_trial_that_died_before_its_first_sign_of_life_is_swept(study: optuna.Study, claims: Claims) -> None:
    trial_id = study._storage.create_new_trial(study._study_id)
    assert claims.claim(1) == trial_id


def test_other_studies_are_left_alone(study: optuna.Study, claims: Claims) -> None:
    other = optuna.create_study(study_name="other", storage=study._storage)
    other.ask()
    claims.sweep()
    assert states(other) == ["RUNNING"]


@pytest.mark.slow
def test_four_processes_finish_exactly_n_trials_each_once(
    study: optuna.Study, url: str, tmp_path: Path
) -> None:
    arguments = [url, str(study._study_id), str(WANTED), str(tmp_path)]
    subprocess.run([sys.executable, "-c", CLAIMING, *arguments], cwd=ROOT, check=True, timeout=120)
    done = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("*.json"))]
    numbers = sorted(number for by_worker in done for number in by_worker)
    assert numbers == list(range(WANTED))
    assert states(study) == ["COMPLETE"] * WANTED
    assert sum(bool(by_worker) for by_worker in done) >= 2

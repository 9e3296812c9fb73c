"""The contract of claims, on every database: exactly N finished trials, each owned by one worker, none lost."""

import functools
import os
import socket
import time
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from storage import process_identity
from storage.claims import (
    INTERRUPTIONS,
    MOST_INTERRUPTIONS,
    WITHOUT_PROGRESS,
    Claim,
    ClaimLost,
    Claims,
    SecondHost,
)
from storage.connect import open_storage
from storage.database import Database
from storage.liveness import HEARTBEAT
from storage.memory import HOST, WAITING_WITH_MOST
from storage.timeouts import Timeouts
from tests.storage.processes import claim_until_none_is_owed, live_in_time_zone

GRACE = 75.0
WANTED = 24


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture(scope="module")
def connect(shared_url: str) -> Callable[[str], Database]:
    """The database as the worker of a name has it: a connection of its own, for all tests of the module."""
    return functools.cache(lambda name: open_storage(shared_url, Timeouts(grace=GRACE)))


@pytest.fixture
def study(connect: Callable[[str], Database], study_name: str) -> optuna.Study:
    return optuna.create_study(study_name=study_name, storage=connect("nobody"), direction="maximize")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_claims(
    study: optuna.Study, connect: Callable[[str], Database], clock: Clock
) -> Callable[..., Claims]:
    """A worker's claims, through a connection of its own, all on one clock."""

    def make(name: str, **more: Any) -> Claims:
        return Claims(connect(name), study._study_id, name, now=clock, monotonic=clock, **more)

    return make


@pytest.fixture
def claims(make_claims: Callable[..., Claims]) -> Claims:
    return make_claims("one")


@pytest.fixture
def other(make_claims: Callable[..., Claims]) -> Claims:
    """Another worker on the same study."""
    return make_claims("two")


def states(study: optuna.Study) -> list[str]:
    return [trial.state.name for trial in study.trials]


def live_as(claim: Claim, **facts: object) -> None:
    """Write a sign of life with other facts than this process's own."""
    database = claim.claims.database
    life = database.get_trial(claim.trial_id).system_attrs[HEARTBEAT]
    database.set_trial_system_attr(claim.trial_id, HEARTBEAT, {**life, **facts})


def dead_pid() -> int:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    return pid


def claimed(claims: Claims, wanted: int = 1) -> Claim:
    claim = claims.claim(wanted)
    assert claim is not None
    return claim


def watch(claims: Claims, clock: Clock, seconds: float, beating: list[Claim]) -> None:
    """Let time pass in which ``claims`` keeps in contact, and so do the owners of ``beating``."""
    for _ in range(int(seconds / 15)):
        clock.seconds += 15
        for claim in beating:
            claim.heartbeat()
        claims.has_work(0)


def test_claimed_trial_runs_and_has_a_sign_of_life(study: optuna.Study, claims: Claims, clock: Clock) -> None:
    claim = claimed(claims)
    (trial,) = study.trials
    assert (trial._trial_id, trial.number, trial.state) == (claim.trial_id, claim.number, TrialState.RUNNING)
    assert trial.system_attrs[HEARTBEAT] == {
        "token": claim.token,
        "worker": "one",
        "host": socket.gethostname(),
        "place": process_identity.pid_namespace(),
        "pid": os.getpid(),
        "started": process_identity.start_time(os.getpid()),
        "time": clock.seconds,
    }


def test_sign_of_life_shows_what_it_is_given(study: optuna.Study, claims: Claims, clock: Clock) -> None:
    claim = claimed(claims)
    clock.seconds += 15
    claim.heartbeat(epoch=3, value=0.5)
    life = study.trials[0].system_attrs[HEARTBEAT]
    assert (life["epoch"], life["value"], life["time"]) == (3, 0.5, clock.seconds)


def test_nothing_is_given_out_where_finished_and_running_make_n(claims: Claims, other: Claims) -> None:
    claimed(claims).finish(TrialState.COMPLETE, 0.5)
    claimed(claims, 2)
    assert other.claim(2) is None
    assert not other.has_work(2)
    assert other.has_work(3)
    assert other.claim(3) is not None


def test_number_is_asked_under_the_lock_that_one_who_lowers_it_holds(claims: Claims) -> None:
    locked = []

    def wanted() -> int:
        locked.append(claims.database.guard is not None)
        return 0

    assert claims.claim(wanted) is None
    assert locked == [True]


@pytest.mark.parametrize(("state", "counts"), [("COMPLETE", True), ("PRUNED", True), ("FAIL", False)])
def test_complete_and_pruned_trials_count_and_failed_ones_do_not(
    claims: Claims, state: str, counts: bool
) -> None:
    claimed(claims).finish(TrialState[state], 0.5 if state == "COMPLETE" else None)
    assert claims.finished() == counts
    assert (claims.claim(1) is None) is counts


def test_waiting_trial_is_given_out_before_a_new_one_is_made(study: optuna.Study, claims: Claims) -> None:
    study.enqueue_trial({"width": 3})
    claim = claimed(claims)
    assert study._storage.get_trial(claim.trial_id).system_attrs["fixed_params"] == {"width": 3}
    assert len(study.trials) == 1


def test_trial_begun_is_given_out_before_those_never_begun(study: optuna.Study, claims: Claims) -> None:
    for width in (3, 4):
        study.enqueue_trial({"width": width})
    begun = study.trials[1]._trial_id
    study._storage.set_trial_system_attr(begun, HEARTBEAT, claims.sign_of_life("earlier"))
    assert claimed(claims, 5).trial_id == begun


def test_trial_given_back_waits_under_its_number_with_what_it_has(
    study: optuna.Study, claims: Claims, other: Claims
) -> None:
    claim = claimed(claims)
    study._storage.set_trial_user_attr(claim.trial_id, "epochs", 4)
    study._storage.set_trial_intermediate_value(claim.trial_id, 4, 0.7)
    claim.requeue()
    assert states(study) == ["WAITING"]
    assert claimed(other).trial_id == claim.trial_id
    (trial,) = study.trials
    assert (trial.number, trial.user_attrs["epochs"], trial.last_step) == (0, 4, 4)


def test_twenty_first_interruption_without_progress_fails_the_trial(
    study: optuna.Study, claims: Claims
) -> None:
    for _ in range(MOST_INTERRUPTIONS):
        claimed(claims).requeue()
        assert states(study) == ["WAITING"]
    claimed(claims).requeue()
    (trial,) = study.trials
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["reason"] == "interrupted 21 times without progress"
    assert claims.claim(1) is not None


def test_interruption_after_progress_does_not_count_against_the_trial(
    study: optuna.Study, claims: Claims
) -> None:
    claim = claimed(claims)
    for epoch in range(1, MOST_INTERRUPTIONS + 5):
        study._storage.set_trial_intermediate_value(claim.trial_id, epoch, 0.5)
        claim.requeue()
        claim = claimed(claims)
    (trial,) = study.trials
    assert trial.state == TrialState.RUNNING
    assert trial.system_attrs[INTERRUPTIONS] == MOST_INTERRUPTIONS + 4
    assert trial.system_attrs[WITHOUT_PROGRESS] == {"times": 0, "reached": MOST_INTERRUPTIONS + 4}


def test_progress_within_a_fold_is_known_by_the_sign_of_life(study: optuna.Study, claims: Claims) -> None:
    for epoch in (11, 12, 12):
        claim = claimed(claims)
        study._storage.set_trial_intermediate_value(claim.trial_id, 1, 0.5)  # The first fold's.
        claim.heartbeat(epoch=epoch)
        claim.requeue()
    assert study.trials[0].system_attrs[WITHOUT_PROGRESS] == {"times": 1, "reached": 12}


def test_trial_stopped_in_good_order_is_never_given_up(study: optuna.Study, claims: Claims) -> None:
    """As by one short --timeout after another."""
    for _ in range(MOST_INTERRUPTIONS + 2):
        claimed(claims).requeue(clean=True)
    assert states(study) == ["WAITING"]


def test_worker_whose_process_id_is_anothers_by_now_is_dead(
    study: optuna.Study, claims: Claims, other: Claims
) -> None:
    started = process_identity.start_time(os.getpid())
    assert started is not None
    live_as(claimed(claims), started=started - 1)
    assert claimed(other).number == 0


def test_live_trial_is_left_alone(study: optuna.Study, claims: Claims, other: Claims, clock: Clock) -> None:
    live_as(claimed(claims), host="elsewhere", place="elsewhere", pid=1)
    watch(other, clock, GRACE, [])
    assert other.sweep() == []
    assert states(study) == ["RUNNING"]


def test_stale_trial_of_another_host_is_given_back_once_it_was_watched_for_a_grace(
    study: optuna.Study, claims: Claims, other: Claims, clock: Clock
) -> None:
    claim = claimed(claims)
    live_as(claim, host="elsewhere", place="elsewhere", pid=1)
    watch(other, clock, GRACE + 30, [])
    assert claimed(other).trial_id == claim.trial_id
    (trial,) = study.trials
    assert trial.system_attrs[INTERRUPTIONS] == 1
    assert trial.system_attrs[HEARTBEAT]["worker"] == "two"


def test_stale_trial_is_not_judged_by_one_who_has_just_come(
    study: optuna.Study, claims: Claims, other: Claims, clock: Clock
) -> None:
    """The silence may be an outage's, of which a newcomer cannot know."""
    live_as(claimed(claims), host="elsewhere", place="elsewhere", pid=1)
    clock.seconds += 3 * GRACE
    assert other.sweep() == []
    assert states(study) == ["RUNNING"]


def test_trial_silent_for_longer_than_any_outage_is_given_back_at_first_sight(
    claims: Claims, other: Claims, clock: Clock
) -> None:
    live_as(claimed(claims), host="elsewhere", place="elsewhere", pid=1)
    clock.seconds += GRACE + Timeouts().outage + 1
    assert other.sweep() == [0]


def test_live_trials_survive_an_outage_longer_than_the_grace(
    study: optuna.Study, claims: Claims, other: Claims, clock: Clock
) -> None:
    """The first worker back would else fail everyone else's live trials (Optuna, measured)."""
    claim = claimed(claims)
    live_as(claim, host="elsewhere", place="elsewhere", pid=1)
    watch(other, clock, 3 * GRACE, [])  # It has long been watching.
    assert other.sweep() == [0]
    claim = claimed(claims)
    live_as(claim, host="elsewhere", place="elsewhere", pid=1)
    watch(other, clock, 30, [claim])
    clock.seconds += 4 * GRACE  # Nobody reached the database.
    assert other.sweep() == []
    claim.heartbeat()
    watch(other, clock, 2 * GRACE, [claim])
    assert other.sweep() == []
    assert states(study) == ["RUNNING"]


def test_worker_that_was_itself_paused_does_not_judge_others_at_once(
    claims: Claims, other: Claims, clock: Clock
) -> None:
    live_as(claimed(claims), host="elsewhere", place="elsewhere", pid=1)
    watch(other, clock, 30, [])
    clock.seconds += 2 * GRACE
    assert other.sweep() == []
    watch(other, clock, GRACE + 15, [])
    assert other.sweep() == [0]


def test_hung_worker_of_this_host_is_stale_after_the_grace(
    study: optuna.Study, claims: Claims, other: Claims, clock: Clock
) -> None:
    claimed(claims)  # This very process is alive, and silent.
    assert other.sweep() == []
    watch(other, clock, GRACE + 30, [])
    assert other.sweep() == [0]


def test_sign_of_life_keeps_a_trial(study: optuna.Study, claims: Claims, other: Claims, clock: Clock) -> None:
    watch(other, clock, 5 * GRACE, [claimed(claims)])
    assert other.sweep() == []
    assert states(study) == ["RUNNING"]


def test_dead_process_of_this_host_is_swept_at_once(claims: Claims, other: Claims) -> None:
    claim = claimed(claims)
    live_as(claim, pid=dead_pid())
    assert other.has_work(1)
    assert claimed(other).trial_id == claim.trial_id


def test_dead_pid_in_another_container_of_this_host_says_nothing(claims: Claims, other: Claims) -> None:
    live_as(claimed(claims), place=f"{process_identity.machine()} pid:[1]", pid=dead_pid())
    assert other.sweep() == []


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
    claim = claimed(claims)
    assert claimed(claims).trial_id == claim.trial_id


def test_trial_that_died_before_its_first_sign_of_life_is_swept(study: optuna.Study, claims: Claims) -> None:
    trial_id = study._storage.create_new_trial(study._study_id)
    assert claimed(claims).trial_id == trial_id


def test_trial_that_a_sweeper_counted_and_then_dropped_is_requeued(
    study: optuna.Study,
    claims: Claims,
    other: Claims,
    make_claims: Callable[..., Claims],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stock Optuna fails and requeues in two steps: a death between them loses the trial."""
    claim = claimed(claims)
    live_as(claim, pid=dead_pid())

    def die(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(other.database, "set_trial_state_values", die)
    with pytest.raises(SystemExit):
        other.sweep()
    assert states(study) == ["RUNNING"]
    assert claimed(make_claims("three")).trial_id == claim.trial_id


def test_other_studies_are_left_alone(study: optuna.Study, claims: Claims) -> None:
    other = optuna.create_study(study_name=f"other than {study.study_name}", storage=study._storage)
    other.ask()
    claims.sweep()
    assert states(other) == ["RUNNING"]


@pytest.mark.parametrize("state", [TrialState.PRUNED, TrialState.COMPLETE])
def test_value_that_is_no_number_does_not_spoil_the_study(
    study: optuna.Study, claims: Claims, other: Claims, state: TrialState
) -> None:
    """A NaN among the values made a study unreadable on SQLite, for every worker (Optuna 5.0)."""
    claimed(claims).finish(state, float("nan"))
    assert study.trials[0].state == state
    assert other.claim(5) is not None


def give_away(claim: Claim, to: Claims) -> Claim:
    """Take a trial from its owner, as if that had been silent for too long."""
    live_as(claim, pid=dead_pid())
    taken = claimed(to)
    assert taken.trial_id == claim.trial_id
    return taken


@pytest.mark.parametrize("waiting", [True, False], ids=["still waiting", "with its new owner"])
def test_worker_whose_trial_was_given_away_can_write_nothing_to_it(
    study: optuna.Study, claims: Claims, other: Claims, waiting: bool
) -> None:
    claim = claimed(claims)
    if waiting:
        live_as(claim, pid=dead_pid())
        assert other.sweep() == [0]
    else:
        give_away(claim, other)
    before = study.trials[0]
    storage = claims.database
    for write in (
        lambda: claim.heartbeat(epoch=9),
        lambda: claim.finish(TrialState.COMPLETE, 0.9),
        lambda: storage.set_trial_user_attr(claim.trial_id, "history", {}),
        lambda: storage.set_trial_intermediate_value(claim.trial_id, 9, 0.9),
        lambda: storage.set_trial_state_values(claim.trial_id, TrialState.FAIL),
    ):
        with pytest.raises(ClaimLost), claim.fenced():
            write()
    (after,) = study.trials
    assert after == before


def test_giving_back_what_waits_already_is_no_error(
    study: optuna.Study, claims: Claims, other: Claims
) -> None:
    """A sweeper was faster, or the answer to a first try was lost: its checkpoint must not be taken for lost."""
    claim = claimed(claims)
    live_as(claim, pid=dead_pid())
    assert other.sweep() == [0]
    before = study.trials[0]
    claim.requeue()
    assert study.trials[0] == before


def test_giving_back_what_another_runs_is_refused(claims: Claims, other: Claims) -> None:
    claim = claimed(claims)
    give_away(claim, other)
    with pytest.raises(ClaimLost):
        claim.requeue()


def test_worker_whose_trial_was_ended_by_another_can_write_nothing_to_it(
    study: optuna.Study, claims: Claims, other: Claims
) -> None:
    claim = claimed(claims)
    give_away(claim, other).finish(TrialState.COMPLETE, 0.7)
    with pytest.raises(ClaimLost):
        claim.finish(TrialState.COMPLETE, 0.1)
    assert study.trials[0].value == 0.7


def test_new_owner_writes_as_if_there_had_been_no_other(
    study: optuna.Study, claims: Claims, other: Claims
) -> None:
    taken = give_away(claimed(claims), other)
    with taken.fenced():
        other.database.set_trial_user_attr(taken.trial_id, "epochs", 2)
    taken.heartbeat(epoch=2)
    taken.finish(TrialState.COMPLETE, 0.5)
    assert (study.trials[0].user_attrs["epochs"], study.trials[0].value) == (2, 0.5)


def test_sweep_leaves_a_trial_that_beats_while_it_is_judged(
    study: optuna.Study, claims: Claims, other: Claims, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = claimed(claims)
    watch(other, clock, GRACE + 30, [])
    judge = Claims.is_owner_dead

    def dead_until_it_beats(self: Claims, trial: optuna.trial.FrozenTrial, now: float) -> bool:
        found = judge(self, trial, now)
        claim.heartbeat()
        return found

    monkeypatch.setattr(Claims, "is_owner_dead", dead_until_it_beats)
    assert other.sweep() == []
    assert states(study) == ["RUNNING"]


def test_second_host_on_sqlite_is_refused(claims: Claims, other: Claims) -> None:
    live_as(claimed(claims, 2), host="elsewhere", place="another-boot pid:[1]", pid=1)
    if claims.database.is_sqlite:
        with pytest.raises(SecondHost, match="host elsewhere is working on this SQLite database"):
            other.claim(2)
    else:
        assert other.claim(2) is not None


def test_hosts_in_different_time_zones_agree_on_who_lives(
    study: optuna.Study, shared_url: str, start: Callable[..., Any]
) -> None:
    """Postgres: hosts with different PGTZ declared live trials dead (Optuna, measured)."""
    far = [
        start(live_in_time_zone, shared_url, study._study_id, 2, zone)
        for zone in ("Pacific/Auckland", "America/Los_Angeles")
    ]
    for _, told in far:
        assert abs(told.recv()) < 5
    here = Claims(study._storage, study._study_id, "near", monotonic=lambda: time.monotonic() * 1000)
    here.has_work(0)
    time.sleep(0.2)  # More than a grace, by the clock that it watches by.
    assert here.sweep() == []
    for process, _ in far:
        process.kill()
        process.join()
    assert sorted(here.sweep()) == [0, 1]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [4, pytest.param(8, marks=pytest.mark.soak)])
@pytest.mark.parametrize("queued", [0, WANTED])
def test_processes_finish_exactly_n_trials_each_once(
    study: optuna.Study, shared_url: str, start: Callable[..., Any], workers: int, queued: int
) -> None:
    """SQLite let two workers claim one waiting trial 54 times in 150 (Optuna, measured)."""
    wanted = WANTED * workers // 4
    for width in range(queued * workers // 4):
        study.enqueue_trial({"width": width})
    arguments = (claim_until_none_is_owed, shared_url, study._study_id, wanted)
    begin = time.time() + workers / 8
    told = [start(*arguments, f"worker-{number}", begin)[1] for number in range(workers)]
    done = [one.recv() for one in told]
    assert sorted(number for by_worker in done for number in by_worker) == list(range(wanted))
    assert states(study) == ["COMPLETE"] * wanted
    assert sum(bool(by_worker) for by_worker in done) >= 2


def test_study_that_makes_no_trials_of_its_own_gives_out_those_that_wait_alone(
    study: optuna.Study, make_claims: Callable[..., Claims]
) -> None:
    one, two = (make_claims(name, new_trial=lambda trials: None) for name in ("one", "two"))
    study.enqueue_trial({"x": 1})
    assert one.claim(5) is not None
    assert two.claim(5) is None
    assert states(study) == ["RUNNING"]


def test_new_trial_is_made_with_the_attributes_that_it_shall_have(
    study: optuna.Study, make_claims: Callable[..., Claims]
) -> None:
    attributes = {"system_attrs": {"fixed_params": {"x": 1}}, "user_attrs": {"repeat": 2}}
    claimed = make_claims("one", new_trial=lambda trials: attributes).claim(1)
    assert claimed is not None
    (trial,) = study.trials
    assert trial.system_attrs["fixed_params"] == {"x": 1}
    assert trial.system_attrs["life"]["token"] == claimed.token
    assert trial.user_attrs == {"repeat": 2}


Shortage = tuple[Claims, Claim, Claims, Claim]


@pytest.fixture
def short_of_memory(make_claims: Callable[..., Claims]) -> Callable[..., Shortage]:
    """Makes a worker with 4 bytes of memory and one with so many, each with a trial; gives both and their claims."""

    def make(roomier: int = 8) -> Shortage:
        small, large = make_claims("one", memory={HOST: 4}), make_claims("two", memory={HOST: roomier})
        first, second = small.claim(3), large.claim(3)
        assert first is not None
        assert second is not None
        return small, first, large, second

    return make


def test_trial_that_is_out_of_memory_is_left_to_a_worker_with_more_and_counted(
    short_of_memory: Callable[..., Shortage], study: optuna.Study
) -> None:
    small, claim, large, theirs = short_of_memory()
    assert claim.leave_to_roomier(HOST)
    assert study.trials[0].state == TrialState.WAITING
    assert (small.has_work(2), small.claim(2)) == (False, None)  # It is as good as running.
    another = small.claim(3)
    assert another is not None
    assert another.number == 2
    theirs.finish(TrialState.COMPLETE, 0.5)
    again = large.claim(3)
    assert again is not None
    assert again.number == 0


def test_trial_is_left_to_a_worker_with_more_memory_once(
    make_claims: Callable[..., Claims], short_of_memory: Callable[..., Shortage]
) -> None:
    _, claim, large, theirs = short_of_memory()
    assert claim.leave_to_roomier(HOST)
    theirs.finish(TrialState.COMPLETE, 0.5)
    again = large.claim(3)
    assert again is not None
    assert again.number == 0
    assert make_claims("three", memory={HOST: 100}).claim(3) is not None
    assert not again.leave_to_roomier(HOST)


@pytest.mark.parametrize("roomier", [4, 3], ids=["as_much", "less"])
def test_trial_is_left_to_nobody_who_has_no_more_memory(
    short_of_memory: Callable[..., Shortage], study: optuna.Study, roomier: int
) -> None:
    _, claim, _, _ = short_of_memory(roomier)
    assert not claim.leave_to_roomier(HOST)
    assert study.trials[0].state == TrialState.RUNNING
    claim.finish(TrialState.FAIL)


def test_trial_is_left_to_no_dead_worker(short_of_memory: Callable[..., Shortage], clock: Clock) -> None:
    _, claim, _, _ = short_of_memory()
    for _ in range(12):
        clock.seconds += GRACE / 4
        claim.heartbeat()
    assert not claim.leave_to_roomier(HOST)


def test_trial_that_was_left_is_anybodys_once_no_worker_with_more_memory_was_seen_for_a_grace(
    short_of_memory: Callable[..., Shortage], clock: Clock
) -> None:
    small, claim, _, theirs = short_of_memory()
    assert claim.leave_to_roomier(HOST)
    assert not small.has_work(2)
    theirs.finish(TrialState.COMPLETE, 0.5)
    assert small.claim(2) is None  # The other may be between two trials.
    clock.seconds += GRACE + 1
    again = small.claim(2)
    assert again is not None
    assert again.number == 0


def test_trial_is_left_to_a_worker_with_more_memory_that_waits(
    make_claims: Callable[..., Claims], clock: Clock
) -> None:
    small, large = make_claims("one", memory={HOST: 4}), make_claims("two", memory={HOST: 8})
    claim = claimed(small)
    clock.seconds += 2 * GRACE
    claim.heartbeat()
    assert large.claim(1) is None
    large.show_waiting()
    assert claim.leave_to_roomier(HOST)
    assert small.claim(1) is None
    assert large.has_work(1)
    assert claimed(large).number == 0


def test_trial_is_left_to_a_worker_with_more_memory_that_is_between_two_trials(
    short_of_memory: Callable[..., Shortage],
) -> None:
    _, claim, _, theirs = short_of_memory()
    theirs.finish(TrialState.COMPLETE, 0.5)
    assert claim.leave_to_roomier(HOST)


@pytest.mark.parametrize("killed", [False, True], ids=["silent", "killed"])
def test_trial_is_left_to_no_worker_that_waited_and_is_dead(
    make_claims: Callable[..., Claims], clock: Clock, killed: bool
) -> None:
    small, large = make_claims("one", memory={HOST: 4}), make_claims("two", memory={HOST: 8})
    claim = claimed(small)
    large.show_waiting()
    if killed:
        name = WAITING_WITH_MOST[HOST]
        life = small.database.get_study_system_attrs(small.study_id)[name]
        small.database.set_study_system_attr(small.study_id, name, {**life, "pid": dead_pid()})
    else:
        clock.seconds += GRACE + 1
    assert not claim.leave_to_roomier(HOST)


def test_of_workers_that_wait_the_one_with_most_memory_is_shown(
    make_claims: Callable[..., Claims], clock: Clock
) -> None:
    small, large = make_claims("one", memory={HOST: 4}), make_claims("two", memory={HOST: 8})

    def shown() -> int:
        attributes = small.database.get_study_system_attrs(small.study_id)
        return int(attributes[WAITING_WITH_MOST[HOST]]["memory"][HOST])

    for claims, most in ((small, 4), (large, 8), (small, 8)):
        claims.show_waiting()
        clock.seconds += 1
        assert shown() == most
    clock.seconds += GRACE
    small.show_waiting()  # The other has gone to work, or away.
    assert shown() == 4


def test_worker_whose_memory_is_not_known_waits_unseen(claims: Claims) -> None:
    claims.show_waiting()
    assert not claims.database.get_study_system_attrs(claims.study_id).keys() & set(
        WAITING_WITH_MOST.values()
    )

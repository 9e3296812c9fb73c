"""Claims: which worker may run which trial, so that a study gets exactly N finished trials and loses none of them.

Optuna's own loop, run by several processes, counts its trials without a lock and so makes more than N; and the trial of
a worker that is killed stays RUNNING for ever (both measured). Six rules prevent that:

Lock
    Counting and taking are one step. Under the study's lock a worker counts the finished trials F and the running ones
    R, and takes or creates a trial only while F + R < N.
Sweep
    Before it counts, and under the same lock, it puts the RUNNING trials of dead workers back to WAITING. A trial that
    is interrupted more than ``MOST_INTERRUPTIONS`` times without having come further than before is failed instead: it
    may be what kills its workers. Whoever stops a trial in good order does not count.
Token
    Each claim draws a random token, which is part of the trial's sign of life. A trial belongs to whoever's token it
    has.
Fence
    Every transaction of an owner that writes to its trial begins with a look at the token, in the same transaction. If
    it is another's, nothing is written. So a worker that was paused until its trial went to another can do no harm,
    whatever it believes. (Such tokens are known as fencing tokens: M. Kleppmann, "How to do distributed locking", 2016,
    https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html)
Grace
    A worker is dead if its process is gone from this very host, or if its last sign of life is older than the grace.
    The latter counts only for one who has watched the database for a whole grace without a gap: after an outage
    everyone has been silent (``storage.liveness.Watch``). Whoever has just arrived waits for a grace and an outage.
Memory
    A trial that ran out of memory may be put back for a worker with more of it. As long as such a worker lives, be it
    at work or waiting (``storage.memory``), the others leave the trial to it, and count it as running: they make no
    other in its place. Once none has been seen for a grace, the trial is anybody's.

An example with N = 2, a grace of 75 s and a sign of life every 15 s::

    t = 0 s    A takes trial 0 (token a) and B trial 1 (token b): F + R = 2, C gets nothing and asks again and again.
    t = 10 s   A's machine is suspended; its last sign of life is of t = 0 s.
    t = 70 s   B finishes trial 1: F + R = 1 + 1, there is still nothing to do.
    t = 76 s   C finds trial 0 silent for more than 75 s and puts it back: F + R = 1 + 0. It takes trial 0 (token c),
               under the same number, and goes on from A's last checkpoint.
    t = 90 s   A wakes up and reports an epoch. The token is c, not a: ``ClaimLost``, and nothing is written.
    t = 300 s  C finishes trial 0: F = 2 = N, and all workers end.
"""

import json
import math
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection

from storage import process_identity
from storage.database import Database
from storage.liveness import HEARTBEAT, Watch, is_of_this_process, is_worker_dead, sign_of_life
from storage.memory import MORE_MEMORY, has_more, lives_with_more, show_waiting

ENDED = "ended"
# System attributes of a trial: how often it was put back to WAITING; how often of these without progress, and how far
# it had come by the last of them.
INTERRUPTIONS, WITHOUT_PROGRESS = "interruptions", "without_progress"
MOST_INTERRUPTIONS = 20
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


def is_refused(trial: FrozenTrial) -> bool:
    """Whether a configuration violates a bound of its study, so that it was never trained.

    Its trial is PRUNED, for samplers learn from such trials, and has the violation as Optuna's constraints.
    """
    return any(value > 0 for value in trial.constraints.values())


def is_counted(trial: FrozenTrial) -> bool:
    """Whether a trial counts towards N."""
    return trial.state in FINISHED and not is_refused(trial)


class ClaimLost(Exception):
    """The trial was given to another worker, or has ended: what was to be written is not."""


class ClaimConflict(Exception):
    """A trial whose worker was taken for dead has just got a sign of life."""


class SecondHost(Exception):
    """Another host works on the same SQLite file."""


def lock_name(study_id: int) -> str:
    """The name of the lock under which a study's trials are counted, created and taken."""
    return f"study {study_id}"


def sampled_trial(trials: list[FrozenTrial]) -> dict[str, Any] | None:
    """The attributes of a new trial in a search: none, since all of its parameters are sampled."""
    return {}


@dataclass(frozen=True)
class Claim:
    """One trial that belongs to this worker.

    Attributes:
        claims: The worker's claims, of which this is one.
        trial_id: Optuna's key of the trial.
        number: The trial's number.
        token: The random token of this claim; no other has it.
    """

    claims: "Claims"
    trial_id: int
    number: int
    token: str

    @contextmanager
    def fenced(self) -> Iterator[None]:
        """Refuse with ``ClaimLost`` whatever this thread writes to a trial in the block once the claim is lost."""
        with self.claims.database.guarded(self._check):
            try:
                yield
            except optuna.exceptions.UpdateFinishedTrialError:
                raise ClaimLost(f"trial {self.number} has been ended by another worker") from None

    def heartbeat(self, **facts: Any) -> None:
        """Give a sign of life.

        Args:
            **facts: What there is to show to people (epoch, value, images a second).

        Raises:
            ClaimLost: The trial belongs to another worker now.
        """
        claims = self.claims

        def write() -> None:
            life = claims.sign_of_life(self.token, **facts)
            claims.database.set_trial_system_attr(self.trial_id, HEARTBEAT, life)

        with self.fenced():
            claims.database.retry_whole(write)  # A later try needs the time of that try.
        claims.record_contact()

    def requeue(self, *, clean: bool = False) -> None:
        """Put the trial back to WAITING under its number; one interrupted too often ends as FAIL.

        Args:
            clean: Whether this is surely no doing of the trial's: it stopped in good order, or never began.

        Raises:
            ClaimLost: The trial belongs to another worker already.
        """
        try:
            with self.fenced():
                self.claims.requeue(self.trial_id, clean=clean)
        except ClaimLost:
            # It may be back already: by a first try of ours whose answer was lost, or by a sweep.
            if self.claims.database.get_trial(self.trial_id).state != TrialState.WAITING:
                raise

    def leave_to_roomier(self, kind: str) -> bool:
        """Put the trial back for a worker with more memory, once, if there is one alive.

        Args:
            kind: Of the memory that it ran out of, ``HOST`` or ``GPU``.

        Returns:
            Whether it was put back. Else it is still this worker's.

        Raises:
            ClaimLost: The trial belongs to another worker now.
        """
        claims, database = self.claims, self.claims.database
        wish: dict[str, Any] = {"kind": kind, "than": claims.memory.get(kind, 0)}
        trials = database.get_all_trials(claims.study_id, deepcopy=False)
        before = database.get_trial(self.trial_id).system_attrs
        if not wish["than"] or MORE_MEMORY in before or not claims.is_roomier_alive(wish, trials):
            return False
        with self.fenced():
            database.set_trial_system_attr(self.trial_id, MORE_MEMORY, wish)
        self.requeue(clean=True)
        return True

    def finish(self, state: TrialState, value: float | None = None) -> None:
        """End the trial.

        Args:
            state: COMPLETE, PRUNED or FAIL.
            value: What the trial scored; of a pruned one, the value of its last report.

        Raises:
            ClaimLost: The trial belongs to another worker now, or has ended.
        """
        database = self.claims.database
        with self.fenced():
            database.retry_whole(
                lambda: database.set_trial_system_attr(self.trial_id, ENDED, self.claims.time())
            )
            # A NaN among the values makes a study unreadable on SQLite, for every worker (Optuna 5.0).
            values = [value] if value is not None and math.isfinite(value) else None
            database.set_trial_state_values(self.trial_id, state, values)

    def _check(self, connection: Connection) -> None:
        state, life = self.claims.database.lock_row(connection, self.trial_id)
        if json.loads(life).get("token") != self.token or state == "WAITING":
            raise ClaimLost(f"trial {self.number} has been given to another worker")


@dataclass
class Claims:
    """The claims of one worker on one study. Its methods may be called from several threads.

    Attributes:
        database: The open database.
        study_id: Optuna's key of the study.
        worker: This worker's name.
        now: The clock of the signs of life, the same for all workers, in seconds since the epoch. By default it is
            the database's; tests set their own.
        monotonic: This process's own clock.
        new_trial: Gives the attributes of a new trial, given all trials; None where none is to be created. It is
            asked when the study is to have another trial and none waits.
        memory: What this worker's trainings have of each kind of memory, in bytes; nothing where it is not known.
    """

    database: Database
    study_id: int
    worker: str
    now: Callable[[], float] | None = None
    monotonic: Callable[[], float] = time.monotonic
    new_trial: Callable[[list[FrozenTrial]], dict[str, Any] | None] = sampled_trial
    memory: Mapping[str, int] = field(default_factory=dict)
    _watch: Watch = field(init=False)
    _roomier_seen: float = field(init=False)
    _shown_waiting: float = field(init=False, default=-math.inf)

    def __post_init__(self) -> None:
        """Begin to watch."""
        self._watch = Watch(self.monotonic)
        self._roomier_seen = self.monotonic()

    def claim(self, wanted: int | Callable[[], int]) -> Claim | None:
        """Take a trial, if the study is to have another one.

        Args:
            wanted: The number of finished trials that the study shall have, or what gives it. The latter is asked under
                the lock: whoever lowers the number under the lock gets no trial more than that.

        Returns:
            The claim of a trial that is RUNNING; None where finished and running trials together make ``wanted``, or
            where none waits and ``new_trial`` gives none.

        Raises:
            DatabaseGone: The database was away for longer than an outage may last.
            SecondHost: The database is a file, and another host works on it.
        """
        return self.database.exclusively(lock_name(self.study_id), lambda: self._claim(wanted))

    def has_work(self, wanted: int) -> bool:
        """Whether ``claim(wanted)`` is likely to succeed, by a look without the lock."""
        return self.database.retrying.call(lambda _: self._has_work(wanted))

    def finished(self) -> int:
        """How many trials count towards N already."""
        trials = self.database.get_all_trials(self.study_id, deepcopy=False, states=FINISHED)
        return sum(map(is_counted, trials))

    def sweep(self) -> list[int]:
        """Put the trials of dead workers back to WAITING, under the lock.

        Returns:
            Their numbers.
        """
        return self.database.exclusively(
            lock_name(self.study_id), lambda: self._requeue_dead(self._read_trials())
        )

    def requeue(self, trial_id: int, *, clean: bool = False) -> None:
        """Put a trial back to WAITING; one that was interrupted too often without progress fails.

        Call it under a guard.

        Args:
            trial_id: Optuna's key of the trial.
            clean: See ``Claim.requeue``.
        """
        database = self.database
        trial = database.get_trial(trial_id)
        attributes = trial.system_attrs
        database.set_trial_system_attr(trial_id, INTERRUPTIONS, attributes.get(INTERRUPTIONS, 0) + 1)
        # The reports are exact; of a cross-validated trial they are folds, and the last sign of life tells the epoch.
        reached = max(trial.last_step or 0, attributes.get(HEARTBEAT, {}).get("epoch") or 0)
        before = attributes.get(WITHOUT_PROGRESS, {"times": 0, "reached": 0})
        times = before["times"] + (not clean and reached <= before["reached"])
        after = {"times": times, "reached": max(reached, before["reached"])}
        if after != before:
            database.set_trial_system_attr(trial_id, WITHOUT_PROGRESS, after)
        if times > MOST_INTERRUPTIONS:
            database.set_trial_user_attr(trial_id, "reason", f"interrupted {times} times without progress")
            database.set_trial_state_values(trial_id, TrialState.FAIL)
        else:
            database.set_trial_state_values(trial_id, TrialState.WAITING)

    def sign_of_life(self, token: str, **facts: Any) -> dict[str, Any]:
        """This worker's sign of life; see ``storage.liveness.sign_of_life``."""
        if self.memory:
            facts = {"memory": dict(self.memory), **facts}
        return sign_of_life(token, self.worker, self.time(), **facts)

    def record_contact(self) -> None:
        """Record that the database was there just now and took writes."""
        self._watch.record_contact(self.database.timeouts.grace)

    def time(self) -> float:
        """Seconds since the epoch by the clock that all workers share; the database is asked once."""
        return self.now() if self.now is not None else self.database.now()

    def is_owner_dead(self, trial: FrozenTrial, now: float) -> bool:
        """Whether the owner of a RUNNING trial is surely dead.

        Args:
            trial: The trial.
            now: The time by the clock that all workers share.
        """
        life = trial.system_attrs.get(HEARTBEAT)
        # A worker that asks for a trial has none: one of its own is left from a claim that was cut short.
        if life is not None and life["worker"] == self.worker and is_of_this_process(life):
            return True
        timeouts = self.database.timeouts
        has_watched = self._watch.is_longer_than(timeouts.grace)
        return is_worker_dead(life, now, timeouts.grace if has_watched else timeouts.grace + timeouts.outage)

    def is_roomier_alive(self, wish: Mapping[str, Any], trials: list[FrozenTrial]) -> bool:
        """Whether a worker with as much memory as a trial wants has been seen within a grace, and is not known dead.

        Args:
            wish: The trial's ``MORE_MEMORY``.
            trials: All trials.
        """
        roomy = lives_with_more(self.database, self.study_id, trials, wish)
        now = self.time() if roomy else 0.0
        return any(not is_worker_dead(life, now, self.database.timeouts.grace) for life in roomy)

    def show_waiting(self) -> None:
        """Show the others that this worker waits, and its memory; once in the time between two signs of life."""
        now, heartbeat = self.monotonic(), self.database.timeouts.heartbeat
        if self.memory and now - self._shown_waiting >= heartbeat:
            self._shown_waiting = now
            self.database.retry_whole(
                lambda: show_waiting(self.database, self.study_id, self.sign_of_life(""), heartbeat)
            )

    def _has_work(self, wanted: int) -> bool:
        trials = self._read_trials()
        return _taken(trials) + len(self._left_to_roomier(trials)) < wanted or bool(
            self._of_dead_workers(trials)
        )

    def _read_trials(self) -> list[FrozenTrial]:
        self.database.check_writable()
        trials = self.database.unretried.get_all_trials(self.study_id, deepcopy=False)
        self.record_contact()
        return trials

    def _of_dead_workers(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        if not running:
            return []
        now = self.time()
        return [trial for trial in running if self.is_owner_dead(trial, now)]

    def _claim(self, wanted: int | Callable[[], int]) -> Claim | None:
        if callable(wanted):
            wanted = wanted()
        trials = self._read_trials()
        if self._requeue_dead(trials):
            trials = self._read_trials()
        self._refuse_second_host(trials)
        left = self._left_to_roomier(trials)
        if _taken(trials) + len(left) >= wanted:
            return None
        token = uuid.uuid4().hex[:16]
        return self._take_waiting(trials, token, left) or self._create(trials, token)

    def _left_to_roomier(self, trials: list[FrozenTrial]) -> set[int]:
        """The numbers of the waiting trials that this worker leaves to one with more memory."""
        wishes = {
            trial.number: trial.system_attrs[MORE_MEMORY]
            for trial in trials
            if trial.state == TrialState.WAITING and MORE_MEMORY in trial.system_attrs
        }
        wishes = {number: wish for number, wish in wishes.items() if not has_more(self.memory, wish)}
        if not wishes or any(self.is_roomier_alive(wish, trials) for wish in wishes.values()):
            self._roomier_seen = self.monotonic()
        if self.monotonic() - self._roomier_seen > self.database.timeouts.grace:
            return set()
        return set(wishes)

    def _take_waiting(self, trials: list[FrozenTrial], token: str, left: set[int]) -> Claim | None:
        # Trials put back come before those never begun: they are nearer their end.
        waiting = [
            trial for trial in trials if trial.state == TrialState.WAITING and trial.number not in left
        ]
        waiting.sort(key=lambda trial: (HEARTBEAT not in trial.system_attrs, trial.number))
        for trial in waiting:
            # The token first: between the two writes no earlier owner may find its own in a RUNNING trial.
            with self._if_unchanged(trial):
                self.database.set_trial_system_attr(trial._trial_id, HEARTBEAT, self.sign_of_life(token))
            if self.database.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                return Claim(self, trial._trial_id, trial.number, token)
        return None

    def _create(self, trials: list[FrozenTrial], token: str) -> Claim | None:
        attributes = self.new_trial(trials)
        if attributes is None:
            return None
        # With its first sign of life, in one transaction.
        template = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            system_attrs={HEARTBEAT: self.sign_of_life(token), **attributes.get("system_attrs", {})},
            user_attrs=attributes.get("user_attrs"),
        )
        trial_id = self.database.create_new_trial(self.study_id, template)
        return Claim(self, trial_id, self.database.get_trial_number_from_id(trial_id), token)

    def _requeue_dead(self, trials: list[FrozenTrial]) -> list[int]:
        requeued = []
        for trial in self._of_dead_workers(trials):
            try:
                with self._if_unchanged(trial):
                    self.requeue(trial._trial_id)
            except ClaimConflict:
                continue
            requeued.append(trial.number)
        return requeued

    @contextmanager
    def _if_unchanged(self, trial: FrozenTrial) -> Iterator[None]:
        """Write only while the lock is held and the trial's sign of life is still the one that was judged."""
        lock_held = self.database.guard
        expected = trial.system_attrs.get(HEARTBEAT, {})

        def guard(connection: Connection) -> None:
            if lock_held is not None:
                lock_held(connection)
            _, life = self.database.lock_row(connection, trial._trial_id)
            if json.loads(life) != expected:
                raise ClaimConflict(f"trial {trial.number} lives")

        with self.database.guarded(guard):
            yield

    def _refuse_second_host(self, trials: list[FrozenTrial]) -> None:
        if not self.database.is_sqlite:
            return
        for trial in trials:
            life = trial.system_attrs.get(HEARTBEAT)
            if (
                trial.state != TrialState.RUNNING
                or life is None
                or life["host"] == process_identity.hostname()
            ):
                continue
            alive = self.time() - life["time"] <= self.database.timeouts.grace
            if alive and life["place"].split()[0] != process_identity.machine():
                raise SecondHost(
                    f"host {life['host']} is working on this SQLite database; SQLite serves one host: put the study "
                    "into Postgres for several (python -m search.database makes one)"
                )


def _taken(trials: list[FrozenTrial]) -> int:
    return sum(trial.state == TrialState.RUNNING or is_counted(trial) for trial in trials)

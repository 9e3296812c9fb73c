"""Claims: who may run which trial, and exactly how many trials there will be.

Under the study's lock a worker gives back the trials of dead workers, counts, and takes or creates a trial only if
one is owed. Optuna's own loop oversteps N with several workers and leaves trials RUNNING for ever (measured).

Each claim has a token, which stands in the trial's sign of life. Whatever its owner writes to the trial begins, in the
same transaction, by looking whether the token is still there: a worker that was paused until its trial was given away
can write nothing more to it.
"""

import json
import math
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection

from storage import host
from storage.database import Database

LIFE, ENDED = "life", "ended"
INTERRUPTIONS = "interruptions"
MOST_INTERRUPTIONS = 20
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


class ClaimLost(Exception):
    """The trial was given to another worker, or has ended: what was to be written has not been."""


def lock_name(study_id: int) -> str:
    """The lock under which a study's trials are counted, made and taken."""
    return f"study {study_id}"


def sampled(trials: list[FrozenTrial]) -> dict[str, Any] | None:
    """What a new trial is made with in a search: nothing, all of it is sampled."""
    return {}


def gone(life: dict[str, Any] | None, now: float, patience: float) -> bool:
    """Whether the worker that gave this sign of life is no more: its process on this very host, or by its silence.

    Args:
        life: The last sign of life of a RUNNING trial; None where there was none.
        now: By the clock of signs of life.
        patience: The longest silence of one that lives, seconds.
    """
    if life is None:
        return True  # The trial's creator died before the first sign of life: both are under the lock.
    if life["place"] == host.place() and not host.process_exists(life["pid"]):
        return True
    return bool(now - life["time"] > patience)


def _of_this_process(life: dict[str, Any]) -> bool:
    return bool(life["place"] == host.place() and life["pid"] == os.getpid())


class SecondHost(Exception):
    """Another host works on the same SQLite file."""


class Changed(Exception):
    """A trial taken for dead has just given a sign of life."""


@dataclass(frozen=True)
class Claim:
    """A trial that is this worker's own.

    Attributes:
        trial_id: Optuna's key of the trial.
        number: The trial's number.
        token: Of this claim alone.
    """

    claims: "Claims"
    trial_id: int
    number: int
    token: str

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Within, all that this thread writes to a trial is refused with ``ClaimLost`` once the claim is lost."""
        with self.claims.database.guarded(self._check):
            try:
                yield
            except optuna.exceptions.UpdateFinishedTrialError:
                raise ClaimLost(f"trial {self.number} has been ended by another worker") from None

    def beat(self, **facts: Any) -> None:
        """Give a sign of life, with what there is to show (epoch, value, images a second).

        Raises:
            ClaimLost: The trial is another's now.
        """
        claims = self.claims

        def write() -> None:
            claims.database.set_trial_system_attr(self.trial_id, LIFE, claims.life(self.token, **facts))

        with self.owned():
            claims.database.again_as_a_whole(write)  # Its time with it: an old one would be a lie.
        claims.in_contact()

    def give_back(self) -> None:
        """Put the trial back to WAITING under its number, or, the twenty-first time, end it as FAIL.

        Raises:
            ClaimLost: It is another's already.
        """
        try:
            with self.owned():
                self.claims.requeue(self.trial_id)
        except ClaimLost:
            # Given back it is, by us where the answer to a first try was lost, or by a sweeper.
            if self.claims.database.get_trial(self.trial_id).state != TrialState.WAITING:
                raise

    def tell(self, state: TrialState, value: float | None = None) -> None:
        """End the trial; for a pruned one the value is that of its last report.

        Raises:
            ClaimLost: It is another's now, or has ended.
        """
        database = self.claims.database
        with self.owned():
            database.again_as_a_whole(
                lambda: database.set_trial_system_attr(self.trial_id, ENDED, self.claims.time())
            )
            # A NaN among the values makes a study unreadable on SQLite, for every worker (Optuna 5.0).
            told = [value] if value is not None and math.isfinite(value) else None
            database.set_trial_state_values(self.trial_id, state, told)

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
        now: The clock of signs of life, the same for all workers, in seconds since the epoch; tests set it.
        monotonic: This process's own clock.
        new: What a trial is made with (attributes) where one is owed and none waits; None makes none.
    """

    database: Database
    study_id: int
    worker: str
    now: Callable[[], float] | None = None
    monotonic: Callable[[], float] = time.monotonic
    new: Callable[[list[FrozenTrial]], dict[str, Any] | None] = sampled
    _contact: float = field(default=float("-inf"), init=False)
    _contact_wall: float = field(default=float("-inf"), init=False)
    _watching_since: float = field(default=float("inf"), init=False)

    def claim(self, wanted: int) -> Claim | None:
        """Take a trial, if one is owed.

        Args:
            wanted: The number of finished trials that the study shall have.

        Returns:
            The claim of a trial that is RUNNING, or None where finished and running trials together make ``wanted``,
            or where none waits and ``new`` makes none.

        Raises:
            DatabaseGone: The database was away for longer than an outage may last.
            SecondHost: The database is a file, and another host works on it.
        """
        return self.database.exclusively(self._lock_name, lambda: self._claim(wanted))

    def owed(self, wanted: int) -> bool:
        """Whether a claim would succeed, looked at without the lock."""
        return self.database.retrying.call(lambda _: self._owed(wanted))

    def finished(self) -> int:
        """How many trials count towards N already."""
        return len(self.database.get_all_trials(self.study_id, deepcopy=False, states=FINISHED))

    def any_dead(self, trials: list[FrozenTrial]) -> bool:
        """Whether there is anything to sweep, for one who has just looked; one try."""
        return bool(self._dead([trial for trial in trials if trial.state == TrialState.RUNNING]))

    def sweep(self) -> list[int]:
        """Give back the trials of dead workers, under the lock; their numbers."""
        return self.database.exclusively(self._lock_name, lambda: self._give_back_dead(self._look()))

    def life(self, token: str, **facts: Any) -> dict[str, Any]:
        """A sign of life of this process."""
        return {
            "token": token,
            "worker": self.worker,
            "host": host.hostname(),
            "place": host.place(),
            "pid": os.getpid(),
            "time": self.time(),
            **facts,
        }

    def requeue(self, trial_id: int) -> None:
        """Set a trial to WAITING, counting the interruption; too many of them end it. For a guarded thread."""
        database = self.database
        times = database.get_trial(trial_id).system_attrs.get(INTERRUPTIONS, 0) + 1
        database.set_trial_system_attr(trial_id, INTERRUPTIONS, times)
        if times > MOST_INTERRUPTIONS:
            database.set_trial_user_attr(trial_id, "reason", f"interrupted {times} times")
            database.set_trial_state_values(trial_id, TrialState.FAIL)
        else:
            database.set_trial_state_values(trial_id, TrialState.WAITING)

    def in_contact(self) -> None:
        """Note that the database was there and took writes.

        A gap of half a grace, by an outage or a pause of this very process, starts the watch over: after it everyone
        else's signs of life may be late, too.
        """
        now, wall = self.monotonic(), time.time()
        # A machine that sleeps, and a clock that is set, show in one of the two.
        gap = max(now - self._contact, wall - self._contact_wall)
        if gap > self.database.times.grace / 2:
            self._watching_since = now
        self._contact, self._contact_wall = now, wall

    def dead(self, trial: FrozenTrial, now: float) -> bool:
        """Whether a RUNNING trial's worker is surely gone: its process on this very host, or silent for too long.

        Silence (until ``now``) counts only once this process has itself seen the database for a whole grace without a
        gap, or when it is longer than any outage.
        """
        life = trial.system_attrs.get(LIFE)
        # A worker that looks for a trial has none: one of its own is left from a claim cut short.
        if life is not None and life["worker"] == self.worker and _of_this_process(life):
            return True
        times = self.database.times
        watched = self.monotonic() - self._watching_since > times.grace
        return gone(life, now, times.grace if watched else times.grace + times.outage)

    @property
    def _lock_name(self) -> str:
        return lock_name(self.study_id)

    def time(self) -> float:
        """The common clock's time; one try."""
        return self.now() if self.now is not None else self.database.now()

    def _owed(self, wanted: int) -> bool:
        trials = self._look()
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        finished = sum(trial.state in FINISHED for trial in trials)
        return finished + len(running) < wanted or bool(self._dead(running))

    def _dead(self, running: list[FrozenTrial]) -> list[FrozenTrial]:
        if not running:
            return []
        now = self.time()
        return [trial for trial in running if self.dead(trial, now)]

    def _look(self) -> list[FrozenTrial]:
        self.database.touch()
        trials = self.database.once.get_all_trials(self.study_id, deepcopy=False)
        self.in_contact()
        return trials

    def _claim(self, wanted: int) -> Claim | None:
        database, trials = self.database, self._look()
        if self._give_back_dead(trials):
            trials = self._look()
        self._refuse_second_host(trials)
        taken = sum(trial.state in (*FINISHED, TrialState.RUNNING) for trial in trials)
        if taken >= wanted:
            return None
        token = uuid.uuid4().hex[:16]
        # Trials given back come before those never begun: what was begun is nearer its end.
        waiting = [trial for trial in trials if trial.state == TrialState.WAITING]
        waiting.sort(key=lambda trial: (LIFE not in trial.system_attrs, trial.number))
        for trial in waiting:
            # The token first: between the two writes no earlier owner may find its own in a RUNNING trial.
            with self._unchanged(trial):
                database.set_trial_system_attr(trial._trial_id, LIFE, self.life(token))
            if database.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                return Claim(self, trial._trial_id, trial.number, token)
        attributes = self.new(trials)
        if attributes is None:
            return None
        template = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            system_attrs={LIFE: self.life(token), **attributes.get("system_attrs", {})},
            user_attrs=attributes.get("user_attrs"),
        )  # With its first sign of life, in one transaction.
        trial_id = database.create_new_trial(self.study_id, template)
        return Claim(self, trial_id, database.get_trial_number_from_id(trial_id), token)

    def _give_back_dead(self, trials: list[FrozenTrial]) -> list[int]:
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        given_back = []
        for trial in self._dead(running):
            try:
                with self._unchanged(trial):
                    self.requeue(trial._trial_id)
            except Changed:
                continue
            given_back.append(trial.number)
        return given_back

    @contextmanager
    def _unchanged(self, trial: FrozenTrial) -> Iterator[None]:
        """Write only while the lock is held and the trial's sign of life is still the one that was judged."""
        held = self.database.guard
        expected = trial.system_attrs.get(LIFE, {})

        def guard(connection: Connection) -> None:
            if held is not None:
                held(connection)
            _, life = self.database.lock_row(connection, trial._trial_id)
            if json.loads(life) != expected:
                raise Changed(f"trial {trial.number} lives")

        with self.database.guarded(guard):
            yield

    def _refuse_second_host(self, trials: list[FrozenTrial]) -> None:
        if not self.database.is_sqlite:
            return
        for trial in trials:
            life = trial.system_attrs.get(LIFE)
            if trial.state != TrialState.RUNNING or life is None or life["host"] == host.hostname():
                continue
            alive = self.time() - life["time"] <= self.database.times.grace
            if alive and life["place"].split()[0] != host.machine():
                raise SecondHost(
                    f"host {life['host']} is working on this SQLite database; SQLite serves one host: put the study "
                    "into Postgres for several"
                )

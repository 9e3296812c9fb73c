"""What other processes do in these tests: each function is the whole life of one that the fixture ``start`` begins."""

import os
import time
from multiprocessing.connection import Connection

import optuna
from optuna.trial import TrialState

from storage.claims import INTERRUPTIONS, Claims
from storage.connect import open_storage
from storage.timeouts import Timeouts


def make_study(said: Connection, url: str, name: str, begin: float) -> None:
    """Open the database, making its tables where there are none, and make a study."""
    sleep_until(begin)
    optuna.create_study(study_name=name, storage=open_storage(url))
    said.send("made")


def claim_until_none_is_owed(
    said: Connection, url: str, study_id: int, wanted: int, worker: str, begin: float
) -> None:
    """Finish trials, but give every fifth back once; say which were finished."""
    database = open_storage(url)
    claims = Claims(database, study_id, worker)
    finished = []
    sleep_until(begin)
    while (claim := claims.claim(wanted)) is not None:
        if claim.number % 5 == 0 and INTERRUPTIONS not in database.get_trial(claim.trial_id).system_attrs:
            claim.requeue()
            continue
        time.sleep(0.005)
        claim.finish(TrialState.COMPLETE, 0.5)
        finished.append(claim.number)
    said.send(finished)


def live_in_time_zone(said: Connection, url: str, study_id: int, wanted: int, zone: str) -> None:
    """Claim a trial as a host in another time zone does, and live; say how far the clock is from this process's."""
    os.environ.update(TZ=zone, PGTZ=zone)
    time.tzset()
    database = open_storage(url)
    claim = Claims(database, study_id, zone).claim(wanted)
    assert claim is not None
    claim.heartbeat()
    said.send(database.now() - time.time())
    time.sleep(60)


def hold_lock(said: Connection, url: str, trial_id: int, grace: float, least_hold: float) -> None:
    """Take the lock ``x``, read a trial's ``names``, and, once told, write them with one more."""
    import storage.connect
    import storage.locks

    storage.locks.LEAST_HOLD_SECONDS = storage.connect.LEAST_HOLD_SECONDS = least_hold
    database = open_storage(url, Timeouts(grace=grace, outage=60, pause=0.2))

    def add() -> None:
        names = database.get_trial(trial_id).user_attrs.get("names", [])
        said.send("in")
        said.recv()
        database.set_trial_user_attr(trial_id, "names", [*names, "held"])

    database.exclusively("x", add)
    said.send("done")


def sleep_until(begin: float) -> None:
    time.sleep(max(0.0, begin - time.time()))

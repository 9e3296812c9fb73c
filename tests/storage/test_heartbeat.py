"""The heart: signs of life from its own thread, and what it tells the worker."""

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import optuna
import pytest

from storage.claims import Claim, ClaimLost, Claims
from storage.connect import open_storage
from storage.database import Database
from storage.errors import DatabaseGone
from storage.heartbeat import Heartbeat
from storage.liveness import HEARTBEAT
from storage.timeouts import Timeouts

GRACE = 0.5  # A beat each tenth of a second.


def claim_in(database: Database, name: str = "s") -> Claim:
    study = optuna.create_study(study_name=name, storage=database, direction="maximize")
    claim = Claims(database, study._study_id, "one").claim(1)
    assert claim is not None
    return claim


@pytest.fixture(scope="module")
def database(shared_url: str) -> Database:
    return open_storage(shared_url, Timeouts(grace=GRACE))


@pytest.fixture
def claim(database: Database, study_name: str) -> Claim:
    return claim_in(database, study_name)


def life(claim: Claim) -> dict[str, Any]:
    return claim.claims.database.get_trial(claim.trial_id).system_attrs[HEARTBEAT]


def give_away(claim: Claim) -> None:
    """As another worker does that takes the trial."""
    claim.claims.database.set_trial_system_attr(
        claim.trial_id, HEARTBEAT, {**life(claim), "token": "another"}
    )


def fails(heart: Heartbeat) -> bool:
    try:
        heart.check()
    except (ClaimLost, DatabaseGone):
        return True
    return False


def test_heart_beats_while_the_block_runs(claim: Claim, wait_until: Callable[..., None]) -> None:
    with Heartbeat(claim) as heart:
        seen = {life(claim)["time"]}
        wait_until(lambda: seen.add(life(claim)["time"]) or len(seen) == 4)
        heart.check()
    assert life(claim)["token"] == claim.token


def test_heart_beats_five_times_in_a_grace(claim: Claim) -> None:
    beats: list[float] = []
    over = threading.Event()

    class Counted:
        claims = claim.claims

        def heartbeat(self) -> None:
            beats.append(time.monotonic())
            if len(beats) == 5:
                over.set()

    started = time.monotonic()
    with Heartbeat(Counted()):  # type: ignore[arg-type]
        assert over.wait(10)
    assert beats[-1] - started >= 5 * GRACE / 5
    assert beats[0] - started >= GRACE / 5  # The claim itself was the first.


def test_heart_beats_while_the_worker_is_busy_with_the_database(
    claim: Claim, wait_until: Callable[..., None]
) -> None:
    before = life(claim)["time"]
    with Heartbeat(claim), claim.fenced():
        wait_until(lambda: life(claim)["time"] > before)
        claim.claims.database.set_trial_user_attr(claim.trial_id, "epochs", 1)
    assert claim.claims.database.get_trial(claim.trial_id).user_attrs == {"epochs": 1}


def test_beat_shows_what_it_is_told_to(claim: Claim, wait_until: Callable[..., None]) -> None:
    with Heartbeat(claim) as heart:
        heart.facts = {"epoch": 3, "value": 0.5}
        wait_until(lambda: life(claim).get("epoch") == 3)
        heart.facts["epoch"] = 4
        wait_until(lambda: life(claim).get("epoch") == 4)
    assert life(claim)["value"] == 0.5
    assert life(claim)["pid"] == os.getpid()


def test_heart_is_still_after_the_block(claim: Claim, ended: Callable[[str], None]) -> None:
    with Heartbeat(claim):
        assert "heartbeat" in [thread.name for thread in threading.enumerate()]
    ended("heartbeat")


def test_leaving_the_block_does_not_wait_for_a_beat(claim: Claim) -> None:
    slow, over = threading.Event(), threading.Event()

    class Slow:
        claims = claim.claims
        heartbeat = staticmethod(lambda: slow.set() or over.wait(10))

    with Heartbeat(Slow()):  # type: ignore[arg-type]
        assert slow.wait(10)
        started = time.monotonic()
    assert time.monotonic() - started < 1
    over.set()


def test_check_says_that_the_trial_was_given_away(claim: Claim, wait_until: Callable[..., None]) -> None:
    with Heartbeat(claim) as heart:
        heart.check()
        give_away(claim)
        wait_until(lambda: fails(heart))
        with pytest.raises(ClaimLost, match=f"trial {claim.number} has been given to another worker"):
            heart.check()
    assert life(claim)["token"] == "another"


def test_heart_of_a_lost_trial_beats_no_more(claim: Claim, ended: Callable[[str], None]) -> None:
    with Heartbeat(claim) as heart:
        give_away(claim)
        ended("heartbeat")
        assert fails(heart)


def test_trial_ended_by_its_own_worker_is_no_failure(claim: Claim, ended: Callable[[str], None]) -> None:
    with Heartbeat(claim) as heart:
        claim.finish(optuna.trial.TrialState.COMPLETE, 0.5)
    ended("heartbeat")
    heart.check()
    assert claim.claims.database.get_trial(claim.trial_id).value == 0.5


def test_heart_survives_an_outage(outage: Any, wait_until: Callable[..., None]) -> None:
    claim = claim_in(outage.open(grace=GRACE, outage=60))
    tries = counted(claim)
    with Heartbeat(claim) as heart:
        outage.begin()
        begun = len(tries)
        wait_until(lambda: len(tries) >= begun + 3)
        heart.check()
        outage.end()
        before = time.time()
        wait_until(lambda: life(claim)["time"] > before)
        heart.check()
    assert life(claim)["time"] > before


@pytest.mark.slow
def test_check_says_that_the_database_was_away_for_too_long(
    outage: Any, wait_until: Callable[..., None]
) -> None:
    claim = claim_in(outage.open(grace=GRACE, outage=0.5))
    with Heartbeat(claim) as heart:
        outage.begin()
        wait_until(lambda: fails(heart))
        with pytest.raises(DatabaseGone, match=r"^the database did not answer for \d+ s \(.*\)$"):
            heart.check()


def test_outage_still_going_on_at_the_end_of_the_block_is_not_waited_for(
    outage: Any, wait_until: Callable[..., None]
) -> None:
    claim = claim_in(outage.open(grace=GRACE, outage=60))
    tries = counted(claim)
    outage.begin()
    with Heartbeat(claim):
        wait_until(lambda: len(tries) >= 2)
        started = time.monotonic()
    assert time.monotonic() - started < 1
    claim.claims.database.retrying.set_deadline(0)


def counted(claim: Claim) -> list[int]:
    """Grows with each try of a beat: what it shows is made anew for each."""
    tries: list[int] = []
    life = claim.claims.sign_of_life

    def counted_life(token: str, **facts: Any) -> dict[str, Any]:
        tries.append(1)
        return life(token, **facts)

    claim.claims.sign_of_life = counted_life  # type: ignore[method-assign]
    return tries

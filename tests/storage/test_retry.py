"""Which failures are tried again, for how long, and what is said in the end."""

import itertools
import re
import threading
import time
import traceback
from typing import Any

import optuna
import pytest
import sqlalchemy
from sqlalchemy.exc import (
    IntegrityError,
    InterfaceError,
    OperationalError,
    PendingRollbackError,
    ProgrammingError,
)

from storage.errors import DatabaseGone, LockLost
from storage.retry import Retrying, is_outage, reason
from storage.timeouts import Timeouts

SOON = Timeouts(outage=0.2, pause=0.05)


def away(said: str = "connection refused") -> OperationalError:
    return OperationalError("SELECT 1 FROM secret", {"password": "geheim"}, Exception(said))


def wrapped(error: Exception) -> Exception:
    """As Optuna passes a failure on."""
    try:
        raise optuna.exceptions.StorageInternalError("during the commit") from error
    except optuna.exceptions.StorageInternalError as raised:
        return raised


class Failing:
    """Fails some times, then answers."""

    def __init__(self, times: float, error: BaseException) -> None:
        self.left, self.error, self.tries = times, error, []

    def __call__(self, tries: int) -> str:
        self.tries.append(tries)
        if len(self.tries) <= self.left:
            raise self.error
        return "answer"


def gone(retrying: Retrying, error: Exception) -> DatabaseGone:
    with pytest.raises(DatabaseGone) as raised:
        retrying.call(Failing(float("inf"), error))
    return raised.value


@pytest.mark.parametrize("error", [away(), wrapped(away()), LockLost("x")], ids=["bare", "wrapped", "lock"])
def test_call_is_tried_again_and_told_how_often_it_was(error: Exception) -> None:
    attempt = Failing(3, error)
    assert Retrying(Timeouts(pause=0.05)).call(attempt) == "answer"
    assert attempt.tries == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "error",
    [
        KeyError("trial"), ValueError("x"), KeyboardInterrupt(), RuntimeError("x"),
        IntegrityError("INSERT", {}, Exception("UNIQUE constraint failed")),
        ProgrammingError("SELECT", {}, Exception('relation "trials" does not exist')),
        away("no such table: trials"), wrapped(away("no such table: trials")),
        away("attempt to write a readonly database"), away("database disk image is malformed"),
        optuna.exceptions.UpdateFinishedTrialError("x"), optuna.exceptions.StorageInternalError("x"),
    ],
    ids=repr,
)  # fmt: skip
def test_failure_that_no_waiting_mends_is_raised_at_once(error: BaseException) -> None:
    attempt = Failing(1, error)
    with pytest.raises(type(error)) as raised:
        Retrying(SOON).call(attempt)
    assert raised.value is error
    assert attempt.tries == [0]


@pytest.mark.parametrize(
    "error",
    [
        away(), away("database is locked"), away("the database system is starting up"),
        away("sorry, too many clients already"), wrapped(away()), LockLost("x"),
        InterfaceError("SELECT 1", {}, Exception("connection already closed")),
        sqlalchemy.exc.TimeoutError("QueuePool limit"), wrapped(sqlalchemy.exc.TimeoutError("QueuePool limit")),
        sqlalchemy.exc.InternalError("SELECT 1", {}, Exception("cut"), connection_invalidated=True),
    ],
    ids=repr,
)  # fmt: skip
def test_absence_of_the_database_is_an_outage(error: Exception) -> None:
    assert is_outage(error)


def after_another_query(error: Exception) -> Exception:
    refused = PendingRollbackError("Can't reconnect until invalid transaction is rolled back")
    refused.__context__ = error
    return wrapped(refused)


def test_connection_lost_before_another_query_of_a_transaction_is_an_outage() -> None:
    lost = after_another_query(away("server closed the connection unexpectedly"))
    assert is_outage(lost)
    assert reason(lost) == "server closed the connection unexpectedly"
    assert not is_outage(after_another_query(away("no such table: trials")))


def test_call_gives_up_after_a_fifth_more_than_an_outage() -> None:
    started = time.monotonic()
    gone(Retrying(SOON), away())
    assert SOON.retry <= time.monotonic() - started < SOON.retry + 2
    assert SOON.retry == pytest.approx(0.24)


def test_giving_up_says_why_in_one_line_without_statement_or_password() -> None:
    raised = gone(Retrying(SOON), wrapped(away("server closed the connection\nbefore or while")))
    assert str(raised) == "the database did not answer for 0 s (server closed the connection)"
    text = "".join(traceback.format_exception(raised))
    assert "geheim" not in text
    assert "SELECT" not in text


class Clock:
    """Stands in for the module ``time``: whoever sleeps has slept at once."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def test_pauses_grow_up_to_the_longest_and_vary(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, tried = Clock(), []
    monkeypatch.setattr("storage.retry.time", clock)

    def attempt(tries: int) -> None:
        tried.append(clock.seconds)
        if tries < 40:
            raise away()

    Retrying(Timeouts(pause=0.4)).call(attempt)
    pauses = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert pauses[0] <= 0.05
    assert 0.2 < max(pauses) <= 0.4
    assert min(pauses) >= 0.01
    assert len({round(pause, 6) for pause in pauses[5:]}) > 20


def test_call_that_waits_long_says_so_once_a_minute(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setattr("storage.retry.PATIENCE", -1.0)
    calls = Retrying(Timeouts(outage=100, pause=0.01))
    failures = [away()] * 3
    for _ in range(2):
        left = list(failures)

        def attempt(tries: int, left: list[Exception] = left) -> int:
            if left:
                raise left.pop()
            return tries

        assert calls.call(attempt) == 3
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert said.startswith("warning: the database does not answer (")
    assert "connection refused); it is asked again for up to 120 s more" in said


def test_full_disk_is_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    Retrying(SOON).call(Failing(1, away("database or disk is full")))
    assert capsys.readouterr().out.startswith(
        "warning: the database has no room left on its disk: free some ("
    )


def test_full_disk_is_said_at_the_end_in_the_words_of_the_warning() -> None:
    """It ended in "the database did not answer", which sends people to look at a server."""
    raised = gone(Retrying(SOON), away("could not extend file: No space left on device"))
    assert re.fullmatch(
        r"the database has no room left on its disk: free some \(could not extend .* on device\); "
        r"it was asked again for \d+ s",
        str(raised),
    )


def test_hurried_call_gives_up_soon() -> None:
    retrying = Retrying(Timeouts())
    retrying.set_deadline(0.1)
    started = time.monotonic()
    gone(retrying, away())
    assert time.monotonic() - started < 2


def test_hurry_ends_a_long_pause() -> None:
    retrying = Retrying(Timeouts(pause=60))
    retrying.call(Failing(1, away()))
    threading.Timer(0.3, lambda: retrying.set_deadline(0)).start()
    started = time.monotonic()
    gone(retrying, away())
    assert time.monotonic() - started < 3


def test_hurried_call_is_made_once_all_the_same() -> None:
    retrying = Retrying(Timeouts())
    retrying.set_deadline(-1)
    assert retrying.call(lambda tries: tries) == 0


def test_later_hurry_does_not_put_off_the_first() -> None:
    retrying = Retrying(Timeouts())
    retrying.set_deadline(0.1)
    retrying.set_deadline(60)
    started = time.monotonic()
    gone(retrying, away())
    assert time.monotonic() - started < 2


def test_relaxed_call_is_tried_as_long_as_ever() -> None:
    retrying = Retrying(Timeouts(pause=0.05))
    retrying.set_deadline(-1)
    retrying.clear_deadline()
    attempt = Failing(3, away())
    assert retrying.call(attempt) == "answer"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (away("one\ntwo"), "one"),
        (wrapped(away(" one ")), "one"),
        (LockLost("x"), "x"),
        (away(""), "Exception"),
        (away("x" * 500), "x" * 200),
    ],
)
def test_reason_is_the_first_line_of_what_the_driver_said(error: Any, expected: str) -> None:
    assert reason(error) == expected

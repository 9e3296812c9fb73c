"""The database's contract, on every database: outages cost nothing, writes can be fenced, one lock, one clock."""

import functools
import gc
import json
import os
import signal
import sqlite3
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from benchmarks.postgres import PostgresServer
from storage.claims import Claims
from storage.connect import open_storage
from storage.database import Database
from storage.errors import DatabaseGone, LockLost
from storage.liveness import HEARTBEAT
from storage.locks import advisory_lock, file_lock
from storage.timeouts import Timeouts
from tests.storage.processes import hold_lock

PASSWORD = "geheim"
SHORT = Timeouts(grace=5, outage=30, pause=0.2)
NAMES = [name for name in vars(BaseStorage) if name[0] != "_" and name != "check_trial_is_updatable"]
WIDTH = FloatDistribution(0, 1)
NO_TRIAL = 999_999_999


class Refused(Exception):
    """What a guard raises."""


@dataclass
class Known:
    """A study with a finished trial and two running ones, and two studies more."""

    study: int
    name: str
    done: int
    running: int
    last: int
    other: int
    empty: int


# How each call is made, and whether it did what it is for.
Call = tuple[Callable[[Database, Known], Any], Callable[[Database, Known, Any], object]]
CALLS: dict[str, Call] = {
    "create_new_study": (
        lambda d, k: d.create_new_study([StudyDirection.MAXIMIZE], f"{k.name}-new"),
        lambda d, k, found: d.get_study_id_from_name(f"{k.name}-new") == found,
    ),
    "delete_study": (
        lambda d, k: d.delete_study(k.other),
        lambda d, k, found: k.other not in [study._study_id for study in d.get_all_studies()],
    ),
    "set_study_user_attr": (
        lambda d, k: d.set_study_user_attr(k.study, "new", [1]),
        lambda d, k, found: d.get_study_user_attrs(k.study)["new"] == [1],
    ),
    "set_study_system_attr": (
        lambda d, k: d.set_study_system_attr(k.study, "new", [1]),
        lambda d, k, found: d.get_study_system_attrs(k.study)["new"] == [1],
    ),
    "get_study_id_from_name": (
        lambda d, k: d.get_study_id_from_name(k.name),
        lambda d, k, found: found == k.study,
    ),
    "get_study_name_from_id": (
        lambda d, k: d.get_study_name_from_id(k.study),
        lambda d, k, found: found == k.name,
    ),
    "get_study_directions": (
        lambda d, k: d.get_study_directions(k.study),
        lambda d, k, found: found == [StudyDirection.MAXIMIZE],
    ),
    "get_study_user_attrs": (
        lambda d, k: d.get_study_user_attrs(k.study),
        lambda d, k, found: found["of"] == "study",
    ),
    "get_study_system_attrs": (
        lambda d, k: d.get_study_system_attrs(k.study),
        lambda d, k, found: found["of"] == "system",
    ),
    "get_all_studies": (
        lambda d, k: d.get_all_studies(),
        lambda d, k, found: k.name in [study.study_name for study in found],
    ),
    "create_new_trial": (
        lambda d, k: d.create_new_trial(k.empty),
        lambda d, k, found: [trial._trial_id for trial in d.get_all_trials(k.empty)] == [found],
    ),
    "set_trial_param": (
        lambda d, k: d.set_trial_param(k.running, "new", 0.25, WIDTH),
        lambda d, k, found: d.get_trial(k.running).params["new"] == 0.25,
    ),
    "get_trial_id_from_study_id_trial_number": (
        lambda d, k: d.get_trial_id_from_study_id_trial_number(k.study, 1),
        lambda d, k, found: found == k.running,
    ),
    "get_trial_number_from_id": (
        lambda d, k: d.get_trial_number_from_id(k.running),
        lambda d, k, found: found == 1,
    ),
    "get_trial_param": (
        lambda d, k: d.get_trial_param(k.running, "width"),
        lambda d, k, found: found == 0.5,
    ),
    "set_trial_state_values": (
        lambda d, k: d.set_trial_state_values(k.last, TrialState.COMPLETE, [0.9]),
        lambda d, k, found: found and d.get_all_trials(k.study)[2].values == [0.9],
    ),
    "set_trial_intermediate_value": (
        lambda d, k: d.set_trial_intermediate_value(k.running, 3, 0.75),
        lambda d, k, found: d.get_trial(k.running).intermediate_values[3] == 0.75,
    ),
    "set_trial_user_attr": (
        lambda d, k: d.set_trial_user_attr(k.running, "new", {"a": 1}),
        lambda d, k, found: d.get_trial(k.running).user_attrs["new"] == {"a": 1},
    ),
    "set_trial_system_attr": (
        lambda d, k: d.set_trial_system_attr(k.running, "new", {"a": 1}),
        lambda d, k, found: d.get_trial(k.running).system_attrs["new"] == {"a": 1},
    ),
    "get_trial": (
        lambda d, k: d.get_trial(k.running),
        lambda d, k, found: (found.number, found.state) == (1, TrialState.RUNNING),
    ),
    "get_all_trials": (
        lambda d, k: d.get_all_trials(k.study, states=(TrialState.COMPLETE,)),
        lambda d, k, found: k.done in [trial._trial_id for trial in found],
    ),
    "get_n_trials": (
        lambda d, k: d.get_n_trials(k.study),
        lambda d, k, found: found == 3,
    ),
    "get_best_trial": (
        lambda d, k: d.get_best_trial(k.study),
        lambda d, k, found: found.value in (0.5, 0.9),
    ),
    "get_trial_params": (
        lambda d, k: d.get_trial_params(k.running),
        lambda d, k, found: found["width"] == 0.5,
    ),
    "get_trial_user_attrs": (
        lambda d, k: d.get_trial_user_attrs(k.running),
        lambda d, k, found: found["of"] == "trial",
    ),
    "get_trial_system_attrs": (
        lambda d, k: d.get_trial_system_attrs(k.running),
        lambda d, k, found: found["of"] == "trial",
    ),
    "remove_session": (
        lambda d, k: d.remove_session(),
        lambda d, k, found: d.get_study_name_from_id(k.study) == k.name,
    ),
}  # fmt: skip
REACHING = [name for name in NAMES if name != "remove_session"]
TO_TRIALS = [name for name in NAMES if name.startswith(("set_trial_", "create_new_trial"))]


def prepare(database: Database, name: str) -> Known:
    others = [database.create_new_study([StudyDirection.MAXIMIZE], f"{name}-{more}") for more in "ab"]
    study = database.create_new_study([StudyDirection.MAXIMIZE], name)
    database.set_study_user_attr(study, "of", "study")
    database.set_study_system_attr(study, "of", "system")
    done, running, last = (database.create_new_trial(study) for _ in range(3))
    database.set_trial_state_values(done, TrialState.COMPLETE, [0.5])
    database.set_trial_param(running, "width", 0.5, WIDTH)
    database.set_trial_user_attr(running, "of", "trial")
    database.set_trial_system_attr(running, "of", "trial")
    return Known(study, name, done, running, last, *others)


def see(database: Database, known: Known, name: str) -> None:
    """Optuna sets parameters only of trials that this process has seen."""
    if name == "set_trial_param":
        database.get_all_trials(known.study)


@pytest.fixture(scope="module")
def database(shared_url: str) -> Database:
    return open_storage(shared_url, SHORT)


@pytest.fixture
def known(database: Database, study_name: str) -> Known:
    return prepare(database, study_name)


@pytest.fixture(scope="module")
def other(shared_url: str) -> Database:
    """The same database, as another process has it."""
    return open_storage(shared_url, SHORT)


@pytest.fixture(scope="module")
def cut_database(postgres: PostgresServer, postgres_schema: str) -> tuple[Database, Database]:
    """One that prepares, and one that does not yet remember what it is asked for."""
    url = postgres.database(like=postgres_schema)
    return open_storage(url, SHORT), open_storage(url, SHORT)


def raw(url: str) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


def run(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Do it in a thread; its outcome, or what it raised."""
    outcome: list[Any] = []

    def collect() -> None:
        try:
            outcome.append(work())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=collect)
    thread.start()
    return thread, outcome


def attrs(database: Database, known: Known) -> dict[str, Any]:
    return database.get_trial(known.running).user_attrs


# Outages.


def test_every_call_of_optunas_storages_is_tested_here() -> None:
    assert sorted(CALLS) == sorted(NAMES)


def test_database_that_nobody_uses_any_more_is_forgotten(url: str) -> None:
    database = open_storage(url, SHORT)
    optuna.create_study(storage=database)
    engine = weakref.ref(database._engine)
    del database
    gc.collect()
    assert engine() is None, "it would keep its connections and files open"


def test_database_is_closed_with_the_last_of_its_users(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only when somebody collects garbage."""
    closed: list[str] = []
    database = open_storage(url, SHORT)
    study = optuna.create_study(storage=database)
    sqlalchemy.event.listen(database._engine, "close", lambda *_: closed.append("connection"))
    view = optuna.Study(study.study_name, database.unretried)
    gc.disable()
    try:
        del database, study
        assert view.trials == []
        assert not closed
        del view
        assert closed
    finally:
        gc.enable()


@pytest.mark.slow
def test_every_call_waits_for_the_end_of_an_outage(outage: Any, wait_until: Callable[..., None]) -> None:
    known = prepare(outage.open(), "s")
    failed: set[str] = set()

    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def once(*arguments: Any, **named: Any) -> Any:
            try:
                return call(*arguments, **named)
            except Exception:
                failed.add(name)
                raise

        return once

    def call(database: Database, name: str) -> Any:
        see(database, known, name)
        return CALLS[name][0](database, known)

    databases: dict[str, Database] = {}
    for start in range(0, len(NAMES), 5):  # A pool keeps more of them than it has connections waiting.
        database = outage.open(outage=60)  # Which does not yet remember what it is asked for.
        for name in NAMES[start : start + 5]:
            databases[name] = database
            setattr(database.unretried, name, counted(name, getattr(database.unretried, name)))
    outage.begin()
    calls = {name: run(lambda name=name: call(databases[name], name)) for name in NAMES}
    wait_until(lambda: failed >= set(REACHING) - {"set_trial_param"})
    outage.end()
    for name, (thread, outcome) in calls.items():
        thread.join(timeout=60)
        found = outcome[0]
        assert not isinstance(found, Exception), (name, found)
        assert CALLS[name][1](databases[name], known, found), (name, found)


@pytest.mark.parametrize("when", [("begin",), ("commit", "rollback")], ids=["begin", "end"])
@pytest.mark.parametrize("name", REACHING)
def test_call_whose_connection_is_cut_is_made_again(
    cut_database: tuple[Database, Database], name: str, when: tuple[str, ...]
) -> None:
    """At the start of its transaction and just before its end; what only reads has none, and ends by a rollback."""
    other, database = cut_database
    known = prepare(other, f"{name} {when[0]}")
    see(database, known, name)
    with database.connect() as connection:
        engine = connection.engine
    cut: list[int] = []

    def cut_once(connection: sqlalchemy.Connection) -> None:
        if not cut:
            cut.append(connection.connection.dbapi_connection.info.backend_pid)
            with other.connect() as killer:
                killer.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": cut[0]})

    for event in when:
        sqlalchemy.event.listen(engine, event, cut_once)
    try:
        found = CALLS[name][0](database, known)
    finally:
        for event in when:
            sqlalchemy.event.remove(engine, event, cut_once)
    assert cut
    assert CALLS[name][1](database, known, found)


@pytest.mark.slow
def test_calls_go_on_through_restarts(frail: PostgresServer, frail_url: str) -> None:
    """Stock Optuna: 4 of 4 workers died at the first (measured)."""
    database = open_storage(frail_url, SHORT)
    known = prepare(database, "s")
    over = threading.Event()

    def work(name: str) -> int:
        made = 0
        while not over.is_set():
            database.set_trial_user_attr(known.running, f"{name}-{made}", made)
            made += 1
        return made

    workers = [run(lambda name=name: work(name)) for name in "abcd"]
    frail.restart()
    frail.restart()
    over.set()
    for thread, _ in workers:
        thread.join(timeout=60)
    made = [outcome[0] for _, outcome in workers]
    expected = {f"{name}-{index}" for name, count in zip("abcd", made, strict=True) for index in range(count)}
    assert expected <= set(attrs(database, known))


def test_outage_too_long_gives_up_in_one_line_without_a_password(outage: Any) -> None:
    database = outage.open(outage=0.5)
    known = prepare(database, "s")
    outage.begin()
    with pytest.raises(DatabaseGone, match=r"^the database did not answer for \d+ s \(.+\)$") as raised:
        database.set_trial_user_attr(known.running, "new", 1)
    assert "\n" not in str(raised.value)
    text = "".join(traceback.format_exception(raised.value))
    chain: BaseException | None = raised.value
    while chain is not None:
        text += f"{chain!r} {vars(chain)}"
        chain = chain.__context__ or chain.__cause__
    assert PASSWORD not in text


def test_hurried_call_gives_up_soon_in_an_outage(outage: Any, wait_until: Callable[..., None]) -> None:
    database = outage.open(outage=600)
    known = prepare(database, "s")
    outage.begin()
    thread, outcome = run(lambda: database.set_trial_user_attr(known.running, "new", 1))
    database.retrying.set_deadline(0.3)
    thread.join(timeout=10)
    assert isinstance(outcome[0], DatabaseGone)


def test_relaxed_call_waits_again_for_the_end_of_an_outage(
    outage: Any, wait_until: Callable[..., None]
) -> None:
    database = outage.open(outage=600)
    known = prepare(database, "s")
    database.retrying.set_deadline(0)
    database.retrying.clear_deadline()
    outage.begin()
    thread, outcome = run(lambda: database.set_trial_user_attr(known.running, "new", 1))
    thread.join(timeout=1)
    assert outcome == []
    outage.end()
    thread.join(timeout=20)
    assert outcome == [None]
    assert attrs(database, known)["new"] == 1


def test_waiting_times_of_a_study_count_once_it_is_read(outage: Any) -> None:
    database = outage.open(outage=600)
    database.use_timeouts(Timeouts(grace=9, outage=0.3, pause=0.1))
    outage.begin()
    with pytest.raises(DatabaseGone):
        database.get_all_studies()
    assert database.timeouts.grace == 9


def test_looking_once_fails_at_once_in_an_outage(outage: Any) -> None:
    database = outage.open(outage=600)
    outage.begin()
    with pytest.raises(optuna.exceptions.StorageInternalError):
        database.unretried.create_new_study([StudyDirection.MAXIMIZE], "s")
    with pytest.raises(OperationalError):
        (database.check_writable if database.is_sqlite else database.now)()


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda d, k: d.get_trial(NO_TRIAL), KeyError),
        (lambda d, k: d.set_trial_user_attr(NO_TRIAL, "a", 1), KeyError),
        (lambda d, k: d.get_study_id_from_name("nosuch"), KeyError),
        (lambda d, k: d.create_new_study([StudyDirection.MAXIMIZE], k.name), optuna.exceptions.DuplicatedStudyError),
        (lambda d, k: d.set_trial_user_attr(k.done, "a", 1), optuna.exceptions.UpdateFinishedTrialError),
        (lambda d, k: d.set_trial_param(k.running, "width", 1, IntDistribution(0, 1)), ValueError),
        (lambda d, k: d.set_trial_user_attr(k.running, "a", object()), TypeError),
    ],
    ids=["trial", "trial written", "study", "duplicate", "finished", "distribution", "value"],
)  # fmt: skip
def test_error_that_is_no_outage_is_raised_at_once(
    database: Database,
    known: Known,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[..., Any],
    expected: type[Exception],
) -> None:
    monkeypatch.setattr("storage.retry.time.sleep", lambda seconds: pytest.fail("waited"))
    with pytest.raises(expected):
        call(database, known)


def test_missing_table_is_an_error_at_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = open_storage(url, SHORT)
    known = prepare(database, "s")
    with database.connect() as connection:
        connection.execute(text("DROP TABLE trial_user_attributes"))
        connection.commit()
    monkeypatch.setattr("storage.retry.time.sleep", lambda seconds: pytest.fail("waited"))
    with pytest.raises(optuna.exceptions.StorageInternalError) as raised:
        database.set_trial_user_attr(known.running, "a", 1)
    assert "trial_user_attributes" in str(raised.value.__cause__)


# A lost answer.


@pytest.fixture
def lose_answer(database: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the first call of set_trial_state_values do what is given, and fail all the same."""
    inner, calls = database.unretried.set_trial_state_values, []

    def lose(told: Callable[..., Any]) -> None:
        def lossy(*arguments: Any, **named: Any) -> Any:
            calls.append(1)
            if len(calls) > 1:
                return inner(*arguments, **named)
            told(inner, *arguments, **named)
            raise OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))

        monkeypatch.setattr(database.unretried, "set_trial_state_values", lossy)

    return lose


@pytest.mark.parametrize(
    ("state", "values"), [(TrialState.COMPLETE, [0.9]), (TrialState.PRUNED, None), (TrialState.FAIL, None)]
)
def test_end_of_a_trial_whose_answer_was_lost_is_a_success(
    database: Database,
    known: Known,
    lose_answer: Callable[..., None],
    state: TrialState,
    values: list[float] | None,
) -> None:
    lose_answer(lambda inner, *arguments: inner(*arguments))
    assert database.set_trial_state_values(known.running, state, values)
    trial = database.get_trial(known.running)
    assert (trial.state, trial.values) == (state, values)


def test_end_of_an_owned_trial_whose_answer_was_lost_is_a_success(
    database: Database, study_name: str, lose_answer: Callable[..., None]
) -> None:
    study = optuna.create_study(study_name=study_name, storage=database)
    claim = Claims(database, study._study_id, "one").claim(1)
    assert claim is not None
    lose_answer(lambda inner, *arguments: inner(*arguments))
    claim.finish(TrialState.COMPLETE, 0.9)
    assert study.trials[0].value == 0.9


@pytest.mark.parametrize(
    ("state", "values"), [(TrialState.COMPLETE, [0.1]), (TrialState.PRUNED, None), (TrialState.FAIL, None)]
)
def test_trial_ended_otherwise_meanwhile_is_no_success(
    database: Database,
    known: Known,
    lose_answer: Callable[..., None],
    state: TrialState,
    values: list[float] | None,
) -> None:
    lose_answer(lambda inner, *_: inner(known.running, state, values))
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        database.set_trial_state_values(known.running, TrialState.COMPLETE, [0.9])
    assert database.get_trial(known.running).state == state


def test_trial_ended_before_is_no_success(database: Database, known: Known) -> None:
    """At the first try nothing can have been lost."""
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        database.set_trial_state_values(known.done, TrialState.COMPLETE, [0.5])


# Guards.


def refuse(connection: sqlalchemy.Connection) -> None:
    raise Refused


def test_what_a_guard_raises_aborts_every_write_to_a_trial(database: Database, known: Known) -> None:
    def everything() -> list[Any]:
        return [database.get_all_trials(study) for study in (known.study, known.other, known.empty)]

    before = everything()
    for name in TO_TRIALS:
        with pytest.raises(Refused), database.guarded(refuse):
            CALLS[name][0](database, known)
        assert everything() == before, name
    for name in TO_TRIALS:
        assert CALLS[name][1](database, known, CALLS[name][0](database, known)), name


def test_calls_that_write_to_no_trial_are_not_guarded(database: Database, known: Known) -> None:
    with database.guarded(refuse):
        for name in sorted(set(NAMES) - set(TO_TRIALS)):
            found = CALLS[name][0](database, known)
            assert CALLS[name][1](database, known, found), name


def test_guard_runs_before_the_write(database: Database, known: Known) -> None:
    seen: list[object] = []

    def look(connection: sqlalchemy.Connection) -> None:
        query = "SELECT count(*) FROM trial_user_attributes WHERE key = 'new' AND trial_id = :id"
        seen.append(connection.execute(text(query), {"id": known.running}).scalar())

    with database.guarded(look):
        database.set_trial_user_attr(known.running, "new", 1)
        database.set_trial_user_attr(known.running, "newer", 1)
    assert seen == [0, 1]


def rename(connection: sqlalchemy.Connection, known: Known) -> None:
    query = "UPDATE studies SET study_name = :name WHERE study_id = :id"
    connection.execute(text(query), {"name": f"{known.name} by the guard", "id": known.study})


def test_guard_runs_in_the_transaction_of_the_write(
    database: Database, known: Known, other: Database
) -> None:
    seen: list[str] = []

    def look(connection: sqlalchemy.Connection) -> None:
        rename(connection, known)
        seen.append(other.get_study_name_from_id(known.study))

    with database.guarded(look):
        database.set_trial_user_attr(known.running, "new", 1)
    assert seen == [known.name]
    with other.connect() as connection:
        names = connection.execute(text("SELECT study_name FROM studies")).scalars().all()
    assert f"{known.name} by the guard" in names


def test_what_a_guard_did_is_undone_with_the_write(database: Database, known: Known) -> None:
    guard = functools.partial(rename, known=known)
    with pytest.raises(ValueError, match="distribution"), database.guarded(guard):
        database.set_trial_param(known.running, "width", 1, IntDistribution(0, 1))
    assert database.get_study_id_from_name(known.name) == known.study


def test_row_that_a_guard_locked_stays_as_it_was_until_the_write(
    database: Database, known: Known, other: Database
) -> None:
    """Another's sign of life comes after what was written, not between the look and the write."""
    database.set_trial_system_attr(known.running, HEARTBEAT, {"token": "mine"})
    theirs: list[Any] = []

    def guard(connection: sqlalchemy.Connection) -> None:
        seen.append(database.lock_row(connection, known.running))
        theirs.append(run(take))
        theirs[0][0].join(timeout=0.5)  # It has time enough.
        assert theirs[0][1] == []
        seen.append(database.lock_row(connection, known.running))

    def lock(connection: sqlalchemy.Connection) -> None:
        other.lock_row(connection, known.running)

    def take() -> None:
        with other.guarded(lock):
            other.set_trial_system_attr(known.running, HEARTBEAT, {"token": "theirs"})

    seen: list[tuple[str, str]] = []
    with database.guarded(guard):
        database.set_trial_user_attr(known.running, "new", 1)
    theirs[0][0].join(timeout=20)
    assert [(state, json.loads(life)) for state, life in seen] == [("RUNNING", {"token": "mine"})] * 2
    assert theirs[0][1] == [None]
    assert database.get_trial(known.running).system_attrs[HEARTBEAT] == {"token": "theirs"}


def test_locked_row_shows_what_was_committed_while_it_was_waited_for(
    database: Database, known: Known, other: Database, wait_until: Callable[..., None]
) -> None:
    database.set_trial_system_attr(known.running, HEARTBEAT, {"token": "old"})
    late: list[Any] = []
    seen: list[str] = []

    def look(connection: sqlalchemy.Connection) -> None:
        seen.append(other.lock_row(connection, known.running)[1])

    def late_write() -> None:
        with other.guarded(look):
            other.set_trial_user_attr(known.running, "late", 1)

    def guard(connection: sqlalchemy.Connection) -> None:
        database.lock_row(connection, known.running)
        late.append(run(late_write))
        late[0][0].join(timeout=0.3)

    with database.guarded(guard):
        database.set_trial_system_attr(known.running, HEARTBEAT, {"token": "new"})
    late[0][0].join(timeout=20)
    assert [json.loads(life) for life in seen] == [{"token": "new"}]


def test_row_of_a_trial_without_a_sign_of_life_is_empty(database: Database, known: Known) -> None:
    with database.connect() as connection:
        assert database.lock_row(connection, known.done) == ("COMPLETE", "{}")


def test_writes_of_another_thread_are_not_guarded(database: Database, known: Known) -> None:
    with database.guarded(refuse):
        thread, outcome = run(lambda: database.set_trial_user_attr(known.running, "new", 1))
        thread.join(timeout=20)
    assert outcome == [None]


def test_inner_guard_takes_the_place_of_the_outer_for_a_while(database: Database, known: Known) -> None:
    with database.guarded(refuse):
        with database.guarded(lambda connection: None):
            database.set_trial_user_attr(known.running, "new", 1)
        with pytest.raises(Refused):
            database.set_trial_user_attr(known.running, "newer", 1)
    database.set_trial_user_attr(known.running, "newest", 1)
    assert set(attrs(database, known)) == {"of", "new", "newest"}


def test_guard_runs_again_when_the_write_is_tried_again(database: Database, known: Known) -> None:
    calls: list[int] = []

    def guard(connection: sqlalchemy.Connection) -> None:
        calls.append(1)
        if len(calls) < 3:
            raise OperationalError("SELECT", {}, Exception("the connection was lost"))

    with database.guarded(guard):
        database.set_trial_user_attr(known.running, "new", 1)
    assert len(calls) == 3
    assert attrs(database, known)["new"] == 1


# The lock.


def lock_of(kind: str, url: str, name: str = "x", grace: float = 20) -> Any:
    parsed = sqlalchemy.make_url(url)
    if kind == "sqlite":
        return file_lock(parsed)
    return advisory_lock(raw(url), name, grace)


@pytest.fixture
def kind(shared_url: str) -> str:
    return shared_url.partition(":")[0]


Hold = Callable[..., tuple[BaseProcess, Connection]]


@pytest.fixture
def hold(shared_url: str, start: Hold) -> Hold:
    """Start a process that takes the lock ``x``, reads, and writes once it is told to."""

    def begin(known: Known, grace: float = 30, least_hold: float = 5) -> tuple[BaseProcess, Connection]:
        process, told = start(hold_lock, shared_url, known.running, grace, least_hold)
        assert told.recv() == "in"
        return process, told

    return begin


def add(database: Database, known: Known, name: str) -> None:
    names = attrs(database, known).get("names", [])
    database.set_trial_user_attr(known.running, "names", [*names, name])


def test_lock_is_held_by_one_thread_at_a_time(kind: str, shared_url: str) -> None:
    held: list[str] = []

    def hold(name: str) -> None:
        with lock_of(kind, shared_url):
            held.append(f"{name} in")
            time.sleep(0.05)
            held.append(f"{name} out")

    threads = [run(lambda name=name: hold(name)) for name in "abcd"]
    for thread, _ in threads:
        thread.join(timeout=20)
    assert [outcome for _, outcome in threads] == [[None]] * 4
    assert len(held) == 8
    for entered, left in zip(held[::2], held[1::2], strict=True):
        assert entered[0] == left[0]


def test_lock_is_held_by_one_process_at_a_time(database: Database, known: Known, hold: Hold) -> None:
    _, told = hold(known)
    thread, outcome = run(lambda: database.exclusively("x", lambda: add(database, known, "waited")))
    thread.join(timeout=0.5)
    assert outcome == []
    told.send("go")
    thread.join(timeout=30)
    assert outcome == [None]
    assert attrs(database, known)["names"] == ["held", "waited"]


def test_lock_of_a_killed_process_is_free(database: Database, known: Known, hold: Hold) -> None:
    process, _ = hold(known)
    process.kill()
    started = time.monotonic()
    database.exclusively("x", lambda: add(database, known, "next"))
    assert time.monotonic() - started < 10
    assert attrs(database, known)["names"] == ["next"]


def test_locks_of_other_names_are_free_in_postgres(postgres: PostgresServer) -> None:
    url = postgres.database()
    with lock_of("postgresql", url, "study 1"):
        thread, outcome = run(lambda: lock_of("postgresql", url, "study 2").__enter__())
        thread.join(timeout=10)
        assert callable(outcome[0])


def test_lock_file_lies_beside_the_database(tmp_path: Path) -> None:
    with file_lock(sqlalchemy.make_url(f"sqlite:///{tmp_path / 'search.db'}")):
        assert [path.name for path in tmp_path.iterdir()] == ["search.db.claim.lock"]


def test_lock_file_held_for_too_long_is_worth_another_try(tmp_path: Path) -> None:
    url = sqlalchemy.make_url(f"sqlite:///{tmp_path / 'search.db'}")
    late = file_lock(url, timeout=0.1)
    with file_lock(url), pytest.raises(LockLost, match=r"another process holds the lock of search\.db"):
        late.__enter__()


def test_advisory_lock_held_for_too_long_is_worth_another_try(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.locks.LONGEST_WAIT_SECONDS", 0.2)
    url = postgres.database()
    late = lock_of("postgresql", url)
    with lock_of("postgresql", url), pytest.raises(OperationalError, match="lock timeout"):
        late.__enter__()


def test_lock_is_free_after_an_error(kind: str, shared_url: str) -> None:
    with pytest.raises(KeyError), lock_of(kind, shared_url):
        raise KeyError
    thread, outcome = run(lambda: lock_of(kind, shared_url, grace=2).__enter__())
    thread.join(timeout=10)
    assert callable(outcome[0])


def test_what_is_done_under_the_lock_gives_its_answer(database: Database) -> None:
    assert database.exclusively("x", lambda: 7) == 7


def test_what_is_done_under_the_lock_is_done_again_as_a_whole(
    database: Database, known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single call that is tried again could outlive the lock."""
    begun: list[int] = []
    inner, failures = database.unretried.set_trial_user_attr, [1, 1]

    def failing(*arguments: Any) -> None:
        if failures:
            failures.pop()
            raise OperationalError("UPDATE", {}, Exception("the connection was lost"))
        inner(*arguments)

    monkeypatch.setattr(database.unretried, "set_trial_user_attr", failing)

    def work() -> None:
        begun.append(1)
        database.set_trial_user_attr(known.running, "new", 1)

    database.exclusively("x", work)
    assert len(begun) == 3
    assert attrs(database, known)["new"] == 1


def test_calls_after_the_lock_are_tried_again_one_by_one(
    database: Database, known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyError):
        database.exclusively("x", lambda: database.get_trial(NO_TRIAL))
    calls: list[int] = []
    inner = database.unretried.get_n_trials

    def failing(*arguments: Any) -> int:
        calls.append(1)
        if len(calls) < 3:
            raise OperationalError("SELECT", {}, Exception("the connection was lost"))
        return inner(*arguments)

    monkeypatch.setattr(database.unretried, "get_n_trials", failing)
    assert database.get_n_trials(known.study) == 3
    assert len(calls) == 3


def test_restart_while_the_lock_is_held_refuses_what_its_holder_writes_then(
    frail: PostgresServer, frail_url: str
) -> None:
    database, other = open_storage(frail_url, SHORT), open_storage(frail_url, SHORT)
    known = prepare(database, "s")
    begun: list[str] = []

    def work() -> None:
        names = attrs(database, known).get("names", [])
        begun.append("holder")
        if len(begun) == 1:
            frail.restart()
            other.exclusively("x", lambda: begun.append("other") or add(other, known, "other"))
        database.set_trial_user_attr(known.running, "names", [*names, "holder"])

    database.exclusively("x", work)
    assert begun == ["holder", "other", "holder"]
    assert attrs(database, known)["names"] == ["other", "holder"]


def test_write_under_a_lock_lost_in_a_restart_is_refused(frail: PostgresServer, frail_url: str) -> None:
    database = open_storage(frail_url, SHORT)
    known = prepare(database, "s")
    with database.lock("x") as held:
        frail.restart()
        with database.connect() as connection, pytest.raises(LockLost):
            held(connection)
    assert set(attrs(database, known)) == {"of"}


def test_restart_while_a_trial_is_claimed_gives_out_one_trial(frail: PostgresServer, frail_url: str) -> None:
    database = open_storage(frail_url, SHORT)
    study = optuna.create_study(study_name="s", storage=database)
    inner, restarted = database.unretried.create_new_trial, []

    def restarting(*arguments: Any) -> int:
        if not restarted:
            restarted.append(1)
            frail.restart()
        return inner(*arguments)

    database.unretried.create_new_trial = restarting  # type: ignore[method-assign]
    claim = Claims(database, study._study_id, "one").claim(1)
    assert claim is not None
    assert [(trial._trial_id, trial.state.name) for trial in study.trials] == [(claim.trial_id, "RUNNING")]
    claim.finish(TrialState.COMPLETE, 0.5)


def test_claimed_trial_whose_answer_was_lost_is_not_made_twice(
    database: Database, study_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optuna.create_study(study_name=study_name, storage=database)
    inner, lost = database.unretried.create_new_trial, []

    def lossy(*arguments: Any) -> int:
        found = inner(*arguments)
        if not lost:
            lost.append(found)
            raise OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))
        return found

    monkeypatch.setattr(database.unretried, "create_new_trial", lossy)
    claim = Claims(database, study._study_id, "one").claim(3)
    assert claim is not None
    assert [trial._trial_id for trial in study.trials] == lost == [claim.trial_id]


@pytest.mark.slow
def test_stopped_holder_loses_the_lock_in_postgres_and_writes_nothing(
    kind: str, database: Database, known: Known, hold: Hold
) -> None:
    """In SQLite the lock file stays its own, and others wait."""
    process, told = hold(known, grace=1, least_hold=1)
    os.kill(process.pid, signal.SIGSTOP)
    thread, outcome = run(lambda: database.exclusively("x", lambda: add(database, known, "waited")))
    postgres = kind == "postgresql"
    thread.join(timeout=20 if postgres else 2)
    assert outcome == ([None] if postgres else [])
    os.kill(process.pid, signal.SIGCONT)
    told.send("go")
    # It reads again what was written meanwhile.
    assert told.recv() == ("in" if postgres else "done")
    if postgres:
        told.send("go")
        assert told.recv() == "done"
    thread.join(timeout=20)
    assert attrs(database, known)["names"] == (["waited", "held"] if postgres else ["held", "waited"])


# Busy files.


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [1, pytest.param(20, marks=pytest.mark.soak)])
@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
def test_foreign_lock_on_a_file_is_waited_for(url: str, seconds: float) -> None:
    """With SQLite's own 5 s a backup or a VACUUM kills workers (measured)."""
    database = open_storage(url)
    known = prepare(database, "s")
    claims = Claims(database, optuna.create_study(study_name="claimed", storage=database)._study_id, "one")
    foreign = sqlite3.connect(url.removeprefix("sqlite:///"), check_same_thread=False)
    foreign.execute("BEGIN IMMEDIATE")
    works = [
        run(lambda: database.set_trial_user_attr(known.running, "new", 1)),
        run(lambda: claims.claim(1)),
        run(lambda: claims.has_work(1)),
    ]
    threading.Timer(seconds, foreign.rollback).start()
    started = time.monotonic()
    works[0][0].join(timeout=60)
    assert time.monotonic() - started > seconds - 0.5
    for thread, _ in works[1:]:
        thread.join(timeout=60)
    assert attrs(database, known)["new"] == 1
    assert [type(outcome[0]).__name__ for _, outcome in works] == ["NoneType", "Claim", "bool"]


# The clock, and the rest.


def test_clock_is_the_databases_own_in_seconds_since_the_epoch(database: Database) -> None:
    assert abs(database.now() - time.time()) < 2


def test_clock_goes_on_within_a_transaction(database: Database) -> None:
    first = database.now()
    time.sleep(0.02)
    assert database.now() - first >= 0.02


def test_touching_writes_nothing_and_leaves_no_lock(
    database: Database, known: Known, other: Database
) -> None:
    before = database.get_all_trials(known.study)
    database.check_writable()
    other.set_trial_user_attr(known.running, "new", 1)
    database.check_writable()
    assert len(database.get_all_trials(known.study)) == len(before)
    assert attrs(other, known)["new"] == 1


@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
def test_touching_a_file_that_cannot_be_written_to_fails(url: str) -> None:
    database = open_storage(url)
    foreign = sqlite3.connect(url.removeprefix("sqlite:///"))
    with database.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=100")
    foreign.execute("BEGIN IMMEDIATE")
    with pytest.raises(OperationalError, match="database is locked"):
        database.check_writable()
    foreign.rollback()
    database.check_writable()


def test_closed_database_opens_again_at_the_next_call(database: Database, known: Known) -> None:
    database.close()
    assert database.get_n_trials(known.study) == 3


def test_database_is_known_for_a_file_or_a_server(database: Database, kind: str) -> None:
    assert database.is_sqlite == (kind == "sqlite")


def test_studies_of_optuna_work_on_it(database: Database, study_name: str) -> None:
    study = optuna.create_study(study_name=study_name, storage=database, direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("width", 0, 1), n_trials=3)
    assert study.best_value == max(trial.value for trial in study.trials)
    assert study._storage is database

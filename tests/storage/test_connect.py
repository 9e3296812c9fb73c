"""How the database is opened: its settings, its schema made once, and what is said where it cannot be."""

import logging
import os
import pickle
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import psycopg
import pytest
import sqlalchemy

from benchmarks.postgres import PostgresServer
from storage.connect import BUSY_SECONDS, existing_database, open_storage
from storage.database import Database
from storage.errors import DatabaseGone
from storage.timeouts import Timeouts
from storage.url import default_url
from tests.storage.processes import make_study

SECRET = "geheim"
SHORT = Timeouts(outage=0.3, pause=0.1, connect=2)


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    return default_url(tmp_path)


@pytest.fixture(scope="module")
def server_url(postgres: PostgresServer, postgres_schema: str) -> str:
    """A database in Postgres for all tests of what a session is told."""
    return postgres.database(like=postgres_schema)


@pytest.fixture(scope="module")
def asking_url(frail: PostgresServer, frail_schema: str) -> str:
    """A database in a Postgres that asks the user ``me`` for a password: ``me@/`` is to be filled in."""
    rules = frail.folder / "data" / "pg_hba.conf"
    rules.write_text("local all me scram-sha-256\n" + rules.read_text())
    with psycopg.connect(f"host={frail.folder} user=postgres dbname=postgres", autocommit=True) as connection:
        connection.execute(f"CREATE ROLE me LOGIN SUPERUSER PASSWORD '{SECRET}'")
        connection.execute("SELECT pg_reload_conf()")
    return frail.database(like=frail_schema).replace("postgres@/", "me@/")


def refusal(url: str) -> str:
    with pytest.raises(ValueError, match=r"^storage") as refused:
        open_storage(url, SHORT)
    line = str(refused.value)
    assert "\n" not in line
    return line


def ask(database: Database, statement: str) -> object:
    with database.connect() as connection:
        return connection.execute(sqlalchemy.text(statement)).scalar()


def driver(database: Database) -> psycopg.ConnectionInfo:
    """What the driver says of a connection."""
    with database.connect() as connection:
        return connection.connection.dbapi_connection.info


def test_database_is_made_and_opened_again(empty_url: str) -> None:
    optuna.create_study(study_name="s", storage=open_storage(empty_url))
    assert optuna.get_all_study_names(open_storage(empty_url)) == ["s"]


def database_exists(url: str) -> bool:
    with existing_database(url) as connection:
        return connection is not None


def test_looking_for_a_database_creates_nothing(empty_url: str) -> None:
    assert not database_exists(empty_url)
    assert not database_exists(empty_url)
    open_storage(empty_url)
    assert database_exists(empty_url)


def test_looking_for_a_file_makes_none(file_url: str, tmp_path: Path) -> None:
    assert not database_exists(file_url)
    assert list(tmp_path.iterdir()) == []


def test_looking_where_nobody_answers_is_refused_without_a_password() -> None:
    with pytest.raises(ValueError, match="cannot be opened") as refused:
        database_exists(f"postgresql://me:{SECRET}@127.0.0.1:1/db")
    assert SECRET not in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [4, pytest.param(16, marks=pytest.mark.soak)])
def test_processes_make_the_schema_at_once(empty_url: str, start: Callable[..., Any], processes: int) -> None:
    """Stock Optuna: 24 of 40 failed on SQLite, 33 of 40 on Postgres (measured, eight at once)."""
    names = [f"s{number:02d}" for number in range(processes)]
    begin = time.time() + processes / 8
    told = [start(make_study, empty_url, name, begin)[1] for name in names]
    assert [one.recv() for one in told] == ["made"] * processes
    assert sorted(optuna.get_all_study_names(open_storage(empty_url))) == names


def test_sqlite_writes_ahead_and_waits_for_a_busy_file(file_url: str) -> None:
    database = open_storage(file_url)
    assert ask(database, "PRAGMA journal_mode") == "wal"
    assert ask(database, "PRAGMA synchronous") == 1  # NORMAL
    assert ask(database, "PRAGMA busy_timeout") == 1000 * BUSY_SECONDS == 60_000


def test_every_connection_to_sqlite_is_set_so(file_url: str) -> None:
    database = open_storage(file_url)
    with database.connect(), database.connect() as second:
        assert second.exec_driver_sql("PRAGMA synchronous").scalar() == 1
        assert second.exec_driver_sql("PRAGMA busy_timeout").scalar() == 60_000


def test_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert "does not exist" in refusal(f"sqlite:///{tmp_path}/no/such/search.db")
    assert list(tmp_path.iterdir()) == []


def test_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert "cannot be opened" in refusal(f"sqlite:///{tmp_path / 'folder'}")


def test_file_that_is_no_database_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but long enough to look like one " * 50)
    before = file.read_bytes()
    assert "file is not a database" in refusal(f"sqlite:///{file}")
    assert file.read_bytes() == before


def test_full_disk_is_named_with_what_mends_it(file_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(sqlite3, "connect", connect)
    assert "(database or disk is full); free some space there, and run the same" in refusal(file_url)


@pytest.mark.parametrize("locked", ["search.db", "."])
def test_database_that_may_only_be_read_is_to_be_copied(
    file_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locked: str
) -> None:
    open_storage(file_url).close()

    def connect(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(sqlite3, "connect", connect)
    # Root may write whatever its mode.
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path / locked)
    assert f"make {tmp_path} writable, or copy it and name the copy" in refusal(file_url)


def test_network_file_system_is_refused_before_a_file_is_made(
    file_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"36 35 0:3 / {tmp_path} rw shared:1 - nfs4 host:/export rw\n")
    monkeypatch.setattr("storage.url.MOUNTS", mounts)
    assert "network file system (nfs4)" in refusal(file_url)
    assert list(tmp_path.iterdir()) == [mounts]


def test_database_of_a_later_optuna_is_refused_in_one_line(url: str) -> None:
    database = open_storage(url)
    with database.connect() as connection:
        connection.execute(sqlalchemy.text("UPDATE alembic_version SET version_num = 'v99.0.0.a'"))
        connection.commit()
    database.close()
    assert "cannot be opened" in refusal(url)


def test_database_that_is_refused_is_closed_again(file_url: str, tmp_path: Path) -> None:
    test_database_of_a_later_optuna_is_refused_in_one_line(file_url)
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".db-wal"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TZ", "Pacific/Auckland"),
        ("PGOPTIONS", "-c timezone=Pacific/Auckland"),
        ("PGTZ", "Pacific/Auckland"),  # libpq sends it as a parameter of its own, which beats `options`.
    ],
)
def test_session_is_in_utc_whatever_the_environment_says(
    server_url: str, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert ask(open_storage(server_url), "SHOW timezone") == "UTC"


def test_session_is_in_utc_whatever_the_options_of_the_url_say(server_url: str) -> None:
    database = open_storage(f"{server_url}&options=-c%20timezone%3DPacific/Auckland")
    assert ask(database, "SHOW timezone") == "UTC"


def test_options_of_the_url_are_kept(server_url: str) -> None:
    database = open_storage(f"{server_url}&options=-c%20statement_timeout%3D12345")
    assert ask(database, "SHOW statement_timeout") == "12345ms"
    assert ask(database, "SHOW timezone") == "UTC"


def test_host_that_is_gone_without_a_word_is_noticed(server_url: str) -> None:
    """Connecting, an idle connection and one in use each have their bound."""
    database = open_storage(server_url, Timeouts(connect=7))
    told = driver(database).get_parameters()
    assert {name: told[name] for name in told if name.startswith(("keepalives", "connect_", "tcp_"))} == {
        "connect_timeout": "7",
        "keepalives": "1",
        "keepalives_idle": "10",
        "keepalives_interval": "5",
        "keepalives_count": "3",
        "tcp_user_timeout": "30000",
    }


def test_connecting_waits_two_seconds_at_the_least(server_url: str) -> None:
    """Less means two to libpq; nothing at all would mean for ever."""
    database = open_storage(server_url, Timeouts(connect=0.2))
    told = driver(database).get_parameters()
    assert told["connect_timeout"] == "2"


def test_connection_that_was_lost_while_nobody_used_it_is_replaced(
    server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.connect.UNUSED_SECONDS", -1.0)
    database, other = open_storage(server_url), open_storage(server_url)
    lost = ask(database, "SELECT pg_backend_pid()")
    assert ask(database, "SELECT pg_backend_pid()") == lost
    assert ask(other, f"SELECT pg_terminate_backend({lost}, 60000)") is True
    assert ask(database, "SELECT pg_backend_pid()") != lost


@pytest.mark.parametrize("new_database", ["postgres"], indirect=True)
def test_few_connections_stay_after_many_threads(url: str) -> None:
    database = open_storage(url)
    study = optuna.create_study(study_name="s", storage=database)
    most: list[int] = []

    def use() -> None:
        trial = study.ask()
        database.set_trial_user_attr(trial._trial_id, "worker", 1)
        most.append(count())

    def count() -> int:
        with psycopg.connect(url) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND application_name <> 'counting'"
            ).fetchone()
        return int(row[0])

    threads = [threading.Thread(target=use) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(study.trials) == len(most) == 20
    assert count() <= 2


def test_password_reaches_the_server(asking_url: str) -> None:
    url = asking_url.replace("me@/", f"me:{SECRET}@/")
    optuna.create_study(study_name="s", storage=open_storage(url))
    assert optuna.get_all_study_names(open_storage(url)) == ["s"]


def test_password_in_the_query_reaches_the_server(asking_url: str) -> None:
    database = open_storage(f"{asking_url}&password={SECRET}")
    assert driver(database).user == "me"


def test_password_of_a_file_reaches_the_server(
    asking_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "passwords"
    file.write_text(f"*:*:*:me:{SECRET}\n")
    file.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(file))
    database = open_storage(asking_url)
    assert driver(database).user == "me"


@pytest.mark.parametrize(("user", "query"), [("me:falsch", ""), ("me", "&password=falsch")])
def test_wrong_password_is_refused_and_not_shown(asking_url: str, user: str, query: str) -> None:
    line = refusal(asking_url.replace("me@/", f"{user}@/") + query)
    assert 'password authentication failed for user "me"' in line
    assert "PGPASSFILE" in line
    assert "falsch" not in line


def test_database_that_is_not_there_is_refused(postgres: PostgresServer) -> None:
    line = refusal(f"postgresql://postgres:{SECRET}@/nosuch?host={postgres.folder}")
    assert 'database "nosuch" does not exist' in line
    assert SECRET not in line


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{SECRET}@127.0.0.1:1/db",
        f"postgresql://me@127.0.0.1:1/db?password={SECRET}",
        f"postgresql://me:{SECRET}@nosuch.invalid/db",
        f"postgresql://me:{SECRET}@/db?host={SECRET}",  # A host that quotes it.
        f"postgresql://me:{SECRET}@/db?host=/nosuch/{SECRET}",
        f"postgresql://me:{SECRET}@127.0.0.1:1/db?nosuch={SECRET}",
    ],
)
def test_server_that_cannot_be_reached_is_refused_without_the_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"^storage") as refused:
        open_storage(url, SHORT)
    said = str(refused.value).partition("cannot be opened")
    assert said[1]
    assert SECRET not in said[2]
    if url.count(SECRET) == 1:
        assert SECRET not in "".join(traceback.format_exception(refused.value))


def test_patient_opening_waits_for_the_server(
    frail: PostgresServer, frail_url: str, wait_until: Callable[..., None]
) -> None:
    frail.stop()
    tries: list[float] = []
    opened: list[Database] = []

    def opening() -> None:
        opened.append(open_storage(frail_url, Timeouts(outage=30, pause=0.2), patient=True))

    refusing = psycopg.connect

    def counted(*arguments: object, **named: object) -> psycopg.Connection:
        tries.append(time.monotonic())
        return refusing(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg, "connect", counted)
        thread = threading.Thread(target=opening)
        thread.start()
        try:
            wait_until(lambda: len(tries) >= 2)
            assert opened == []
        finally:
            frail.start()
        thread.join(timeout=20)
    assert opened[0].get_all_studies() == []


def test_patient_opening_gives_up_in_one_line_without_a_password() -> None:
    with pytest.raises((ValueError, DatabaseGone)) as raised:
        open_storage(f"postgresql://me:{SECRET}@127.0.0.1:1/db", SHORT, patient=True)
    assert "\n" not in str(raised.value)
    assert "refused" in str(raised.value)
    assert SECRET not in "".join(traceback.format_exception(raised.value))


@pytest.fixture(scope="module", params=["user", "query"])
def secret(server_url: str, request: pytest.FixtureRequest) -> Database:
    """A database opened with a password in its URL, in each of the places."""
    if request.param == "query":
        return open_storage(f"{server_url}&password={SECRET}")
    return open_storage(server_url.replace("postgres@/", f"postgres:{SECRET}@/"))


def test_password_goes_to_the_driver(secret: Database) -> None:
    assert driver(secret).password == SECRET


def test_password_is_not_in_what_a_database_says_of_itself(secret: Database) -> None:
    inner = secret.unretried._backend
    with secret.connect() as connection:
        engine = connection.engine
    said = [
        str(secret), repr(secret), str(secret.url), secret.url.render_as_string(hide_password=False),
        repr(engine), engine.url.render_as_string(hide_password=False), repr(inner), inner.url,
        repr(vars(secret)),
    ]  # fmt: skip
    assert [words for words in said if SECRET in words] == []


def test_password_is_not_in_a_pickled_storage(secret: Database) -> None:
    assert SECRET.encode() not in pickle.dumps(secret.unretried._backend)


def test_password_is_not_in_the_traceback_of_a_failed_statement(secret: Database) -> None:
    with pytest.raises(sqlalchemy.exc.SQLAlchemyError) as raised:
        ask(secret, "SELECT nonsense")
    assert SECRET not in "".join(traceback.format_exception(raised.value))


def test_password_is_not_logged(server_url: str, study_name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("sqlalchemy", "sqlalchemy.engine", "sqlalchemy.pool", "psycopg", "alembic", "optuna"):
        caplog.set_level(logging.DEBUG, logger=name)
    database = open_storage(server_url.replace("postgres@/", f"postgres:{SECRET}@/"))
    optuna.create_study(study_name=study_name, storage=database).ask()
    assert len(caplog.records) > 20
    assert SECRET not in caplog.text


def test_password_is_not_in_the_processs_arguments_or_environment(secret: Database) -> None:
    secret.get_all_studies()
    assert SECRET not in Path(f"/proc/{os.getpid()}/cmdline").read_text()
    assert SECRET not in repr(dict(os.environ))


@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
def test_foreign_file_lock_while_opening_is_waited_for(url: str) -> None:
    foreign = sqlite3.connect(url.removeprefix("sqlite:///"), check_same_thread=False)
    foreign.execute("BEGIN IMMEDIATE")
    threading.Timer(0.5, foreign.rollback).start()
    database = open_storage(url)
    database.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "s")
    assert not foreign.in_transaction


def test_encryption_that_would_end_a_process_with_tensorflow_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = "postgresql://me@localhost:1/search?sslmode=verify-ca"
    loaded = {name: module for name, module in sys.modules.items() if name not in ("tensorflow", "psycopg")}
    monkeypatch.setattr(
        sys, "modules", {**loaded, "tensorflow": sys, "psycopg": sys.modules.get("psycopg", sys)}
    )
    assert refusal(url).endswith("begin it (a notebook's kernel) anew with import psycopg")
    assert "cannot be opened" in refusal(url.replace("verify-ca", "prefer"))

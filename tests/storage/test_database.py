"""The database: how it is opened, what is refused, and that many may begin at once."""

import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import optuna
import pytest
import sqlalchemy

from storage.database import BUSY_SECONDS, claim_lock, database_exists, default_url, open_storage

ROOT = Path(__file__).parents[2]
OPENING = """
import os, sys, time
import optuna
from storage.database import open_storage

begin = time.time() + 0.5
for number in range(8):
    if os.fork():
        continue
    time.sleep(max(0.0, begin - time.time()))
    optuna.create_study(study_name=f"s{number}", storage=open_storage(sys.argv[1]))
    os._exit(0)
for number in range(8):
    assert os.wait()[1] == 0
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return default_url(tmp_path)


def refusal(url: str) -> str:
    with pytest.raises(ValueError, match=r"^--storage") as refused:
        open_storage(url)
    line = str(refused.value)
    assert "\n" not in line
    return line


def pragma(storage: optuna.storages.RDBStorage, name: str) -> object:
    with storage.engine.connect() as connection:
        return connection.execute(sqlalchemy.text(f"PRAGMA {name}")).scalar()


def test_database_is_made_and_opened_again(url: str) -> None:
    optuna.create_study(study_name="s", storage=open_storage(url))
    assert optuna.get_all_study_names(open_storage(url)) == ["s"]


def test_database_writes_ahead_and_waits_for_a_busy_file(url: str) -> None:
    storage = open_storage(url)
    assert pragma(storage, "journal_mode") == "wal"
    assert pragma(storage, "synchronous") == 1  # NORMAL
    assert pragma(storage, "busy_timeout") == 1000 * BUSY_SECONDS


def test_write_waits_for_a_foreign_lock(url: str, tmp_path: Path) -> None:
    storage = open_storage(url)
    foreign = sqlite3.connect(tmp_path / "search.db", check_same_thread=False)
    foreign.execute("BEGIN IMMEDIATE")
    threading.Timer(0.5, foreign.rollback).start()
    before = time.monotonic()
    optuna.create_study(study_name="s", storage=storage)
    assert time.monotonic() - before > 0.4


def test_looking_for_a_database_creates_nothing(url: str, tmp_path: Path) -> None:
    assert not database_exists(url)
    assert list(tmp_path.iterdir()) == []
    open_storage(url)
    assert database_exists(url)


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


@pytest.mark.parametrize("url", ["", "search.db", "not a url", "sqlite"])
def test_what_is_no_url_is_refused(url: str) -> None:
    assert "expected one such as sqlite:///" in refusal(url)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_database_in_memory_is_refused(url: str) -> None:
    assert "names no file" in refusal(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@host/db", "mysql+pymysql://me:secret@host:3306/db",
        "postgresql+psycopg://me:sec%72et@host/db", "nosuchdriver://me:secret@host/db",
    ],
)  # fmt: skip
def test_other_databases_are_refused_without_their_password(url: str) -> None:
    line = refusal(url)
    assert "secret" not in line
    assert "sec%72et" not in line
    assert "only SQLite" in line


@pytest.mark.parametrize(
    "url", ["postgresql://me:secret@host:port/db", "postgresql://me:secret/more@host/db"]
)
def test_url_that_cannot_be_taken_apart_is_refused_without_its_password(url: str) -> None:
    assert "secret" not in refusal(url)


def test_claim_lock_is_held_by_one_at_a_time(url: str) -> None:
    held: list[str] = []

    def hold(name: str) -> None:
        with claim_lock(url):
            held.append(f"{name} in")
            time.sleep(0.05)
            held.append(f"{name} out")

    threads = [threading.Thread(target=hold, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for entered, left in zip(held[::2], held[1::2], strict=True):
        assert entered[0] == left[0]


def test_claim_lock_of_a_killed_process_is_free(url: str) -> None:
    code = "import sys, time; from storage.database import claim_lock\n"
    code += "with claim_lock(sys.argv[1]): print('held', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code, url], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    process.kill()
    process.communicate()
    with claim_lock(url, timeout=5):
        pass


@pytest.mark.slow
def test_eight_processes_make_the_schema_at_once(url: str) -> None:
    subprocess.run([sys.executable, "-c", OPENING, url], cwd=ROOT, check=True, timeout=120)
    assert sorted(optuna.get_all_study_names(open_storage(url))) == [f"s{number}" for number in range(8)]

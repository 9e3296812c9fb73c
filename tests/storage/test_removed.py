"""An SQLite file that somebody removes under a search: noticed at the next call, and no empty one put in its place."""

import os
import shutil
from pathlib import Path

import pytest
from optuna.study import StudyDirection

from storage.connect import open_storage
from storage.database import Database
from storage.errors import DatabaseRemoved
from storage.retry import is_outage


@pytest.fixture
def file(tmp_path: Path, sqlite_schema: Path) -> Path:
    (tmp_path / "studies").mkdir()
    return Path(shutil.copy(sqlite_schema, tmp_path / "studies" / "search.db"))


@pytest.fixture
def database(file: Path) -> Database:
    opened = open_storage(f"sqlite:///{file}")
    opened.create_new_study([StudyDirection.MAXIMIZE], "one")
    return opened


def remove(file: Path) -> None:
    for left in file.parent.glob(f"{file.name}*"):
        left.unlink()


@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize("call", ["read", "write", "lock", "connect", "check"])
def test_no_call_reaches_a_file_that_is_gone(
    database: Database, file: Path, call: str, connected: bool
) -> None:
    if not connected:  # A new connection would make an empty file; an old one writes where nobody looks.
        database.close()
    remove(file)
    calls = {
        "read": database.get_all_studies,
        "write": lambda: database.set_study_user_attr(1, "a", 1),
        "lock": lambda: database.exclusively("x", lambda: None),
        "connect": lambda: database.connect().__enter__().exec_driver_sql("SELECT 1"),
        "check": database.check_writable,
    }
    with pytest.raises(
        DatabaseRemoved, match=r"search\.db was removed, or another file put in its place"
    ) as gone:
        calls[call]()
    assert not is_outage(gone.value), "nobody waits for it to come back"
    assert list(file.parent.iterdir()) == []


def test_file_in_whose_place_another_was_put_is_gone(database: Database, file: Path) -> None:
    other = Path(shutil.copy(file, file.with_name("backup.db")))
    os.replace(other, file)  # noqa: PTH105
    with pytest.raises(DatabaseRemoved):
        database.get_all_studies()


def test_folder_that_is_gone_is_not_made_again(database: Database, file: Path) -> None:
    shutil.rmtree(file.parent)
    with pytest.raises(DatabaseRemoved):
        database.exclusively("x", lambda: None)
    assert not file.parent.exists()


def test_file_that_was_named_from_a_folder_that_was_left_is_not_gone(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    opened = open_storage(f"sqlite:///{file.name}")
    monkeypatch.chdir(tmp_path)
    assert opened.exclusively("x", opened.get_all_studies) == []

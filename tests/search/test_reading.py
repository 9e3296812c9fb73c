"""What only reads changes nothing: status, studies, report and dashboard leave every row, and the file, as it was."""

import io
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import pytest
import sqlalchemy

from search.errors import InputError
from search.reporting.report import report_study
from search.status import look_once, watching
from search.study.finding import load_study
from search.study.listing import list_studies
from search.study.study import LoadedStudy
from search.web.dashboard import make_application
from storage.claims import Claims
from storage.liveness import HEARTBEAT


@pytest.fixture
def study(open_digits: Callable[..., LoadedStudy]) -> LoadedStudy:
    """A study with a finished trial, one whose worker is gone, and one whose worker has been silent for a day."""
    made = open_digits(trials=5)
    trial = optuna.trial.create_trial(value=0.5, intermediate_values={1: 0.5}, user_attrs={"params": {}})
    made.optuna.add_trial(trial)
    for worker in ("here-1", "here-2"):
        claim = Claims(made.storage, made.study_id, worker).claim(5)
        assert claim is not None
        life = {**made.storage.get_trial(claim.trial_id).system_attrs[HEARTBEAT], "place": "another machine"}
        made.storage.set_trial_system_attr(
            claim.trial_id, HEARTBEAT, {**life, "time": life["time"] - 86_400, "pid": 2**22 + 1}
        )
    return made


def everything(study: LoadedStudy) -> dict[str, Any]:
    """All rows of all tables, and of an SQLite database the bytes of its file."""
    schema = sqlalchemy.MetaData()
    with study.storage.connect() as connection:
        schema.reflect(connection)
        found: dict[str, Any] = {
            name: sorted(map(repr, connection.execute(sqlalchemy.select(table)).all()))
            for name, table in schema.tables.items()
        }
    if study.storage.is_sqlite:
        file = Path(str(study.storage.url.database))
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        found["file"] = file.read_bytes()
    return found


def ask(study: LoadedStudy, path: str) -> int:
    application, answers = make_application(study, frozenset({"127.0.0.1"})), []
    environ: dict[str, Any] = {"PATH_INFO": path, "wsgi.input": io.BytesIO()}
    setup_testing_defaults(environ)
    for _ in application(
        environ, lambda status, headers, *more: answers.append(int(status[:3])) or (lambda _: None)
    ):  # type: ignore[func-returns-value]
        pass
    return answers[0]


READERS: dict[str, Callable[[LoadedStudy, Path], object]] = {
    "status": lambda study, place: look_once("s", storage=study.url, root=study.paths.root),
    "status --watch": lambda study, place: watching("s", study.url, study.paths.root)(),
    "studies": lambda study, place: list_studies(storage=study.url, root=study.paths.root),
    "report": lambda study, place: report_study(
        "s", out=place / "s.html", storage=study.url, root=study.paths.root
    ),
    "dashboard": lambda study, place: [
        ask(load_study("s", study.url, study.paths.root), path)
        for path in (
            "/dashboard/",
            "/api/meta",
            "/api/studies",
            f"/api/studies/{study.study_id}",
            f"/api/studies/{study.study_id}/param_importances",
        )
    ],
}  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
def test_reading_changes_nothing(study: LoadedStudy, reader: str, tmp_path: Path) -> None:
    before = everything(study)
    read = READERS[reader](study, tmp_path)
    assert everything(study) == before
    if reader == "dashboard":
        assert read == [200] * 5


def test_looking_into_a_database_of_another_program_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "theirs.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE notes (words TEXT)")
    before = file.read_bytes()
    for read in (look_once, report_study):
        with pytest.raises(InputError, match=r"^(--study s|study='s'): no such study"):
            read("s", storage=f"sqlite:///{file}", root=tmp_path)
    with suppress(InputError):
        list_studies(storage=f"sqlite:///{file}", root=tmp_path)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_looking_at_a_study_of_optunas_own_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "theirs.db"
    theirs = optuna.create_study(study_name="s", storage=f"sqlite:///{file}", directions=["minimize"] * 2)
    theirs._storage.remove_session()
    before = file.read_bytes()
    with pytest.raises(
        InputError, match=r"^--study s: .* ranks its trials by 2 values.*; choose another name"
    ):
        look_once("s", storage=f"sqlite:///{file}", root=tmp_path)
    assert file.read_bytes() == before

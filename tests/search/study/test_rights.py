"""A role of Postgres without all rights: it may look, and is told which right on which table is missing for more."""

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from sqlalchemy.engine import make_url

from benchmarks.postgres import PostgresServer
from search.cli.app import main
from search.config.settings import ExportOptions, WorkerOptions
from search.errors import InputError
from search.run import app
from search.status import look_once
from search.study.deletion import delete_study
from search.study.study import LoadedStudy
from search.workflows.export import make_export
from search.workflows.join import join
from storage.connect import open_storage


@pytest.fixture
def url(postgres: PostgresServer, postgres_schema: str) -> str:
    return postgres.database(like=postgres_schema)


@pytest.fixture
def study(open_digits: Callable[..., LoadedStudy]) -> LoadedStudy:
    return open_digits(trials=5)


@pytest.fixture
def role(study: LoadedStudy, url: str) -> Callable[..., str]:
    """Gives the URL of a role that has been granted this and no more."""

    def made(*grants: str) -> str:
        name = f"role_{make_url(url).database}"
        statements = [f"DROP ROLE IF EXISTS {name}", f"CREATE ROLE {name} LOGIN"]
        with study.storage.connect() as connection, connection.begin():
            for statement in [*statements, *(f"GRANT {grant} TO {name}" for grant in grants)]:
                connection.execute(sqlalchemy.text(statement))
        return url.replace("postgres@", f"{name}@")

    return made


READ = "SELECT ON ALL TABLES IN SCHEMA public"
USAGE = "USAGE ON ALL SEQUENCES IN SCHEMA public"


def test_role_that_may_read_sees_how_a_study_stands(role: Callable[..., str], study: LoadedStudy) -> None:
    assert look_once("s", storage=role(READ), root=study.paths.root).wanted == 5


def test_role_that_may_not_read_is_told_so(role: Callable[..., str], study: LoadedStudy) -> None:
    with pytest.raises(
        InputError, match=r"permission denied for table studies\); its owner can grant .*: GRANT "
    ):
        look_once("s", storage=role(), root=study.paths.root)


def test_role_that_may_only_read_is_told_what_is_missing_before_it_works(
    role: Callable[..., str], study: LoadedStudy, open_digits: Callable[..., LoadedStudy]
) -> None:
    given = {"storage": role(READ), "root": study.paths.root}
    missing = r"missing: INSERT on studies and 10 more; UPDATE on studies and 10 more; USAGE on "
    for work in (
        lambda: open_digits(**given),
        lambda: join(WorkerOptions.given("s", **given)),
        lambda: make_export(ExportOptions.given("s", **given)),
        lambda: delete_study("s", **given),
    ):
        with pytest.raises(InputError, match=missing.replace("INSERT", "(DELETE .*; )?INSERT")):
            work()


def test_one_table_that_is_missing_is_named(role: Callable[..., str], study: LoadedStudy) -> None:
    url = role(READ, USAGE, "INSERT, UPDATE ON ALL TABLES IN SCHEMA public")
    user = make_url(url).username
    with study.storage.connect() as connection, connection.begin():
        connection.execute(sqlalchemy.text(f"REVOKE UPDATE ON trial_params FROM {user}"))
    with pytest.raises(
        InputError, match=rf"role {user} may not .*; missing: UPDATE on trial_params; its owner"
    ):
        join(WorkerOptions.given("s", storage=url, root=study.paths.root))


def test_worker_needs_no_right_to_delete(
    role: Callable[..., str], study: LoadedStudy, open_digits: Callable[..., LoadedStudy]
) -> None:
    storage = role(READ, USAGE, "INSERT, UPDATE ON ALL TABLES IN SCHEMA public")
    assert open_digits(storage=storage).wanted == 5
    with pytest.raises(InputError, match="missing: DELETE on studies and 10 more; its owner"):
        delete_study("s", storage=storage, root=study.paths.root)


def test_right_that_is_taken_meanwhile_is_no_fault_of_this_program(
    role: Callable[..., str], study: LoadedStudy, monkeypatch: pytest.MonkeyPatch, capsys, tmp_path: Path
) -> None:
    opened = open_storage(role(READ))

    def work(options: object) -> None:
        optuna.load_study(study_name="s", storage=opened).set_user_attr("mine", 1)

    monkeypatch.setattr("search.workflows.run.search_and_export", work)
    with pytest.raises(SystemExit) as end:
        main(app, ["--study", "s"])
    error = capsys.readouterr().err
    assert (end.value.code, error.count("\n")) == (2, 1)
    assert "the database refuses it (permission denied for table study_user_attributes)" in error

import optuna
import pytest
from bottle import HTTPError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from sqlalchemy.exc import OperationalError

from search.serving.storage import ShownStorage
from storage.database import Database
from storage.opening import open_storage


@pytest.fixture
def database(url: str) -> Database:
    opened = open_storage(url)
    optuna.create_study(study_name="s", storage=opened).add_trial(optuna.trial.create_trial(value=0.5))
    return opened


def test_reads_are_the_databases(database: Database) -> None:
    shown: BaseStorage = ShownStorage(database, allow_changes=False)
    (study,) = shown.get_all_studies()
    assert study.study_name == "s"
    assert [trial.value for trial in shown.get_all_trials(study._study_id)] == [0.5]


@pytest.mark.parametrize(
    "name",
    [name for name in vars(BaseStorage) if name.startswith(("set_", "create_", "delete_")) or "tell" in name],
)
def test_no_call_writes_where_changes_are_not_allowed(database: Database, name: str) -> None:
    with pytest.raises(HTTPError, match="--allow-changes") as refused:
        getattr(ShownStorage(database, allow_changes=False), name)()
    assert refused.value.status_code == 403


def test_changes_are_written_where_they_are_allowed(database: Database) -> None:
    shown: BaseStorage = ShownStorage(database, allow_changes=True)
    shown.create_new_study([StudyDirection.MAXIMIZE], "new")
    assert {study.study_name for study in database.get_all_studies()} == {"s", "new"}


def test_database_that_is_away_is_an_answer_and_is_not_waited_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise OperationalError("SELECT", {}, Exception("the server is shutting down"))

    monkeypatch.setattr(database.once, "get_all_studies", away)
    shown: BaseStorage = ShownStorage(database, allow_changes=False)
    with pytest.raises(HTTPError, match="the server is shutting down") as refused:
        shown.get_all_studies()
    assert refused.value.status_code == 503


def test_other_errors_stay_what_they_are(database: Database) -> None:
    with pytest.raises(KeyError):
        ShownStorage(database, allow_changes=False).get_study_id_from_name("none")

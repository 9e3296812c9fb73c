import json

import optuna
import pytest
from bottle import HTTPError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from optuna_dashboard._serializer import serialize_study_detail
from sqlalchemy.exc import OperationalError

from search.web.notes import write_note
from search.web.storage import MOST_CURVES, ShownStorage, with_few_curves
from storage.connect import open_storage
from storage.database import Database


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


def test_no_call_writes_where_changes_are_not_allowed(database: Database) -> None:
    writing = [name for name in vars(BaseStorage) if name.startswith(("set_", "create_", "delete_"))]
    assert {"set_trial_state_values", "create_new_study", "delete_study"} <= set(writing)
    shown = ShownStorage(database, allow_changes=False)
    for name in writing:
        with pytest.raises(HTTPError, match="--allow-changes") as refused:
            getattr(shown, name)()
        assert refused.value.status_code == 403, name


def test_changes_are_written_where_they_are_allowed(database: Database) -> None:
    shown: BaseStorage = ShownStorage(database, allow_changes=True)
    shown.create_new_study([StudyDirection.MAXIMIZE], "new")
    assert {study.study_name for study in database.get_all_studies()} == {"s", "new"}


def test_database_that_is_away_is_an_answer_and_is_not_waited_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise OperationalError("SELECT", {}, Exception("the server is shutting down"))

    monkeypatch.setattr(database.unretried, "get_all_studies", away)
    shown: BaseStorage = ShownStorage(database, allow_changes=False)
    with pytest.raises(HTTPError, match="the server is shutting down") as refused:
        shown.get_all_studies()
    assert refused.value.status_code == 503


@pytest.mark.parametrize("name", ["get_trial", "get_trial_system_attrs", "get_study_system_attrs"])
def test_trial_or_study_that_is_not_there_is_not_found(database: Database, name: str) -> None:
    with pytest.raises(HTTPError) as refused:
        getattr(ShownStorage(database, allow_changes=False), name)(10**6)
    assert refused.value.status_code == 404


def ended(number: int, state: TrialState, value: float) -> FrozenTrial:
    said = {"history": {"val_accuracy": [value]}}
    made = optuna.trial.create_trial(
        state=state, value=value, intermediate_values={1: value}, user_attrs=said
    )
    made.number = number
    return made


def with_curves(trials: list[FrozenTrial]) -> list[int]:
    return [trial.number for trial in trials if trial.intermediate_values]


@pytest.mark.parametrize(("direction", "sign"), [(StudyDirection.MAXIMIZE, 1), (StudyDirection.MINIMIZE, -1)])
def test_of_many_trials_the_best_and_the_newest_keep_their_curves(
    direction: StudyDirection, sign: int
) -> None:
    trials = [
        ended(number, TrialState.COMPLETE if number % 2 else TrialState.PRUNED, sign * -number / 1000)
        for number in range(400)
    ]
    shown = with_few_curves(trials, direction)
    half = MOST_CURVES // 2
    assert with_curves(shown) == [*range(1, 2 * half, 2), *range(400 - half, 400)]
    assert [trial.value for trial in shown] == [trial.value for trial in trials]
    assert len(with_curves(trials)) == 400  # The storage's own are as they were.


def test_of_few_trials_all_keep_their_curves() -> None:
    trials = [ended(number, TrialState.COMPLETE, 0.5) for number in range(MOST_CURVES)]
    assert with_few_curves(trials, StudyDirection.MAXIMIZE) == trials


def test_trials_that_are_not_ours_keep_their_curves() -> None:
    foreign = [
        optuna.trial.create_trial(values=[0.1, number], intermediate_values={1: 0.1}) for number in range(400)
    ]
    assert len(with_curves(with_few_curves(foreign, StudyDirection.MAXIMIZE))) == 400


def test_running_trial_keeps_its_curve_however_many_there_are(database: Database) -> None:
    key = database.get_study_id_from_name("s")
    running = database.create_new_trial(key)
    database.set_trial_user_attr(running, "history", {})
    database.set_trial_intermediate_value(running, 1, 0.4)
    for _ in range(MOST_CURVES):
        database.create_new_trial(key, ended(0, TrialState.PRUNED, 0.3))
    shown = ShownStorage(database, allow_changes=False).get_all_trials(key, deepcopy=False)
    assert with_curves(shown)[0] == 1


def test_other_errors_stay_what_they_are(database: Database) -> None:
    with pytest.raises(KeyError):
        ShownStorage(database, allow_changes=False).get_study_id_from_name("none")


def test_attributes_sorted_by_trial_tell_the_dashboard_the_same(database: Database) -> None:
    (study,) = database.get_all_studies()
    key = study._study_id
    trials = [database.get_all_trials(key)[0]._trial_id, *(database.create_new_trial(key) for _ in range(11))]
    write_note(database, key, "of the study")
    for trial in trials[::2]:
        write_note(database, key, f"of {trial}: " + "x" * 3000, trial)
    legacy = json.dumps({"artifact_id": "a", "filename": "f", "mimetype": "m", "encoding": None})
    database.set_study_system_attr(key, f"dashboard:artifacts:{trials[1]}:a", legacy)
    shown: BaseStorage = ShownStorage(database, allow_changes=False)
    plain, quick = (
        serialize_study_detail(
            one.get_all_studies()[0], [], one.get_all_trials(key), [], [], [], False, {}, []
        )
        for one in (database, shown)
    )
    assert quick == plain
    assert [trial["note"]["body"][:2] for trial in quick["trials"]] == ["of", ""] * 6
    assert quick["note"]["body"] == "of the study"
    assert quick["trials"][1]["artifacts"]

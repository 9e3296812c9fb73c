"""The test ledger counts every scoring of a study's test images."""

import optuna
import pytest

from storage.connect import open_storage
from storage.ledger import KEY, record_scoring, times_scored


@pytest.fixture
def study(shared_url: str, study_name: str) -> optuna.Study:
    return optuna.create_study(study_name=study_name, storage=open_storage(shared_url))


def test_new_study_was_never_scored(study: optuna.Study) -> None:
    assert times_scored(study) == 0


def test_every_scoring_is_counted(study: optuna.Study, shared_url: str) -> None:
    assert record_scoring(study, 3, "export") == 1
    assert record_scoring(study, 3, "export") == 2
    assert record_scoring(study, 5, "refit") == 3
    again = optuna.load_study(study_name=study.study_name, storage=open_storage(shared_url))
    assert times_scored(again) == 3


def test_entry_says_which_trial_why_and_when(study: optuna.Study) -> None:
    record_scoring(study, 3, "refit")
    (entry,) = study.user_attrs[KEY]
    assert (entry["trial"], entry["why"]) == (3, "refit")
    assert entry["time"] > 1.7e9


def test_studies_are_counted_apart(study: optuna.Study) -> None:
    other = optuna.create_study(study_name="other", storage=study._storage)
    record_scoring(study, 0, "export")
    assert times_scored(other) == 0

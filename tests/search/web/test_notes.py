"""Notes against optuna-dashboard's own reader and writer."""

import optuna
import optuna_dashboard
import pytest

from search.web.notes import LONGEST, read_note, write_note


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study()


@pytest.mark.parametrize("text", ["short", "é" * LONGEST, "x" * (2 * LONGEST + 1)])
def test_note_of_a_study_is_what_the_dashboard_reads(study: optuna.Study, text: str) -> None:
    write_note(study._storage, study._study_id, text)
    assert optuna_dashboard.get_note(study) == text == read_note(study._storage, study._study_id)


def test_note_of_a_trial_is_its_own(study: optuna.Study) -> None:
    first, second = study.ask(), study.ask()
    write_note(study._storage, study._study_id, "of the first", first._trial_id)
    assert optuna_dashboard.get_note(first) == "of the first"
    assert optuna_dashboard.get_note(second) == optuna_dashboard.get_note(study) == ""


def test_shorter_note_leaves_nothing_of_a_longer_one(study: optuna.Study) -> None:
    write_note(study._storage, study._study_id, "x" * 3 * LONGEST)
    write_note(study._storage, study._study_id, "short")
    assert optuna_dashboard.get_note(study) == "short" == read_note(study._storage, study._study_id)


def test_longest_part_is_the_dashboards() -> None:
    assert optuna_dashboard._note.SYSTEM_ATTR_MAX_LENGTH == LONGEST


def test_note_that_the_dashboard_saved_is_read(study: optuna.Study) -> None:
    optuna_dashboard.save_note(study, "a person's words")
    assert read_note(study._storage, study._study_id) == "a person's words"

import dataclasses

import pytest

from search.config.study_config import StudyConfig
from search.study.pace import pace_words, too_short
from search.study.time_left import TimeLeft
from spaces.contract import Backbone


@pytest.fixture
def config() -> StudyConfig:
    return StudyConfig("s", "digits", "0", ("a", "b"), 128, 128, 3, image_size=128)


def pace(trial: float, owed: float | None = None, **more: float) -> TimeLeft:
    return TimeLeft(trial=trial, owed=owed, **more)


def test_pace_is_said_with_what_makes_it_shorter(config: StudyConfig) -> None:
    assert pace_words(config, pace(247, 7700)) == (
        "a trial takes about 4 min, the study up to 2 h 10 min (less where trials end early); shorter: "
        "--image-size 96 (about 1 h 10 min) or a --backbone under another --study name, --timeout 1h"
    )


def test_short_study_gets_no_advice_and_one_of_heads_at_most_to_end_it(config: StudyConfig) -> None:
    heads = dataclasses.replace(config, backbones=(Backbone("lite", "lite", "0", 8, 9),), pruner="none")
    assert pace_words(config, pace(4, 80)).endswith("(less where trials end early)")
    assert pace_words(heads, pace(4, 1000)) == "a trial takes about 4 s, the study up to 17 min"
    assert pace_words(heads, pace(400, 8000)) == (
        "a trial takes about 7 min, the study up to 2 h 10 min; shorter: --timeout 1h"
    )


def test_trials_of_a_second_are_not_said_to_take_five(config: StudyConfig) -> None:
    assert pace_words(config, pace(0.7, 1.4)).startswith("a trial takes about 1 s, the study up to 1 s")


def test_heads_that_are_fitted_at_once_are_told_apart(config: StudyConfig) -> None:
    assert pace_words(config, pace(31, 180, at_once=0.9)) == (
        "a trial takes about 30 s, or 1 s where its head is fitted at once, the study about 3 min"
    )


def test_budget_says_how_many_trials_it_pays_for(config: StudyConfig) -> None:
    assert pace_words(config, pace(20, 180, paid=9.2)) == (
        "a trial takes about 20 s, the study up to 3 min, since --budget pays for about 9 trials"
    )


def test_nothing_is_said_where_no_pace_is_known(config: StudyConfig) -> None:
    assert pace_words(config, TimeLeft(left=60.0)) == ""


def test_deadline_is_said_in_place_of_advice(config: StudyConfig) -> None:
    assert pace_words(config, pace(247), 1200) == "a trial takes about 4 min; --timeout ends it in 20 min"


def test_timeout_that_ends_before_two_trials_is_warned_of(config: StudyConfig) -> None:
    assert too_short(config, 100, 200, workers=1) == ""
    warned = too_short(config, 100, 190, workers=1)
    assert warned.startswith(
        "a trial takes about 100 s, and --timeout ends the search in 3 min, before 2 trials can"
    )
    assert "allow more, or try --image-size 96 or a --backbone" in warned


def test_trials_that_have_finished_need_no_time(config: StudyConfig) -> None:
    assert too_short(config, 100, 110, workers=1, finished=1) == ""
    assert too_short(config, 100, 10, workers=1, finished=2) == ""


def test_two_workers_finish_two_trials_at_once(config: StudyConfig) -> None:
    assert too_short(config, 100, 110, workers=2) == ""
    assert too_short(config, 100, 90, workers=8) != ""

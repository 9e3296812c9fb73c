"""A search that begins with the best of another study, or is refused for it."""

from typing import Any

import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.errors import InputError
from search.study.study import LoadedStudy

pytestmark = pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)

RANGES = {
    "width": IntDistribution(4, 64),
    "rate": FloatDistribution(1e-7, 1.0, log=True),
    "dropout": FloatDistribution(0.0, 0.5),
}


def complete(*widths: int) -> list[FrozenTrial]:
    """Complete trials of these widths; the later the better."""
    return [
        create_trial(
            value=0.1 * place, params={"width": width, "rate": 0.05, "dropout": 0.1}, distributions=RANGES
        )
        for place, width in enumerate(widths)
    ]


def queued(study: LoadedStudy) -> list[int]:
    waiting = study.optuna.get_trials(states=(TrialState.WAITING,))
    return [trial.system_attrs["fixed_params"]["width"] for trial in waiting]


def test_best_three_of_another_study_are_queued_after_the_default(open_digits) -> None:
    open_digits(study="other").optuna.add_trials(complete(5, 6, 7, 8, 8))
    for _ in range(2):
        assert queued(open_digits(from_study="other")) == [16, 8, 7, 6]


def test_what_cannot_be_had_here_is_left_out_in_words(open_digits, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    open_digits(study="other").optuna.add_trials(complete(5, 6, 64))
    assert queued(open_digits(from_study="other")) == [16, 6, 5]
    assert (
        "--from-study other: left out 1 better configuration that this search cannot have: trial 3: width = 64 is "
        "outside what this space samples" in caplog.text
    )


def test_what_is_too_large_here_is_left_out_in_words(open_digits, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    open_digits(study="other").optuna.add_trials(complete(5, 32))
    assert queued(open_digits(from_study="other", max_parameters=2000)) == [16, 5]
    assert "cannot have: trial 2: over the study's max-parameters" in caplog.text


def test_study_none_of_whose_configurations_can_be_had_is_refused(open_digits) -> None:
    open_digits(study="other").optuna.add_trials(complete(63, 64))
    with pytest.raises(
        InputError,
        match=r"^--from-study other: this search can have none of its configurations: trial 2: width = 64 is outside",
    ):
        open_digits(from_study="other")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"from_study": "s"}, "--from-study s: is this study itself"),
        ({"from_study": "none"}, "--from-study none: no such study in"),
        ({"from_study": "a/b"}, "--from-study 'a/b': expected a name"),
        ({"from_study": "other"}, "--from-study other: none of its trials is complete"),
        ({"from_study": "other", "space": "cnn"}, "--from-study other: searched space small_space, and this"),
    ],
)
def test_study_that_says_nothing_here_is_refused(open_digits, more: dict[str, Any], why: str) -> None:
    open_digits(study="other")
    with pytest.raises(InputError) as refused:
        open_digits(**more)
    assert str(refused.value).startswith(why)

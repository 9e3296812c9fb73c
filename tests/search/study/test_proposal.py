"""A space is asked through one door: what it may return, and in which words its failures are told."""

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search.config.study_config import StudyConfig
from search.errors import SpaceFailed
from search.study.proposal import own_configurations, propose, range_words
from spaces.contract import Cost, InputSpec
from spaces.recipe import Recipe
from storage.claims import ClaimLost
from storage.errors import DatabaseGone

SPEC = InputSpec(8, 8, 1, 10)
CONFIG = StudyConfig("s", "digits", "f" * 32, ("a", "b"), 8, 8, 1)


def sample(trial: Any, input_spec: Any) -> Any:
    return {"width": trial.suggest_int("width", 4, 32)}


def space(**functions: Any) -> Any:
    """A space of these functions, and of others that are right."""
    return SimpleNamespace(**{"sample": sample, "cost": lambda params, spec: (10, 20), **functions})


def raising(error: BaseException) -> Any:
    def function(*_: Any) -> Any:
        raise error

    return function


def proposed(**functions: Any) -> Any:
    return propose(space(**functions), optuna.create_study().ask(), SPEC)


def test_proposal_has_what_the_space_says() -> None:
    found = proposed(recipe=lambda params, spec: Recipe(batch_size=params["width"]))
    assert found.cost == Cost(10, 20)
    assert found.recipe.batch_size == found.params["width"]


@pytest.mark.parametrize("name", ["sample", "cost", "recipe"])
def test_failure_of_any_function_is_told_in_the_same_words(name: str) -> None:
    with pytest.raises(SpaceFailed) as failed:
        proposed(**{name: raising(ValueError("no such layer\nand more to say"))})
    assert re.fullmatch(
        r"ValueError: no such layer \(test_proposal.py, line \d+, in function\)", str(failed.value)
    )


@pytest.mark.parametrize(
    ("functions", "words"),
    [
        ({"sample": lambda trial, spec: [3]}, "sample returned [3]; expected a dict"),
        ({"sample": lambda trial, spec: {"x": np.zeros(2)}}, "sample returned what is not plain (Object"),
        ({"sample": lambda trial, spec: {"x": trial.suggest_categorical("x", ((3, 3), (5, 5)))}}, "cannot be stored"),
        ({"sample": lambda trial, spec: {"x": 1, "y": float("nan")}}, "sample returned 'y': nan, which is not finite"),
        ({"sample": lambda trial, spec: {"y": [1, float("-inf")]}}, "sample returned 'y': [1, -inf], which is not"),
        ({"cost": lambda params, spec: 7}, "cost returned 7; expected (parameters, operations"),
        ({"cost": lambda params, spec: (1, 2, 3)}, "cost returned (1, 2, 3)"),
        ({"cost": lambda params, spec: (-1, 2)}, "cost returned (-1, 2)"),
        ({"cost": lambda params, spec: (1, float("nan"))}, "cost returned (1, nan)"),
        ({"cost": lambda params, spec: ("many", "more")}, "cost returned ('many', 'more')"),
        ({"recipe": lambda params, spec: {"batch_size": 8}}, "recipe returned {'batch_size': 8}; expected"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution:UserWarning")
def test_answer_that_the_contract_does_not_allow_is_named(functions: dict[str, Any], words: str) -> None:
    with pytest.raises(SpaceFailed, match=re.escape(words)):
        proposed(**functions)


def test_function_that_ends_the_process_has_failed() -> None:
    with pytest.raises(SpaceFailed, match=r"^SystemExit: bye \(test_proposal.py, line"):
        proposed(sample=raising(SystemExit("bye")))


def test_ctrl_c_is_no_failure_of_the_space() -> None:
    with pytest.raises(KeyboardInterrupt):
        proposed(sample=raising(KeyboardInterrupt()))


@pytest.mark.parametrize("error", [ClaimLost("gone"), DatabaseGone("away")])
def test_what_the_database_raises_is_no_failure_of_the_space(error: Exception) -> None:
    with pytest.raises(type(error)):
        proposed(sample=raising(error))


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (lambda spec: {"width": 4}, "first returned {'width': 4}; expected a list of dicts"),
        (lambda spec: None, "first returned None"),
        (raising(KeyError("width")), "KeyError: 'width' (test_proposal.py, line "),
    ],
)
def test_own_configurations_are_a_list_of_dicts(first: Any, words: str) -> None:
    assert own_configurations(space(), CONFIG) == []
    assert own_configurations(space(first=lambda spec: [{"width": 4}]), CONFIG) == [{"width": 4}]
    with pytest.raises(SpaceFailed, match=re.escape(words)):
        own_configurations(space(first=first), CONFIG)


@pytest.mark.parametrize("more", [{3: 1}, {"sides": (1, 2)}, {"inner": {1: 2}}])
def test_sample_that_does_not_come_back_as_it_was_is_refused(more: dict) -> None:
    with pytest.raises(SpaceFailed, match="which cannot be stored as it is"):
        proposed(sample=lambda trial, spec: {"width": trial.suggest_int("width", 1, 9), **more})


@pytest.mark.parametrize(
    ("distribution", "words"),
    [
        (IntDistribution(16, 96, log=True), "a whole number from 16 to 96"),
        (IntDistribution(8, 64, step=8), "a whole number from 8 to 64 in steps of 8"),
        (FloatDistribution(0.0, 0.5), "a number from 0.0 to 0.5"),
        (CategoricalDistribution(["relu", 1, True]), "one of 'relu', 1, True"),
    ],
)
def test_values_of_a_parameter_are_said_in_words(distribution: BaseDistribution, words: str) -> None:
    """A user was told to give a value of ``IntDistribution(high=96, log=True, low=16, step=1)``."""
    assert range_words(distribution) == words

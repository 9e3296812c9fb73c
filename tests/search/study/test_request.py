from typing import Any

import pytest

from search.config.settings import RunOptions
from search.errors import InputError
from search.study.request import check_request
from search.study.sweep_cells import Sweep

MODEL = "user_models:build_model"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"final": "3 epochs"},
            "--final 3 epochs: what a net of --model costs is known only once it is made",
        ),
        (
            {"length": "compute"},
            "--length compute: what a net of --model costs is known only once it is made",
        ),
    ],
)
def test_equal_compute_of_a_users_model_is_refused(asked: dict[str, Any], message: str) -> None:
    check_request(RunOptions.given("s", model=MODEL, length="epochs"))
    with pytest.raises(InputError, match=message):
        check_request(RunOptions.given("s", model=MODEL, **asked))


@pytest.mark.parametrize(("name", "value"), [("validation", 0.2), ("images", 100)])
def test_what_contradicts_folds_is_refused(name: str, value: float) -> None:
    asked: dict[str, Any] = {name: value}
    with pytest.raises(InputError, match=f"^--{name} {value}: says nothing beside --folds 5"):
        check_request(RunOptions.given("s", folds=5, **asked))


def test_sweep_around_a_users_model_is_refused() -> None:
    with pytest.raises(InputError, match="a sweep must know them beforehand; expected a space"):
        check_request(RunOptions.given("s", space=MODEL), Sweep({"lr": [0.1]}, 1, "study:s", {}))

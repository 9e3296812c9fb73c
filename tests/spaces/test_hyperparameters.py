from typing import Any

import pytest

from spaces.hyperparameters import Hyperparameters, given_by


class Asked:
    """Gives the least value of each parameter, or what it is told to, and keeps what it was asked."""

    def __init__(self, **values: Any) -> None:
        self.values, self.asked = values, {}

    def __call__(self, name: str, kind: str, arguments: dict[str, Any]) -> Any:
        assert name not in self.asked
        self.asked[name] = (kind, arguments)
        return self.values.get(name, arguments["choices"][0] if kind == "categorical" else arguments["low"])


def both(**values: Any) -> tuple[Hyperparameters, dict[str, tuple[str, dict[str, Any]]]]:
    give = Asked(**values)
    return Hyperparameters(give), give.asked


def test_value_is_asked_for_once() -> None:
    trial, asked = both(units=12)
    assert [trial.suggest_int("units", 8, 64), trial.suggest_int("units", 8, 64)] == [12, 12]
    assert asked == {"units": ("int", {"low": 8, "high": 64, "step": 1, "log": False})}
    assert trial.params == {"units": 12}


@pytest.mark.parametrize(
    ("ask", "kind", "arguments"),
    [
        (lambda hp: hp.Int("x", 32, 500, step=32), "int", {"low": 32, "high": 480, "step": 32, "log": False}),
        (lambda hp: hp.Int("x", 8, 64, sampling="log"), "int", {"low": 8, "high": 64, "step": 1, "log": True}),
        (lambda hp: hp.Int("x", 2, 40, step=2, sampling="log"), "categorical", {"choices": [2, 4, 8, 16, 32]}),
        (lambda hp: hp.Float("x", 0, 1), "float", {"low": 0.0, "high": 1.0, "step": None, "log": False}),
        (lambda hp: hp.Float("x", 0, 0.5, step=0.2), "float", {"low": 0.0, "high": 0.4, "step": 0.2, "log": False}),
        (lambda hp: hp.Choice("x", ["relu", "tanh"], default="tanh"), "categorical", {"choices": ["relu", "tanh"]}),
        (lambda hp: hp.Boolean("x", default=True), "categorical", {"choices": [False, True]}),
    ],
)  # fmt: skip
def test_keras_tuners_words_are_optunas(ask: Any, kind: str, arguments: dict[str, Any]) -> None:
    hp, asked = both()
    ask(hp)
    assert asked == {"x": (kind, arguments)}


def test_fixed_value_is_not_asked_for() -> None:
    hp, asked = both()
    assert hp.Fixed("depth", 3) == hp.get("depth") == hp["depth"] == 3
    assert not asked


def test_conditional_scope_asks_only_where_its_condition_is_met() -> None:
    hp, asked = both(kind="cnn")
    hp.Choice("kind", ["mlp", "cnn"])
    with hp.conditional_scope("kind", ["mlp"]):
        assert hp.Int("units", 8, 64) is None
        with hp.conditional_scope("units", [8]):
            assert hp.Boolean("dropout") is None
    with hp.conditional_scope("kind", "cnn"), hp.name_scope("cnn"):
        assert hp.Int("filters", 4, 16) == 4
    assert hp.Float("rate", 0, 1, parent_name="kind", parent_values=["mlp"]) is None
    assert list(asked) == ["kind", "cnn/filters"]
    assert "units" not in hp
    assert "kind" in hp


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda hp: hp.Int("x", 1, 2.5), "x: 2.5 is no whole number"),
        (lambda hp: hp.Float("x", 1, 2, sampling="reverse_log"), "x: sampling 'reverse_log': expected linear or log"),
        (lambda hp: hp.Int("x", 0, 8, step=2, sampling="log"), "expected a range above 0 and a factor above 1"),
        (lambda hp: hp.suggest_categorical("x", [(8, 8)]), r"x: \(8, 8\) is no plain choice"),
        (lambda hp: hp.Choice("x", [1.0, float("inf")]), "x: the choice inf cannot be stored; expected finite numbers"),
        (lambda hp: hp.conditional_scope("x", [1]).__enter__(), "x has not been asked for before"),
    ],
)  # fmt: skip
def test_mistake_is_told_with_the_name_of_the_parameter(ask: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ask(both()[0])


def test_what_is_no_question_for_a_value_is_refused() -> None:
    with pytest.raises(
        AttributeError, match="report: a function that makes a model can ask for values alone"
    ):
        both()[0].report(0.5, 1)


def test_stored_values_are_given_again_and_no_others() -> None:
    trial = Hyperparameters(given_by({"units": 12}))
    assert trial.suggest_int("units", 8, 64) == 12
    with pytest.raises(ValueError, match="width was not asked for when this configuration was sampled"):
        trial.suggest_int("width", 8, 64)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (
            lambda hp: hp.suggest_int("f", 2, 6),
            lambda hp: hp.suggest_float("f", 0, 1),
            r"f: asked for before as int from 2 to 6, and now as float from 0\.0 to 1\.0; give each a name of its own",
        ),
        (
            lambda hp: hp.Int("f", 4, 8, step=2),
            lambda hp: hp.Choice("f", [8, 16]),
            r"int from 4 to 8 in steps of 2, and now as one of \[8, 16\]",
        ),
        (
            lambda hp: hp.suggest_float("f", 1, 2, log=True),
            lambda hp: hp.suggest_float("f", 1, 3, log=True),
            r"from 1\.0 to 2\.0, logarithmic, and now as float from 1\.0 to 3\.0",
        ),
        (
            lambda hp: hp.Fixed("f", 3),
            lambda hp: hp.Int("f", 4, 8),
            "the fixed 3, and now as int from 4 to 8",
        ),
        (lambda hp: hp.Int("f", 4, 8), lambda hp: hp.Fixed("f", 3), "to 8, and now as the fixed 3"),
    ],
)
def test_name_asked_for_as_something_else_is_refused(first: Any, second: Any, said: str) -> None:
    """It had got the first one's value, which may be outside of what is asked for."""
    hp, _ = both()
    first(hp)
    with pytest.raises(ValueError, match=said):
        second(hp)


def test_same_is_asked_for_again_in_either_style() -> None:
    hp, asked = both(units=12, kind="cnn")
    assert hp.Int("units", 8, 64) == hp.suggest_int("units", 8, 64) == 12
    assert hp.Choice("kind", ("mlp", "cnn")) == hp.suggest_categorical("kind", ["mlp", "cnn"]) == "cnn"
    assert hp.Fixed("depth", 3) == hp.Fixed("depth", 3) == 3
    assert list(asked) == ["units", "kind"]


def test_name_may_have_another_range_under_another_condition() -> None:
    hp, asked = both(kind="cnn")
    hp.Choice("kind", ["mlp", "cnn"])
    for kind, high in (("mlp", 64), ("cnn", 256)):
        for _ in range(2):
            hp.Int("units", 8, high, parent_name="kind", parent_values=[kind])
    assert asked["units"][1]["high"] == 256

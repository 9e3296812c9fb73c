import logging
from types import SimpleNamespace

import pytest

from search.study import built_cost
from search.study.built_cost import BUILT_COST, difference, is_to_compare, warn_of_cost

SAID = {"parameters": 1000, "flops": 2_000_000}
BUILT = {"built_parameters": 1000, "built_flops": 2_000_000, "uncounted": []}


@pytest.fixture(autouse=True)
def nothing_warned(monkeypatch):
    monkeypatch.setattr(built_cost, "_warned", set())


def test_equal_costs_have_no_difference():
    assert difference(SAID, BUILT) == ""
    assert difference({**SAID, "flops": 2_010_000}, BUILT) == ""  # With the operations of biases, say.


def test_difference_names_both_costs():
    why = difference(SAID, {**BUILT, "built_parameters": 1100, "built_flops": 9_000_000})
    assert why.startswith(
        "cost says 1,000 trainable parameters, and the built net has 1,100; and 2 MFLOP an image, and the built net "
        "takes 9 MFLOP; "
    )


def test_operations_that_cannot_be_counted_are_not_compared_but_named():
    beyond = {**BUILT, "built_flops": 5, "uncounted": ["LSTM"]}
    assert "since those of LSTM cannot be counted" in difference(SAID, beyond)
    assert "1,100" in difference(SAID, {**beyond, "built_parameters": 1100})


def test_warning_comes_once(caplog):
    recorded = {**SAID, BUILT_COST: {**BUILT, "built_parameters": 1}}
    with caplog.at_level(logging.WARNING):
        for number in (0, 1):
            warn_of_cost("mine", number, recorded)
        warn_of_cost("mine", 2, SAID)
    assert [line[:21] for line in caplog.messages] == ["space mine, trial 0: "]


@pytest.mark.parametrize(
    ("space", "attributes", "expected"),
    [("mine", {}, True), ("mine", {BUILT_COST: BUILT}, False), ("cnn", {}, False)],
)
def test_first_trial_of_a_users_space_is_compared(space, attributes, expected):
    trials = [SimpleNamespace(user_attrs={}), SimpleNamespace(user_attrs=attributes)]
    assert is_to_compare(SimpleNamespace(space=space), trials) is expected

"""The worked examples in docstrings say what the code does."""

import doctest
import importlib

import pytest

MODULES = [
    "search.data.splits",
    "search.exporting.race_rule",
    "search.exporting.verification",
    "search.metrics.calibration",
    "search.metrics.class_figures",
    "search.metrics.generalization",
    "search.metrics.preference",
    "search.metrics.selection",
    "search.metrics.significance",
    "search.reporting.formatting",
    "spaces.arithmetic",
    "spaces.recipe",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings_hold(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried
    assert not failed

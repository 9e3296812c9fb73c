"""What a sweep varies, and around what."""

from pathlib import Path

import pytest

from search.errors import InputError
from search.presets import PRESETS
from search.vary import find_base, parse_vary
from spaces.notebook_nets import notebook_nets


def test_values_are_numbers_yes_and_no_or_words() -> None:
    said = ["filters=16, 32", "rate=1e-3,0.1", "standardize=true,False", "head=flatten,max"]
    assert parse_vary(said) == {
        "filters": (16, 32),
        "rate": (0.001, 0.1),
        "standardize": (True, False),
        "head": ("flatten", "max"),
    }


@pytest.mark.parametrize("text", ["filters", "filters=", "=16", "filters=16,,32", ""])
def test_vary_that_is_not_name_and_values_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected NAME=VALUES, such as filters=16,32,64"):
        parse_vary([text])


@pytest.mark.parametrize("texts", [["filters=16,16.0"], ["filters=16", "filters=32"]])
def test_what_is_said_twice_is_refused(texts: list[str]) -> None:
    with pytest.raises(InputError, match="said twice"):
        parse_vary(texts)


@pytest.mark.parametrize("said", ["one layer", "one-layer", "one_layer", "cifar_filters"])
def test_base_is_a_net_of_the_notebooks(said: str, tmp_path: Path) -> None:
    assert find_base(said, None, tmp_path) == ("cnn_wide", notebook_nets()["one layer"][1])


def test_base_is_a_presets_space(tmp_path: Path) -> None:
    assert find_base("folder_cnn", None, tmp_path) == ("photo_cnn", None)


def test_base_is_the_best_trial_of_a_study(searched) -> None:
    space, values = find_base("study:tiny", None, searched.paths.root)
    assert (space, values) == ("cnn", searched.ranked()[0].params)


@pytest.mark.parametrize("said", ["four layers", "study:", "study:none"])
def test_base_that_there_is_not_is_refused(said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--base .* expected a net|no such study"):
        find_base(said, None, tmp_path)


@pytest.mark.parametrize(("preset", "prefix"), [("cifar_filters", " filters"), ("cifar_dense", "dense ")])
def test_presets_are_the_notebooks_sweeps(preset: str, prefix: str, tmp_path: Path) -> None:
    sweep = PRESETS[preset]
    assert sweep.base is not None
    _, base = find_base(sweep.base, None, tmp_path)
    ((name, values),) = sweep.vary.items()
    assert base is not None
    made = [{**base, name: value} for value in values]
    assert made == [net for said, (_, net) in notebook_nets().items() if prefix in said]

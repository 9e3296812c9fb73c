"""What a sweep varies, and around what."""

from pathlib import Path

import pytest
from optuna.distributions import IntDistribution
from optuna.trial import create_trial

from search.cli.parsing import parse_vary
from search.config.settings import SweepOptions
from search.config.study_config import StudyConfig
from search.errors import InputError
from search.presets import PRESETS
from search.study.finding import create_study
from search.study.study import LoadedStudy
from search.study.sweep_request import ask_for_sweep, find_base
from spaces.contract import Backbone
from spaces.notebook_nets import notebook_nets


@pytest.fixture
def empty_study(tmp_path: Path) -> LoadedStudy:
    """The study ``s`` of space ``cnn``; its images are nowhere."""
    config = StudyConfig("s", "digits", "f" * 32, ("a", "b"), height=8, width=8, channels=1, space="cnn")
    made = create_study(config, tmp_path / "cache", None, tmp_path / "studies")
    assert made is not None
    return made


def test_values_are_words_as_typed() -> None:
    said = ["filters=16, 32", "rate=1e-3,0.1", "standardize=true,False", "head=flatten,max"]
    assert parse_vary(said) == {
        "filters": ("16", "32"),
        "rate": ("1e-3", "0.1"),
        "standardize": ("true", "False"),
        "head": ("flatten", "max"),
    }


@pytest.mark.parametrize("text", ["filters", "filters=", "=16", "filters=16,,32", ""])
def test_vary_that_is_not_name_and_values_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected NAME=VALUES, such as filters=16,32,64"):
        parse_vary([text])


@pytest.mark.parametrize("texts", [["filters=16, 16"], ["filters=16", "filters=32"]])
def test_what_is_said_twice_is_refused(texts: list[str]) -> None:
    with pytest.raises(InputError, match="said twice"):
        parse_vary(texts)


@pytest.mark.parametrize("said", ["one layer", "one-layer", "one_layer", "cifar_filters"])
def test_base_is_a_net_of_the_notebooks(said: str, tmp_path: Path) -> None:
    assert find_base(said, None, tmp_path) == ("cnn_wide", notebook_nets()["one layer"][1])


def test_base_is_a_presets_space(tmp_path: Path) -> None:
    assert find_base("folder_cnn", None, tmp_path) == ("photo_cnn", None)


def test_base_is_the_best_trial_of_a_study(empty_study: LoadedStudy) -> None:
    widths = IntDistribution(1, 64)
    for width, value in ((8, 0.25), (16, 0.75), (32, 0.5)):
        ended = create_trial(value=value, params={"width": width}, distributions={"width": widths})
        empty_study.optuna.add_trial(ended)
    assert find_base("study:s", None, empty_study.paths.root) == ("cnn", {"width": 16})


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


@pytest.mark.parametrize("backbones", [None, ()])
def test_sweep_around_a_study_takes_its_backbones_unless_others_are_named(
    tmp_path: Path, backbones: tuple[str, ...] | None
) -> None:
    backbone = Backbone("net", "net.keras", "d", features=8, parameters=9)
    sizes = {"height": 8, "width": 8, "channels": 3, "image_size": 64}
    config = StudyConfig(
        "s", "digits", "f" * 32, ("a", "b"), space="transfer", backbones=(backbone,), **sizes
    )
    study = create_study(config, tmp_path / "cache", None, tmp_path)
    assert study is not None
    study.optuna.add_trial(create_trial(value=0.5, params={}))
    asked = SweepOptions.given("w", vary={"width": (4,)}, base="study:s", root=tmp_path, backbones=backbones)
    _, request = ask_for_sweep(asked)
    assert (request.backbones, request.image_size) == (("net.keras",), 64)


def test_sweep_asks_for_the_settings_of_a_study_that_have_no_flag(tmp_path: Path) -> None:
    asked = SweepOptions.given("w", vary={"width": (4,)}, root=tmp_path, resize="crop", metric="macro_f1")
    _, request = ask_for_sweep(asked)
    assert (request.resize, request.metric) == ("crop", "macro_f1")
    assert {"resize", "metric"} <= request.requested


def test_base_of_a_study_that_is_not_there_is_refused_by_its_flag(empty_study: LoadedStudy) -> None:
    with pytest.raises(InputError, match=r"^--base study:nosuch: no such study in "):
        find_base("study:nosuch", None, empty_study.paths.root)

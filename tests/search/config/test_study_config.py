"""What defines a study: checked once, stored as JSON."""

import dataclasses
import json
from typing import Any

import pytest

from search.config.study_config import StudyConfig, default_max_cost
from search.errors import InputError
from spaces.contract import Backbone, InputSpec

CONFIG = StudyConfig(
    study="s", data="digits", fingerprint="f" * 32, classes=("cat", "dog"), height=32, width=32, channels=3
)


def test_config_comes_back_from_its_json_the_same() -> None:
    config = dataclasses.replace(CONFIG, images=500, metric="loss", flip=False, class_weights="balanced")
    assert StudyConfig.from_json(config.to_json()) == config


def test_config_stored_before_there_was_a_choice_of_resizing_loads() -> None:
    stored = json.loads(CONFIG.to_json())
    del stored["resize"]
    assert StudyConfig.from_json(json.dumps(stored)) == CONFIG
    assert CONFIG.resize == "stretch"


def test_config_stored_before_there_were_folds_loads() -> None:
    stored = json.loads(CONFIG.to_json())
    del stored["folds"]
    assert StudyConfig.from_json(json.dumps(stored)) == CONFIG
    assert CONFIG.folds == 0


def test_config_stored_when_each_study_drew_its_own_test_images_keeps_them() -> None:
    stored = json.loads(dataclasses.replace(CONFIG, seed=5).to_json())
    assert stored.pop("test_seed") == 0
    assert StudyConfig.from_json(json.dumps(stored)).test_seed == 5


def test_config_of_a_newer_version_opens_and_keeps_what_is_unknown() -> None:
    stored = {**json.loads(CONFIG.to_json()), "horizon": "far", "unknown": 3, "backbones": []}
    config = StudyConfig.from_json(json.dumps(stored))
    assert config.unknown == {"horizon": "far", "unknown": 3}
    assert json.loads(config.to_json()) == stored


def test_config_of_an_older_version_takes_the_defaults_of_what_is_missing() -> None:
    needed = ("study", "data", "fingerprint", "classes", "height", "width", "channels")
    stored = {name: value for name, value in json.loads(CONFIG.to_json()).items() if name in needed}
    assert StudyConfig.from_json(json.dumps(stored)) == CONFIG


def test_bound_on_the_cost_is_stored_under_the_key_that_it_has_always_had() -> None:
    assert json.loads(dataclasses.replace(CONFIG, max_cost=5).to_json())["max_flops"] == 5


def test_backbone_of_a_newer_version_opens() -> None:
    stored = json.loads(CONFIG.to_json())
    stored["backbones"] = [
        {"name": "net", "said": "net.keras", "digest": "d", "features": 8, "parameters": 9, "colour": "blue"}
    ]
    (backbone,) = StudyConfig.from_json(json.dumps(stored)).backbones
    assert (backbone.name, backbone.features) == ("net", 8)


def test_config_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        CONFIG.epochs = 3  # type: ignore[misc]


def test_input_spec_is_what_goes_into_a_net() -> None:
    assert CONFIG.input_spec == InputSpec(32, 32, 3, 2)


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("accuracy", "maximize"),
        ("macro_f1", "maximize"),
        ("recall:dog", "maximize"),
        ("auc", "maximize"),
        ("loss", "minimize"),
    ],
)
def test_direction_follows_the_metric(metric: str, direction: str) -> None:
    assert dataclasses.replace(CONFIG, metric=metric).direction == direction


def test_cost_bound_is_eight_three_layer_nets_scaled_with_the_area() -> None:
    assert CONFIG.max_cost == default_max_cost(32, 32) == int(8 * 21.2e6)
    assert default_max_cost(64, 64) == pytest.approx(4 * default_max_cost(32, 32), rel=1e-6)
    assert dataclasses.replace(CONFIG, max_cost=5).max_cost == 5


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("study", "../up", "--study '../up'"),
        ("study", "", "--study ''"),
        ("study", ".hidden", "--study '.hidden'"),
        ("study", "a" * 101, "--study"),
        ("epochs", 0, "--epochs 0"),
        ("epochs", 10_001, "--epochs 10001"),
        ("validation", 0.0, "--validation 0.0"),
        ("validation", 0.6, "--validation 0.6"),
        ("validation", float("nan"), "--validation nan"),
        ("images", 1, "--images 1"),
        ("seed", -1, "--seed -1"),
        ("early_stopping", -1, "--early-stopping -1"),
        ("max_parameters", 0, "--max-parameters 0"),
        ("metric", "f1", "--metric 'f1'"),
        ("metric", "recall:", "--metric 'recall:'"),
        (
            "metric",
            "recall:bee",
            "--metric recall:bee: no class 'bee' in these images; expected one of cat, dog",
        ),
        ("class_weights", "heavy", "--class-weights 'heavy'"),
        ("sampler", "guess", "--sampler 'guess'"),
        ("pruner", "shears", "--pruner 'shears'"),
        ("resize", "squash", "--resize 'squash'"),
        ("folds", 1, "--folds 1"),
        ("folds", 21, "--folds 21"),
    ],
)
def test_wrong_value_is_refused_in_one_line_with_what_was_expected(name: str, value: Any, said: str) -> None:
    with pytest.raises(InputError) as refused:
        dataclasses.replace(CONFIG, **{name: value})
    line = str(refused.value)
    assert line.startswith(said)
    assert "expected" in line
    assert "\n" not in line


def test_size_that_is_no_square_comes_back_and_is_what_a_backbone_sees() -> None:
    config = dataclasses.replace(CONFIG, image_size=(32, 64), height=32, width=64)
    assert config.image_size == "32x64"
    assert StudyConfig.from_json(config.to_json()) == config
    over = dataclasses.replace(config, backbones=(Backbone("b", "b", "0", 4, 9),))
    assert over.input_spec.size == 0
    assert dataclasses.replace(over, height=16, width=32).input_spec.size == "32x64"
    assert dataclasses.replace(over, image_size=64, width=32).input_spec.size == 64

"""Backbones joined: how they are asked for, what one is, and what cannot be joined."""

import dataclasses
from pathlib import Path

import pytest

from search.data.backbones import check_backbone
from search.data.joined_backbones import join, split_joined, told_apart
from search.errors import InputError
from spaces.contract import Backbone

LITE = Backbone("lite", "/nets/c++/lite.keras", "aa", 8, 100, least=32)
OTHER = Backbone("other", "MobileNetV2", "bb", 4, 30)


def at(backbone: Backbone, side: int) -> Backbone:
    return dataclasses.replace(backbone, at=side)


@pytest.mark.parametrize(
    ("requested", "parts"),
    [
        ("a.keras@224+b.keras@288", [("a.keras", 224), ("b.keras", 288)]),
        ("/c++/a.keras@64+MobileNetV2@96", [("/c++/a.keras", 64), ("MobileNetV2", 96)]),
        ("a@1+a@2+a@3", [("a", 1), ("a", 2), ("a", 3)]),
        ("a.keras@224", []),
        ("/c++/a.keras", []),
        ("a+b", []),
        ("a@224+b", []),
    ],
)
def test_request_of_joined_ones_names_each_with_its_size(
    requested: str, parts: list[tuple[str, int]]
) -> None:
    assert split_joined(requested) == parts


def test_joined_one_has_the_features_of_all_and_each_net_once() -> None:
    joined = join([at(LITE, 64), at(LITE, 96), at(OTHER, 96)])
    assert (joined.features, joined.parameters, joined.side) == (20, 130, 96)
    assert joined.name == "lite at 64 + lite at 96 + other at 96"
    assert [name for name, _ in split_joined(joined.said)] == [LITE.said, LITE.said, OTHER.said]
    assert [net.digest for net in joined.nets] == ["aa", "aa", "bb"]
    assert Backbone.of(dataclasses.asdict(joined)) == joined


def test_joined_ones_of_other_nets_or_sizes_are_told_apart() -> None:
    pairs = [[at(LITE, 64), at(LITE, 96)], [at(LITE, 64), at(LITE, 80)], [at(LITE, 64), at(OTHER, 96)]]
    assert len({join(pair).digest for pair in pairs}) == 3


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([at(LITE, 16), at(LITE, 64)], "lite takes images of 32 pixels or more"),
        ([at(dataclasses.replace(LITE, side=64), 96), at(OTHER, 64)], "lite takes images of 64x64 alone"),
        ([at(LITE, 64), at(LITE, 64)], "the same net at the same size twice"),
    ],
)
def test_what_cannot_be_joined_is_refused(parts: list[Backbone], told: str) -> None:
    with pytest.raises(InputError, match=told):
        join(parts)


def test_each_part_of_a_request_is_checked(tmp_path: Path) -> None:
    assert check_backbone("MobileNetV2@96+VGG16@96", tmp_path) == "MobileNetV2@96+VGG16@96"
    with pytest.raises(InputError, match="no such file"):
        check_backbone("MobileNetV2@96+gone.keras@96", tmp_path)
    with pytest.raises(InputError, match="keras_hub:"):
        check_backbone("keras_hub:@96+keras_hub:@64", tmp_path)


def test_labels_of_one_net_are_its_sizes() -> None:
    assert told_apart(["n at 1", "n at 2", "n at 1 + n at 2"]) == ["at 1", "at 2", "at 1 + at 2"]
    assert told_apart(["n at 1", "m at 1", "m at 1 + n at 1"]) == ["n at 1", "m at 1", "m at 1 + n at 1"]
    assert told_apart(["my net", "m"]) == ["my net", "m"]
    assert told_apart(["n", "m", "m at 1 + n at 1"]) == ["n", "m", "m at 1 + n at 1"]

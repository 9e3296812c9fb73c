"""Which of several backbones is taken: by what is right, and by a study of two."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from search.config.study_config import StudyConfig
from search.data.joined_backbones import join
from search.study import backbone_choice
from search.study.backbone_choice import can_choose, cheapest_as_good, choose_backbone
from spaces import transfer
from spaces.contract import Backbone

CONFIG = StudyConfig(
    "s", "d", "f", ("a", "b"), 64, 64, 3, space="transfer", image_size=64, folds=2, fold_of="01"
)


@pytest.mark.parametrize(
    ("only_dear", "only_cheap", "chosen"), [(6, 2, 0), (4, 2, 0), (3, 2, 1), (0, 0, 1), (1, 0, 1), (2, 4, 1)]
)
def test_cheapest_within_a_standard_error_and_half_a_point_of_the_best_is_taken(
    only_dear: int, only_cheap: int, chosen: int
) -> None:
    right = np.ones((2, 245), bool)
    right[1, :only_dear] = False
    right[0, 100 : 100 + only_cheap] = False
    assert cheapest_as_good(right, [9.0, 1.0]) == chosen


def test_of_equally_cheap_ones_the_better_is_taken() -> None:
    right = np.ones((2, 50), bool)
    right[0, 0] = False
    assert cheapest_as_good(right, [1.0, 1.0]) == 1


def test_size_is_chosen_with_the_backbone_by_parameters_times_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.zeros(200, np.int64)
    backbones = tuple(
        Backbone(name, name, name, 8, size, least=32) for name, size in (("big", 30), ("small", 10))
    )
    config = dataclasses.replace(CONFIG, backbones=backbones)
    # Wrong at the smaller size, and over the small one wherever it is: too small a size is not tried.
    wrong = {("big", 64): 0, ("big", 48): 1, ("small", 64): 18, ("small", 48): 60}

    def probe(one: StudyConfig, *_: Any) -> Any:
        parts = one.backbones[0].parts
        count = (
            min(wrong[net.name, net.at] for net in parts)
            if parts
            else wrong[one.backbones[0].name, one.image_size]
        )
        return np.repeat([1, 0], [count, 200 - count])

    monkeypatch.setattr(backbone_choice, "_probe", probe)
    dataset: Any = SimpleNamespace(train=lambda: (None, labels))
    chosen, accuracies = choose_backbone(config, transfer, dataset, None, (16, 48, 64))  # type: ignore[arg-type]
    assert (chosen.backbones, chosen.image_size) == (backbones[:1], 48)
    alone = {"big at 48": 0.995, "big at 64": 1.0, "small at 48": 0.7, "small at 64": 0.91}
    assert accuracies == alone | {
        f"{one} + big at 64" if one < "big at 64" else f"big at 64 + {one}": 1.0
        for one in alone
        if one != "big at 64"
    }
    chosen, accuracies = choose_backbone(config, transfer, dataset, None)  # type: ignore[arg-type]
    assert (chosen.image_size, list(accuracies)) == (64, ["big", "small", "big at 64 + small at 64"])


def test_one_backbone_at_one_size_is_no_choice() -> None:
    one = (Backbone("b", "b", "0", 8, 9),)
    config = dataclasses.replace(CONFIG, backbones=one)
    assert not can_choose(config, transfer)
    assert can_choose(config, transfer, (48, 64))


def test_best_joined_with_another_is_taken_where_nothing_cheaper_is_as_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = dataclasses.replace(CONFIG, backbones=(Backbone("net", "net", "0", 8, 9),))
    wrong = {"net at 48": range(10), "net at 64": range(5, 13), "net at 48 + net at 64": range(5, 7)}

    def probe(one: StudyConfig, *_: Any) -> Any:
        predicted = np.zeros(100, np.int64)
        predicted[list(wrong[backbone_choice._label(one, with_size=True)])] = 1
        return predicted

    monkeypatch.setattr(backbone_choice, "_probe", probe)
    dataset: Any = SimpleNamespace(train=lambda: (None, np.zeros(100, np.int64)))
    chosen, accuracies = choose_backbone(config, transfer, dataset, None, (48, 64))  # type: ignore[arg-type]
    assert accuracies == {"net at 48": 0.9, "net at 64": 0.92, "net at 48 + net at 64": 0.98}
    assert [(part.name, part.at) for part in chosen.backbones[0].parts] == [("net", 48), ("net", 64)]
    assert chosen.image_size == 64
    chosen, accuracies = choose_backbone(
        dataclasses.replace(config, space="my_space"),
        transfer,
        dataset,
        None,
        (48, 64),  # type: ignore[arg-type]
    )
    assert (chosen.backbones, len(accuracies)) == (config.backbones, 2)


def test_what_is_joined_already_is_joined_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (Backbone(name, name, name, 8, 9) for name in "ab")
    pair = join([dataclasses.replace(one, at=64), dataclasses.replace(other, at=64)])
    config = dataclasses.replace(CONFIG, backbones=(pair, one))
    monkeypatch.setattr(backbone_choice, "_probe", lambda *_: np.zeros(100, np.int64))
    dataset: Any = SimpleNamespace(train=lambda: (None, np.zeros(100, np.int64)))
    chosen, accuracies = choose_backbone(config, transfer, dataset, None)  # type: ignore[arg-type]
    assert (chosen.backbones, list(accuracies)) == ((one,), ["a at 64 + b at 64", "a"])

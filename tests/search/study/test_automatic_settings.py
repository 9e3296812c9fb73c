"""What is chosen for a new study where nobody says, by its images and by the backbones that are at hand."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.config.settings import RunOptions
from search.data.backbones_at_hand import AtHand
from search.data.look import Look
from search.errors import InputError
from search.study import automatic_settings as module
from search.study import photograph_settings
from search.study.automatic_settings import Choice, choose_settings, pick_backbones
from spaces.contract import Backbone

PHOTOS = Look(400, 3, 100, 120, 256, equal=False)
SMALL = Look(50_000, 10, 0, 32, 32, equal=True)
LITE = AtHand("/cache/lite.keras", "lite", "in /cache", 10_000_000)
DOWNLOAD = AtHand("MobileNetV2", "MobileNetV2", "which Keras downloads")
Choose = Callable[..., Choice]


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Choose:
    """Choose for images that look so, with these backbones at hand; what is made ready takes ``side`` alone."""

    def run(
        look: Look | None, *at_hand: AtHand, side: int = 0, speed: float | None = 1e12, **asked: Any
    ) -> Choice:
        def make_ready(requested: Any, cache: Path, say: Any) -> tuple[Backbone, ...]:
            return tuple(Backbone(name, name, "0", 8, 9, side) for name in requested)

        monkeypatch.setattr(module, "look_at", lambda *_, **__: look)
        monkeypatch.setattr(module, "backbones_at_hand", lambda cache: list(at_hand))
        monkeypatch.setattr(module, "find_backbones", make_ready)
        monkeypatch.setattr(photograph_settings, "training_speed", lambda: speed)
        options = RunOptions.given(**{"study": "clothes", "data": tmp_path, "cache": tmp_path, **asked})
        return choose_settings(options, lambda line: None)

    return run


def test_photographs_with_a_backbone_at_hand_get_heads_over_it(choose: Choose) -> None:
    found = choose(PHOTOS, LITE)
    options = found.options
    assert (options.space, options.backbones, options.image_size) == ("transfer", (LITE.requested,), 288)
    assert found.sides == (160, 224, 288)
    assert (options.resize, options.epochs, options.trials) == ("crop", 20, 12)
    assert {"space", "backbones", "image_size", "resize", "epochs", "trials"} <= options.requested
    text = "\n".join(found.lines)
    assert text.startswith("chosen for 400 training images of 3 classes, of 120 to 256 pixels a side")
    for line in ("--space transfer: ", "--backbone /cache/lite.keras: lite in /cache", "--folds 10: "):
        assert f"\n  {line}" in text
    assert "as given" not in text


def test_what_is_given_wins_and_is_said_to_be_given(choose: Choose) -> None:
    found = choose(PHOTOS, LITE, image_size=96, trials=3, folds=4)
    assert (found.options.image_size, found.options.trials, found.options.folds) == (96, 3, 4)
    assert found.lines[-1] == "as given: --image-size 96, --trials 3"
    assert choose(PHOTOS, LITE, image_size=288).sides == ()
    assert "--folds" not in "\n".join(found.lines)


def test_backbone_that_is_given_makes_it_transfer_without_a_look_for_others(choose: Choose) -> None:
    found = choose(PHOTOS, LITE, backbones=("MobileNetV2",))
    assert (found.options.space, found.options.backbones) == ("transfer", ("MobileNetV2",))
    assert found.lines[-1] == "as given: --backbone MobileNetV2"


def test_backbone_of_one_size_decides_the_size(choose: Choose) -> None:
    found = choose(PHOTOS, LITE, side=96)
    assert (found.options.image_size, found.sides) == (96, ())


def test_many_images_are_seen_at_a_smaller_size(choose: Choose) -> None:
    assert choose(dataclasses.replace(PHOTOS, training=20_000), LITE).options.image_size == 160


@pytest.mark.parametrize(("speed", "side"), [(1e9, 48), (None, 128), (1e14, 128)])
def test_without_a_backbone_the_size_is_one_whose_trial_takes_about_a_minute(
    choose: Choose, speed: float | None, side: int
) -> None:
    found = choose(PHOTOS, speed=speed)
    assert (found.options.space, found.options.image_size, found.options.final) == (
        "photo_cnn", side, "20 epochs",
    )  # fmt: skip
    assert "no pretrained one is at hand" in found.lines[1]


def test_time_that_folds_would_not_fit_in_has_a_part_held_out_and_a_shorter_final_training(
    choose: Choose,
) -> None:
    """With ``--image-size 96 --timeout 3m`` no trial finished, and the command ended with nothing."""
    final = photograph_settings.final_flops(PHOTOS.training, PHOTOS.classes, 96)
    found = choose(PHOTOS, image_size=96, timeout=180, speed=final / 100)
    assert (found.options.validation, found.options.final, found.options.folds) == (0.2, "14 epochs", 0)
    text = "\n".join(found.lines)
    assert "--validation 0.2: a part held out, since folds leave too little of --timeout 3 min" in text
    assert "--final 14 epochs: all that fits in --timeout 3 min" in text
    assert "--folds" not in text
    assert choose(PHOTOS, image_size=96, timeout=180, folds=3, speed=final / 100).options.folds == 3


def test_length_that_is_given_in_epochs_is_not_contradicted(choose: Choose) -> None:
    found = choose(PHOTOS, epochs=7)
    assert (found.options.epochs, found.options.final) == (7, None)
    assert "--epochs 7" in found.lines[-1]


def test_small_images_of_one_size_get_the_default_space_at_their_size(choose: Choose) -> None:
    found = choose(SMALL, LITE)
    assert (found.options.space, found.options.image_size, found.options.backbones) == ("cnn", None, ())
    assert found.lines[1:] == ["  --space cnn: small nets, for images of 32 pixels"]


def test_small_images_that_are_to_be_enlarged_are_photographs(choose: Choose) -> None:
    assert choose(SMALL, LITE, image_size=160).options.space == "transfer"


def test_space_that_is_given_gets_a_size_where_sizes_differ(choose: Choose) -> None:
    found = choose(PHOTOS, LITE, space="cnn")
    assert (found.options.space, found.options.image_size, found.options.backbones) == ("cnn", 64, ())
    assert found.lines[1:] == ["  --image-size 64: their sizes differ", "  --folds 5: a part held out of so few images would say little", "as given: --space cnn"]  # fmt: skip  # noqa: E501


def test_nothing_is_chosen_where_all_is_said_or_a_preset_says_it(choose: Choose) -> None:
    assert choose(SMALL, space="cnn_wide").lines == []
    assert choose(PHOTOS, LITE, preset="folder_cnn").lines == []
    assert choose(PHOTOS, LITE, study="folder_transfer").lines == []
    assert choose(PHOTOS, LITE, data=None).lines == []
    assert choose(None, LITE).lines == []


def test_folds_are_left_out_where_something_stands_in_their_place(choose: Choose) -> None:
    for found in (
        choose(PHOTOS, LITE, validation=0.2),
        choose(PHOTOS, LITE, images=200),
        choose(PHOTOS, LITE, confirm=True),
        choose(dataclasses.replace(PHOTOS, validated=True), LITE),
        choose(dataclasses.replace(PHOTOS, training=2000), LITE),
    ):
        assert "--folds" not in "\n".join(found.lines)


def test_backbone_that_cannot_be_downloaded_is_done_without(
    choose: Choose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert choose(PHOTOS, DOWNLOAD).options.backbones == ("MobileNetV2",)

    def fail(*_: Any) -> None:
        raise InputError("could not download them")

    said: list[str] = []
    monkeypatch.setattr(module, "find_backbones", fail)
    options = RunOptions.given(study="clothes", data=tmp_path, cache=tmp_path)
    assert choose_settings(options, said.append).options.space == "photo_cnn"
    assert said == ["warning: could not download them"]
    # Who only looks downloads nothing, and is told what would be.
    assert choose_settings(options, said.append, only_look=True).options.backbones == ("MobileNetV2",)


def test_cheapest_backbone_is_picked_or_a_few_are_compared_where_there_are_folds() -> None:
    several = [LITE, *(AtHand(f"{name}.keras", name, "here", 10**9) for name in "abc")]
    options, held_out = RunOptions.given("s"), RunOptions.given("s", validation=0.1)
    assert pick_backbones(several, options, PHOTOS) == several[:3]
    assert pick_backbones(several, held_out, PHOTOS) == [LITE]
    assert pick_backbones(several, options, dataclasses.replace(PHOTOS, training=2000)) == [LITE]
    assert pick_backbones([], options, PHOTOS) == []


def test_backbones_that_are_compared_are_said_to_be(choose: Choose) -> None:
    found = choose(PHOTOS, LITE, AtHand("b.keras", "b", "here", 10**9))
    assert found.options.backbones == (LITE.requested, "b.keras")
    assert found.lines[2] == (
        "  --backbone /cache/lite.keras --backbone b.keras: lite or b, as logistic regression on their features tells"
    )


def test_backbone_beside_images_that_cannot_be_looked_at_is_no_mistake(choose: Choose) -> None:
    """A wrong path of the images was answered with "space cnn has no backbone"."""
    found = choose(None, backbones=("lite.keras",))
    assert (found.options.space, found.lines) == ("transfer", [])
    assert choose(None, backbones=("lite.keras",), space="cnn").options.space == "cnn"

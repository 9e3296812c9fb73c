"""How long a trial is: derived from the final training, the same compute for every configuration."""

import math
from types import SimpleNamespace
from typing import Any, cast

import pytest

from search.config.settings import RunOptions
from search.config.study_config import StudyConfig
from search.data import Dataset
from search.errors import InputError
from search.study.compatibility import check_settings
from search.study.creation import new_config
from search.study.length import PARTS, is_by_compute, set_length, violations, with_length
from search.study.proposal import own_configurations
from search.study.speed import SLOWER_IN_FOLDS
from search.training.plan import TrainingPlan
from spaces import load
from spaces.contract import Cost
from spaces.recipe import Recipe

CNN = load("cnn")


def config_of(digits: Dataset, **options: Any) -> StudyConfig:
    asked = RunOptions.given("s", data="digits", space="cnn", **options)
    config = new_config(asked, digits)
    return with_length(config, asked, CNN, digits) if is_by_compute(asked, CNN) else config


def default_cost(config: StudyConfig) -> Cost:
    return CNN.cost(cast(Any, CNN).first(config.input_spec)[0], config.input_spec)


def plan_of(digits: Dataset, config: StudyConfig, recipe: Recipe, flops: float, images: int) -> TrainingPlan:
    plan = TrainingPlan(
        "cnn", {}, recipe, config.input_spec, str(digits.folder), 0.1, None, 0, 0, config.epochs
    )
    return set_length(plan, config.length, flops, images)


def test_length_is_the_final_compute_times_the_share_of_the_images(digits: Dataset) -> None:
    config = config_of(digits, final="10 epochs", images=300)
    images, flops = sum(digits.train_counts), default_cost(config).flops
    assert config.final == 3 * flops * 10 * images
    assert config.length == 3 * flops * 10 * 300
    assert (config.epochs, config.training_images, config.final_epochs) == (PARTS, 300, 10)


def test_final_training_is_cut_to_what_fits_in_a_time(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The named studies' finals take half an hour: with ``--timeout 5m`` not a trial finished."""
    usual = config_of(digits, preset="digits_cnn")
    monkeypatch.setattr("search.study.length.training_speed", lambda: usual.final / 200)
    with caplog.at_level("INFO"):
        short = config_of(digits, preset="digits_cnn", timeout=200)
    assert short.final == pytest.approx(usual.final * (0.6 * 200 - 30) / 1.1 / 200)
    assert short.length / usual.length == pytest.approx(short.final / usual.final)
    assert "all that fits in --timeout 3 min on this machine" in caplog.text
    assert config_of(digits, preset="digits_cnn", timeout=1000).final == usual.final
    assert config_of(digits, final="16 epochs", timeout=200).final == usual.final
    assert config_of(digits, preset="digits_cnn", timeout=1).final_epochs == 4
    # Nothing is trained in the end, or by machines whose speed is not known here.
    for other in ({"refit": False}, {"export": False}, {"engine": "slurm"}):
        assert config_of(digits, preset="digits_cnn", timeout=200, **other).final == usual.final


def test_part_is_held_out_where_two_trials_in_folds_do_not_fit_in_the_time(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """``--preset folder_cnn`` with few images and a short ``--timeout`` warned that no trial would finish."""
    usual = config_of(digits, final="12 epochs")
    monkeypatch.setattr("search.study.length.training_speed", lambda: usual.final / 100)

    def dealt(timeout: float | None, **other: Any) -> StudyConfig:
        asked = RunOptions.given("s", data="digits", space="cnn", timeout=timeout, **other)
        return with_length(new_config(asked, digits, folds_by_default=True), asked, CNN, digits)

    # Two trials take four final trainings, the final one is four times as long, and the race has three tenths.
    least = (2 * 2 + 4) * 100 / 0.7
    ample = dealt(30 + SLOWER_IN_FOLDS * least + 1)
    assert (ample.folds, ample.final_epochs) == (3, 12)
    assert dealt(30 + SLOWER_IN_FOLDS * least - 1).folds == 0
    assert dealt(30 + SLOWER_IN_FOLDS * (2 * 2 + 1) * 100 / 0.7 + 1, final="12 epochs").folds == 3, (
        "it has the length that is said"
    )
    with caplog.at_level("INFO"):
        short = dealt(200.0)
    assert (short.folds, short.fold_of, short.validation) == (0, "", 0.2)
    assert short.race_images > 0
    assert short.final == pytest.approx((0.6 * 200 - 30) / 1.1 * usual.final / 100)
    words = "two trials in 3 folds, a race and the final training do not fit in"
    assert f"{words} --timeout 3 min" in caplog.text
    assert dealt(200.0, folds=4).folds == 4
    with caplog.at_level("INFO"):
        assert dealt(None, budget=(least - 1) * usual.final / 100).folds == 0
    assert f"{words} --budget" in caplog.text
    assert dealt(None, budget=(least + 1) * usual.final / 100).folds == 3
    assert dealt(None, budget=usual.final, export=False).folds == 3, "nothing is trained in the end"


def test_default_makes_the_same_passes_in_the_search_as_in_the_final(digits: Dataset) -> None:
    config = config_of(digits, final="10 epochs", images=300)
    plan = plan_of(digits, config, Recipe(batch_size=20), default_cost(config).flops, 300)
    assert plan.steps * 20 == 10 * 300


def test_default_is_as_large_as_suits_a_final_in_flops(digits: Dataset) -> None:
    usual = config_of(digits, final="40 epochs")
    assert own_configurations(CNN, usual)[0]["filters"] == 32, "of these epochs are said"
    assert usual.final_epochs == 40
    sized = config_of(digits, final=f"{usual.final}FLOP")
    assert own_configurations(CNN, sized)[0]["filters"] > 48
    assert 5 < sized.final_epochs < 20, "its last layers cost less than the square of the width"
    assert sized.length == usual.length


def test_default_that_the_compute_asks_for_is_refused_only_by_a_bound_that_somebody_gave(
    digits: Dataset,
) -> None:
    default = default_cost(config_of(digits)).flops
    final = f"{3 * default * 1000 * sum(digits.train_counts)}FLOP"
    sized = config_of(digits, final=final)
    largest = CNN.cost(own_configurations(CNN, sized)[0], sized.input_spec).flops
    assert largest <= sized.max_cost
    assert config_of(digits, final=final, max_cost=default).max_cost == default


def test_small_net_makes_more_steps_than_a_large_one(digits: Dataset) -> None:
    config = config_of(digits, final="10 epochs", images=300)
    flops = default_cost(config).flops
    half, twice = (plan_of(digits, config, Recipe(batch_size=20), flops * by, 300).steps for by in (0.5, 2))
    assert (half, twice) == (300, 75)


def test_batch_that_the_recipe_makes_of_the_images_is_said_in_the_plan(digits: Dataset) -> None:
    config = config_of(digits, final="10 epochs")
    plan = plan_of(digits, config, Recipe(batch_size=32, least_steps=15), default_cost(config).flops, 164)
    assert plan.recipe == Recipe(batch_size=8)


def test_preset_states_its_final(digits: Dataset) -> None:
    config = config_of(digits, preset="digits_cnn")
    assert (config.final_epochs, config.epochs) == (16, PARTS)


@pytest.mark.parametrize("options", [{"epochs": 3}, {"length": "epochs"}])
def test_trials_count_epochs_where_that_is_asked_for(digits: Dataset, options: dict[str, Any]) -> None:
    config = config_of(digits, **options)
    assert (config.length, config.epochs) == (0, options.get("epochs", 12))
    assert config.unit == "epoch"


def test_trials_over_a_backbone_count_epochs() -> None:
    transfer = load("transfer")
    assert not is_by_compute(RunOptions.given("s"), transfer)
    with pytest.raises(InputError, match=r"^--length compute: over a frozen backbone"):
        is_by_compute(RunOptions.given("s", length="compute"), transfer)


def test_two_lengths_are_refused(digits: Dataset) -> None:
    with pytest.raises(InputError, match=r"^--final 1TFLOP: .* --epochs 3 does"):
        config_of(digits, final="1TFLOP", epochs=3)
    with pytest.raises(InputError, match=r"^--final 1TFLOP: says nothing beside --length epochs"):
        config_of(digits, final="1TFLOP", length="epochs")


def test_final_too_short_for_two_passes_of_the_default_is_refused(digits: Dataset) -> None:
    with pytest.raises(InputError, match=r"^--final 1MFLOP: .* twice; expected at least 2 epochs"):
        config_of(digits, final="1MFLOP")


@pytest.mark.parametrize("final", ["many", "1 epoch", "20000", "-3", "3 XFLOP", True, ""])
def test_final_that_is_none_is_refused_in_one_line(final: Any) -> None:
    with pytest.raises(InputError, match=r"^--final .*: expected compute such as 0.2PFLOP, or"):
        RunOptions.given("s", final=final)


@pytest.mark.parametrize("final", ["10 epochs", "10", 10, "10.0 epochs"])
def test_final_is_found_again_as_it_was_typed_or_otherwise(digits: Dataset, final: Any) -> None:
    config = config_of(digits, final="10 epochs")
    check_settings(config, RunOptions.given("s", final=final))
    check_settings(config, RunOptions.given("s", final=f"{config.final}FLOP", length="compute"))


@pytest.mark.parametrize(
    ("options", "flag"),
    [({"final": 11}, "--final 11"), ({"length": "epochs"}, "--length epochs"), ({"epochs": 8}, "--epochs 8")],
)
def test_another_length_cannot_join(digits: Dataset, options: dict[str, Any], flag: str) -> None:
    config = config_of(digits, final="10 epochs")
    with pytest.raises(InputError, match=f"^{flag}: study s was made with trials of .* TFLOP"):
        check_settings(config, RunOptions.given("s", **options))


def test_study_that_counts_epochs_is_not_joined_by_compute(digits: Dataset) -> None:
    config = config_of(digits, epochs=3)
    with pytest.raises(InputError, match=r"^--length compute: study s was made with trials of 3 epochs"):
        check_settings(config, RunOptions.given("s", length="compute"))


def test_what_a_configuration_cannot_have_is_told_by_how_much() -> None:
    config: Any = SimpleNamespace(max_cost=100, max_parameters=10, length=3 * 50 * 400, training_images=100)
    recipe = Recipe(batch_size=10)
    assert violations(config, Cost(10, 100), recipe) == {}
    found = violations(config, Cost(20, 400), recipe)
    assert found["cost"] == pytest.approx(math.log(4))
    assert found["parameters"] == pytest.approx(math.log(2))
    # Two passes are 20 steps; there is compute for 5.
    assert found["passes"] == pytest.approx(math.log(20 / 5))


def test_default_is_not_refused_where_the_final_is_just_two_passes(digits: Dataset) -> None:
    for images in (200, 300, 301, 333):
        config = config_of(digits, final="2 epochs", images=images)
        cost = default_cost(config)
        for batch in (16, 24, 32):
            assert violations(config, cost, Recipe(batch_size=batch)) == {}


def test_trial_in_which_all_configurations_would_have_too_few_steps_is_refused_before_the_search(
    digits: Dataset,
) -> None:
    """Of ten images a hundred configurations were refused, one after another, at every call."""
    words = r"^--final 3 epochs: .* less than 8 steps, .* all others; expected --final (\d+) epochs"
    with pytest.raises(InputError, match=words) as said:
        config_of(digits, final="3 epochs", images=10)
    least = int(str(said.value).rpartition("--final ")[2].split()[0])
    config_of(digits, final=f"{least} epochs", images=10)


def test_trial_that_others_than_the_default_can_have_is_not_refused(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default of ``cnn_wide`` has batches of 128, others smaller ones."""
    monkeypatch.setattr("search.study.length.training_speed", lambda: 1e8)
    asked = RunOptions.given("s", data="digits", space="cnn_wide", images=200, timeout=60.0)
    config = with_length(new_config(asked, digits), asked, load("cnn_wide"), digits)
    assert config.final_epochs == 4

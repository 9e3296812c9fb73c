"""What the end of a run takes, and how a whole is divided."""

import dataclasses
from typing import Any

import pytest

from search.config.study_config import StudyConfig
from search.errors import InputError
from search.formatting import flops
from search.study.ending import (
    Ending,
    check_whole,
    division,
    least_race,
    plan_ending,
    training_compute,
)
from search.study.final_length import grown_final, most_final, trial_compute

# A trial of 40 TFLOP, a final training of 200.
CONFIG: StudyConfig = StudyConfig(
    study="s",
    data="d",
    fingerprint="f",
    classes=("a", "b"),
    height=8,
    width=8,
    channels=1,
    epochs=8,
    length=40 * 10**12,
    final=200 * 10**12,
    final_epochs=10.0,
    training_images=10**9,  # So many that validation takes nothing beside.
    race_images=9000,
)
FOLDS = dataclasses.replace(CONFIG, folds=5, race_images=0, training_images=800)


def planned(whole: float | None, config: StudyConfig = CONFIG, **more: Any) -> Ending:
    wanted = {"race": True, "refit": True, **more}
    return plan_ending(config, whole, wanted.pop("trials", 50), **wanted)


def test_race_of_a_large_whole_has_nine_lengths() -> None:
    found = planned(2e15)
    assert (found.racers, found.rounds) == (3, 3)
    assert found.race == pytest.approx(9 * 40e12, rel=1e-3)
    assert found.compute == pytest.approx(found.race + 200e12)


@pytest.mark.parametrize(
    ("whole", "racers", "rounds"), [(1.1e15, 3, 2), (0.7e15, 2, 2), (0.5e15, 0, 0), (0.81e15, 3, 2)]
)
def test_race_has_fewer_seeds_where_it_would_be_over_three_tenths(
    whole: float, racers: int, rounds: int
) -> None:
    found = planned(whole)
    assert (found.racers, found.rounds) == (racers, rounds)
    assert found.race <= 0.3 * whole


def test_whole_that_nobody_has_said_is_that_of_the_trials() -> None:
    assert planned(None, trials=50).rounds == 3
    assert planned(None, trials=3).racers == 0


def test_race_has_no_more_rounds_than_there_is_time_for() -> None:
    assert planned(2e15, most=170e12).race == pytest.approx(160e12, rel=1e-3)
    assert planned(2e15, most=100e12).racers == 0


def test_two_configurations_race_with_three_seeds() -> None:
    assert planned(2e15, configurations=2).race == pytest.approx(6 * 40e12, rel=1e-3)


def test_folds_race_in_a_round_a_fold() -> None:
    found = planned(None, FOLDS)
    assert (found.racers, found.rounds) == (3, 15)
    assert found.training == training_compute(FOLDS)


@pytest.mark.parametrize(("trainings", "racers", "rounds"), [(20, 2, 10), (19, 3, 5), (14, 2, 5), (9, 0, 0)])
def test_folds_race_with_one_seed_where_two_are_too_many(trainings: int, racers: int, rounds: int) -> None:
    found = planned(2e16, FOLDS, most=trainings * training_compute(FOLDS))
    assert (found.racers, found.rounds) == (racers, rounds)


FEW = dataclasses.replace(CONFIG, training_images=400, race_images=30)
FEW_IN_FOLDS = dataclasses.replace(FOLDS, training_images=400)


def test_race_is_as_long_as_a_longer_final_training_as_far_as_its_share_pays() -> None:
    """Small nets led after the passes of a trial, and no more after those of the final training."""
    found = planned(10e15, FEW, longer=True)
    assert (found.racers, found.rounds) == (2, 2)
    assert 9 / 4 < found.times < 5 / 2  # What validation takes is no more for that.
    assert found.race == pytest.approx(9 * training_compute(FEW))
    assert found.training == pytest.approx(training_compute(FEW, found.times))
    in_folds = planned(1e17, FEW_IN_FOLDS, longer=True, configurations=2)
    assert (in_folds.racers, in_folds.rounds, in_folds.times) == (2, 5, 4.0)


def test_race_of_a_small_share_is_no_shorter_than_a_trial() -> None:
    least = least_race(FEW)
    assert planned(10e15, FEW, longer=True, most=least).times == pytest.approx(1.0)
    assert planned(10e15, FEW, longer=True, most=0.99 * least).racers == 0


def test_race_is_as_long_as_a_final_training_whose_length_is_known() -> None:
    assert planned(1e17, FEW_IN_FOLDS, planned=1.5 * 200e12, configurations=2).times == 1.5
    assert planned(1e17, FEW_IN_FOLDS, planned=0.5 * 200e12).times == 1.0


def test_race_is_a_little_shorter_before_it_has_fewer_seeds() -> None:
    whole, final = 1e17, FEW.final
    assert planned(whole, FEW, planned=1.01 * final).rounds == 3
    shorter = planned(whole, FEW, planned=1.8 * final)
    assert (shorter.racers, shorter.rounds) == (3, 2)
    assert 0.75 * 1.8 < shorter.times < 1.8


def test_third_configuration_races_before_the_last_quarter_of_the_length_in_three_folds() -> None:
    """Of made-up races, three configurations at three times a trial's length gain more than two at four times."""
    three = dataclasses.replace(FEW_IN_FOLDS, folds=3, training_images=800, final_epochs=40)
    found = planned(1e17, three, planned=4 * 200e12)
    assert (found.racers, found.rounds) == (3, 3)
    assert 3.0 < found.times < 3.2


def test_race_that_was_begun_keeps_its_length() -> None:
    """Its trainings are there; of another length they would be made again."""
    found = planned(1e17, FEW_IN_FOLDS, planned=4 * 200e12, times_before=1.5)
    assert (found.racers, found.rounds, found.times) == (3, 10, 1.5)
    assert planned(1e17, FEW_IN_FOLDS, times_before=1.5, most=1.2 * least_race(FEW_IN_FOLDS)).racers == 0


def test_least_race_is_of_two_configurations_and_two_seeds_or_of_folds() -> None:
    assert least_race(CONFIG) == 4 * training_compute(CONFIG)
    assert least_race(FOLDS) == 10 * training_compute(FOLDS)


def test_without_a_final_training_there_is_none_to_keep_free() -> None:
    assert planned(2e15, refit=False, race=False) == Ending()


def test_race_needs_other_images() -> None:
    assert planned(2e15, dataclasses.replace(CONFIG, race_images=0)) == Ending(final=200e12)


def test_budget_that_does_not_hold_the_final_training_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"^--budget 0.1 PFLOP: .* 0.2 PFLOP .* at least 0.24 PFLOP; .*--no-refit"
    ):
        check_whole(CONFIG, 0.1e15, refit=True)
    check_whole(CONFIG, 0.24e15, refit=True)
    check_whole(CONFIG, 0.1e15, refit=False)


def test_first_screen_says_how_a_budget_is_divided() -> None:
    assert division(CONFIG, planned(0.7e15), 50, 0.7e15) == (
        "compute of 0.7 PFLOP: at most 0.34 PFLOP for trials of 40 TFLOP; 0.16 PFLOP for a race of the best and the "
        "default, 4 trainings; 0.2 PFLOP for the final training, on all training images"
    )
    assert division(CONFIG, planned(0.7e15), 50, 0.7e15, 0.4e15).endswith(
        "on all training images (up to 0.4 PFLOP, where some is left)"
    )
    assert division(FOLDS, planned(None, FOLDS), 50, None).startswith(
        "compute: 50 trials of 0.2 PFLOP; up to "
    )
    assert "15 trainings of one fold, 3.6 times as long as a trial's; " in division(
        FEW_IN_FOLDS, planned(1e17, FEW_IN_FOLDS, longer=True), 50, None
    )


def test_final_training_of_few_images_is_up_to_four_times_as_long_within_two_fifths_of_the_whole() -> None:
    few = dataclasses.replace(CONFIG, training_images=400)  # Of 2,000, which 10 passes look at 20,000 times.
    assert planned(10e15, few, longer=True).final == pytest.approx(0.8e15)
    assert planned(1e15, few, longer=True).final == pytest.approx(0.4e15)
    assert planned(0.45e15, few, longer=True).final == pytest.approx(0.2e15)
    assert planned(10e15, few).final == pytest.approx(0.2e15)
    more = dataclasses.replace(CONFIG, training_images=1600)
    assert planned(10e15, more, longer=True).final == pytest.approx(0.4e15)
    assert planned(10e15, longer=True).final == pytest.approx(0.2e15)


def test_longer_final_training_leaves_two_trials_beside_the_race() -> None:
    """Five folds had a budget of five final trainings: two were for a longer one, and no trial could end."""
    few = dataclasses.replace(FOLDS, training_images=400, final=FOLDS.length * 5 // 4)
    for whole in (5, 12, 16, 20, 30):
        budget = whole * float(few.final)
        found = planned(budget, few, longer=True)
        assert found.final >= few.final
        if found.final > few.final:
            assert budget - found.compute >= 2 * trial_compute(few)
    assert found.final > few.final


def test_final_training_that_is_longer_grows_too_where_something_is_left() -> None:
    """What a race did not need was left over, of few images alone."""
    assert [grown_final(CONFIG, 0.6e15, left) for left in (0.1e15, 0.5e15, 5e15)] == [0.2e15, 0.5e15, 1.2e15]


def test_most_that_a_final_training_takes_is_twice_what_is_planned_or_may_be() -> None:
    assert most_final(CONFIG, 0.2e15, longer=True) == 0.4e15
    assert most_final(FEW, 0.2e15, longer=True) == 1.6e15
    assert most_final(FEW, 0.6e15, longer=False) == 1.2e15


def test_length_that_is_said_in_epochs_is_planned_for() -> None:
    """100 epochs had the time and the compute of 20 kept for them."""
    assert planned(1e15, epochs=20).final == pytest.approx(0.4e15)  # Ten are 0.2 PFLOP.
    with pytest.raises(InputError, match=r"takes 0.4 PFLOP \(--refit-epochs\)"):
        check_whole(CONFIG, 0.3e15, refit=True, epochs=20)


def test_race_that_was_run_before_is_run_again_for_nothing() -> None:
    first = planned(0.7e15)
    assert first.race > 0
    assert planned(None, trials=1).race == 0
    assert planned(None, trials=1, run_before=first.race).race == first.race
    assert planned(None, trials=1, run_before=first.race, most=0.0).race == 0  # Others may race now.
    long = planned(1e15, FEW, longer=True)
    before = {"run_before": long.race, "times_before": long.times}
    assert planned(None, FEW, trials=1, **before) == dataclasses.replace(long, final=200e12)


def test_final_training_is_given_what_is_left_up_to_twice_its_length() -> None:
    assert [grown_final(CONFIG, 0.2e15, left) for left in (0.0, 0.19e15, 0.36e15, 5e15)] == [
        0.2e15,
        0.2e15,
        0.36e15,
        0.4e15,
    ]


def test_flops_are_said_in_a_unit_that_fits() -> None:
    assert [flops(amount) for amount in (0.7e15, 4.5e10, 3e7)] == ["0.7 PFLOP", "45 GFLOP", "30 MFLOP"]

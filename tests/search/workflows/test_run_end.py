"""What of a run's end there is time and compute for, as its parts are told."""

from types import SimpleNamespace
from typing import Any

import pytest
from optuna.trial import TrialState

from search.config.settings import RunOptions
from search.execution.kept_time import Rates
from search.study.ending import Ending
from search.study.fold_results import SPENT
from search.workflows import run_end
from search.workflows.run_end import bounds_of_end, warn_of_first_trial

# A tera-FLOP takes a second.
END = Ending(racers=2, rounds=2, training=10e12, final=100e12)
A_TRIAL = 20e12


def bounds(
    left: float, end: Ending = END, images: int = 100_000, beside: float = 1.0, **asked: Any
) -> tuple[Any, str]:
    """The bounds where so many seconds are left, of a study whose trials take 20 s."""
    pace: Any = SimpleNamespace(rates=lambda: Rates(1e-12, 1e-12 * beside), left=lambda: left)
    config: Any = SimpleNamespace(
        length=A_TRIAL,
        folds=asked.get("folds", 0),
        final=END.final,
        final_epochs=20.0,
        training_images=images,
    )
    return bounds_of_end(pace, end, RunOptions.given("s", data="digits", **asked), config)


def test_time_that_is_left_beside_the_final_training_is_the_race_s() -> None:
    found, remark = bounds(130.0, timeout=600)
    assert (found.final, found.most, remark) == (100e12, pytest.approx(30e12), "")


def test_final_training_is_shorter_where_there_is_less_time_and_no_race_is_run() -> None:
    found, remark = bounds(60.0, timeout=600)
    assert (found.final, found.most, remark) == (pytest.approx(60e12), 0.0, "")


@pytest.mark.parametrize(
    ("left", "asked"),
    [
        (19.0, {}),
        (60.0, {"final": "0.1PFLOP"}),
        (60.0, {"folds": 3}),
        (60.0, {"refit": True, "refit_epochs": 9}),
    ],
)
def test_final_training_is_left_out_where_it_may_not_be_shorter_or_would_be_less_than_a_trial(
    left: float, asked: dict[str, Any]
) -> None:
    found, remark = bounds(left, timeout=600, **asked)
    assert found.most == 0
    assert remark.startswith(
        "--timeout left no time for the final training, which would take about 1 min 40 s"
    )


def test_search_that_ends_late_and_has_no_final_training_has_lost_none() -> None:
    found, remark = bounds(-5.0, Ending(), timeout=600)
    assert (found.final, found.most, remark) == (None, 0.0, "")


def test_final_training_of_few_images_is_longer_where_there_is_time() -> None:
    few = 200  # In a search of 200 of 1,000: 20 passes are 20,000 looks, of 160,000.
    assert bounds(3000.0, images=few, timeout=6000)[0].final == 400e12
    assert bounds(600.0, images=few, timeout=930)[0].final == pytest.approx(360e12)  # Two fifths of 900 s.
    for said in ({"final": "0.1PFLOP"}, {"refit": True, "refit_epochs": 20}, {"engine": "slurm"}):
        assert bounds(3000.0, images=few, timeout=6000, **said)[0].final == END.final


def test_longer_final_training_costs_no_race_that_there_is_time_for() -> None:
    found, _ = bounds(250.0, images=200, timeout=6000)
    assert (found.final, found.most) == (pytest.approx(210e12), pytest.approx(40e12))
    found, _ = bounds(130.0, images=200, timeout=6000)  # None is left for the race.
    assert (found.final, found.most) == (pytest.approx(130e12), 0.0)
    end = Ending(racers=3, rounds=3, training=50e12, final=100e12)
    # Of 1,230 s a search has 492: 708 s are left for 450 s of race and the final training, which take a tenth more.
    found, _ = bounds(700.0, end, images=200, timeout=1230)
    assert found.final == pytest.approx((708 / 1.1 - 450) * 1e12)
    assert found.most == pytest.approx(700e12 - found.final)


def test_longer_final_training_leaves_two_trials() -> None:
    # Of 600 s 180 are a race's; in eight folds a trial takes 160 s, where the final training takes 100.
    assert bounds(400.0, images=200, timeout=630, folds=2)[0].final == pytest.approx(240e12)
    assert bounds(400.0, images=200, timeout=630, folds=8)[0].final == END.final


def test_race_takes_as_long_as_its_trials_and_the_final_training_as_their_trainings() -> None:
    """Of short trials most of the time is their start."""
    found, _ = bounds(160.0, beside=4.0, timeout=600)
    assert (found.final, found.most) == (100e12, pytest.approx(15e12))
    found, _ = bounds(1000.0, images=200, beside=10.0, timeout=1230)  # The race takes 400 s.
    assert found.final == pytest.approx((708 / 1.1 - 400) * 1e12)


def test_length_that_is_said_is_left_out_where_there_is_no_time_for_it() -> None:
    """It was cut to what was left, in words alone: the training took all of its epochs."""
    said = Ending(final=300e12)
    assert bounds(400.0, said, timeout=900, refit_epochs=60)[0].final == 300e12
    found, remark = bounds(200.0, said, timeout=900, refit_epochs=60)
    assert found.most == 0
    assert remark.startswith("--timeout left no time for the final training, which would take about 5 min")


def test_budget_and_time_are_both_kept() -> None:
    found, _ = bounds(3000.0, images=200, timeout=6000, budget=0.5e15)
    assert found.final == pytest.approx(200e12)  # Two fifths of the budget.
    assert (found.whole, found.grows) == (0.5e15, True)


def test_time_that_a_race_has_left_is_the_final_training_s() -> None:
    found, _ = bounds(330.0, timeout=600)
    assert found.grows
    # A training may be a tenth slower than the search's were.
    assert found.left(spent=0.0) == pytest.approx(300e12)
    both, _ = bounds(330.0, timeout=600, budget=1e15)
    assert both.left(spent=0.0) == pytest.approx(300e12)
    assert both.left(spent=0.9e15) == pytest.approx(0.1e15)
    assert not bounds(330.0, timeout=600, final="0.1PFLOP")[0].grows


def test_where_the_pace_is_not_known_nothing_grows_under_a_time() -> None:
    """The study has all its trials: how long so much takes here is not known."""
    pace: Any = SimpleNamespace(rates=lambda: None)
    options = RunOptions.given("s", data="digits", timeout=600, budget=1e15)
    found, remark = bounds_of_end(pace, END, options, SimpleNamespace(final=END.final))  # type: ignore[arg-type]
    assert (found.final, found.grows, remark) == (END.final, False, "")


def test_without_a_time_the_final_training_is_as_planned_or_takes_what_a_budget_leaves() -> None:
    assert (bounds(0.0)[0].final, bounds(0.0)[0].grows) == (END.final, False)
    found, _ = bounds(0.0, budget=1e15)
    assert (found.final, found.grows, found.whole) == (END.final, True, 1e15)


BEGUN = {"compute": 5e12, SPENT: {"training": 20.0}}


@pytest.mark.parametrize(
    ("timeout", "folds", "state", "facts", "warned"),
    [
        (30.0, 0, TrialState.WAITING, {}, "would end about 40 s after the start of the command"),
        (45.0, 0, TrialState.WAITING, {}, ""),
        (60.0, 2, TrialState.WAITING, {}, "allow at least 2 min"),
        (60.0, 0, TrialState.WAITING, BEGUN, "would end about 80 s after the start of the command"),
        (85.0, 0, TrialState.WAITING, BEGUN, ""),
        (30.0, 0, TrialState.COMPLETE, BEGUN, ""),
    ],
)
def test_time_too_short_for_the_first_trial_is_warned_of_before_it(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    timeout: float,
    folds: int,
    state: TrialState,
    facts: dict[str, Any],
    warned: str,
) -> None:
    """The same command with ``--timeout 15s`` ended without a trial time after time, and never said what would do."""
    monkeypatch.setattr(run_end, "training_speed", lambda: 1e12)
    trial = SimpleNamespace(user_attrs=facts, intermediate_values={}, state=state)
    study: Any = SimpleNamespace(
        config=SimpleNamespace(length=A_TRIAL, folds=folds),
        optuna=SimpleNamespace(get_trials=lambda deepcopy: [trial]),
    )
    warn_of_first_trial(study, RunOptions.given("s", data="digits", timeout=timeout), taken=5.0)
    said = capsys.readouterr().out
    assert warned in said
    assert bool(said) == bool(warned)


def test_nothing_is_told_of_a_first_trial_whose_compute_is_not_known(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where trials count epochs, their compute was taken for 0."""
    monkeypatch.setattr(run_end, "training_speed", lambda: 1e12)
    study: Any = SimpleNamespace(
        config=SimpleNamespace(length=0, folds=0), optuna=SimpleNamespace(get_trials=lambda deepcopy: [])
    )
    warn_of_first_trial(study, RunOptions.given("s", data="digits", timeout=10.0, epochs=9), taken=5.0)
    assert not capsys.readouterr().out

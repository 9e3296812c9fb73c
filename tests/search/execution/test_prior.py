"""PriorBand's rule: where samples lie before trials have spoken, and after."""

from collections.abc import Mapping
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.execution.prior import OF_TPE, PriorSampler, best_complete, known_good, shares

X = FloatDistribution(0.0, 1.0)
RANGES: dict[str, Any] = {
    "plain": FloatDistribution(-2.0, 2.0),
    "log": FloatDistribution(1e-4, 1.0, log=True),
    "step": FloatDistribution(0.0, 1.0, step=0.25),
    "whole": IntDistribution(1, 9),
    "whole_log": IntDistribution(1, 512, log=True),
    "whole_step": IntDistribution(16, 64, step=8),
    "choice": CategoricalDistribution(("a", "b", None, 3)),
}
MIDDLE = {
    "plain": 0.0, "log": 1e-2, "step": 0.5, "whole": 5, "whole_log": 22, "whole_step": 40, "choice": None
}  # fmt: skip


class Nowhere(optuna.samplers.RandomSampler):
    """In the place of TPE: says when it is asked."""

    asked = 0

    def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
        self.asked += 1
        return {}


def complete(*values: float, x: tuple[float, ...]) -> list[FrozenTrial]:
    """Complete trials with these values, at these places."""
    made = [
        create_trial(value=value, params={"x": place}, distributions={"x": X})
        for value, place in zip(values, x, strict=True)
    ]
    for number, trial in enumerate(made):
        trial.number = number
    return made


def sampled(
    count: int, centre: Mapping[str, Any], tell: Any = None, ranges: Mapping[str, Any] = RANGES
) -> tuple[list[dict[str, Any]], int]:
    """Values of so many trials of a study that was given ``centre``, and how many of them TPE chose."""
    study, of_tpe, found = optuna.create_study(direction="maximize"), 0, []
    study.enqueue_trial(centre)
    for number in range(count + 1):
        tpe = Nowhere(seed=number)
        study.sampler = PriorSampler(tpe, number)
        trial = study.ask()
        values = {name: trial._suggest(name, distribution) for name, distribution in ranges.items()}
        if number:
            found.append(values)
            of_tpe += tpe.asked
        if tell is not None:
            study.tell(trial, tell(values))
    return found, of_tpe


def test_half_of_the_samples_are_tpes_and_the_others_lie_around_what_is_known() -> None:
    found, of_tpe = sampled(200, MIDDLE)
    assert 70 < of_tpe < 130
    # Of the prior's half half have the known choice, and a fourth of the others; of TPE's half a fourth: 0.44 in all.
    assert 60 < sum(values["choice"] is None for values in found) < 115
    near = sum(abs(values["plain"]) < 1 for values in found)
    assert 105 < near < 155, "0.68 of one half, 0.5 of the other"


@pytest.mark.parametrize("name", [name for name in RANGES if name != "choice"])
def test_samples_lie_within_their_range_and_on_both_sides_of_the_known_value(name: str) -> None:
    found, _ = sampled(80, MIDDLE, ranges={name: RANGES[name]})
    values = [one[name] for one in found]
    assert all(RANGES[name]._contains(RANGES[name].to_internal_repr(value)) for value in values)
    assert min(values) < MIDDLE[name] < max(values)


def test_samples_around_an_end_of_the_range_stay_inside() -> None:
    found, _ = sampled(60, {"whole": 9}, ranges={"whole": RANGES["whole"]})
    assert {values["whole"] for values in found} <= set(range(1, 10))
    assert sum(values["whole"] >= 7 for values in found) > 25


def test_parameter_that_is_not_known_is_sampled_evenly() -> None:
    found, _ = sampled(60, {"whole": 5}, ranges={"whole": RANGES["whole"], "plain": RANGES["plain"]})
    values = [one["plain"] for one in found]
    assert min(values) < -1.5
    assert max(values) > 1.5


def test_known_value_out_of_the_range_counts_for_nothing() -> None:
    study = optuna.create_study()
    study.enqueue_trial({"x": 7.0})
    study.add_trial(create_trial(state=TrialState.COMPLETE, value=1.0))
    study.sampler = PriorSampler(Nowhere(seed=0), 3)
    waiting = optuna.trial.Trial(study, study._storage.create_new_trial(study._study_id))
    assert 0 <= waiting.suggest_float("x", 0.0, 1.0) <= 1


def test_study_that_was_given_nothing_is_tpes() -> None:
    study = optuna.create_study()
    for number in range(8):
        tpe = Nowhere(seed=number)
        study.sampler = PriorSampler(tpe, number)
        study.tell(study.ask({"x": X}), 1.0)
        assert tpe.asked == 1


def test_prior_that_is_wrong_is_left() -> None:
    found, _ = sampled(60, {"x": 0.1}, tell=lambda values: -abs(values["x"] - 0.9), ranges={"x": X})
    early, late = ([one["x"] for one in part] for part in (found[:10], found[30:]))
    assert sum(early) / 10 < 0.55
    assert sum(late) / 30 > 0.55


def test_shares_are_those_of_the_example() -> None:
    best = complete(3.0, 2.0, 1.0, x=(0.7, 0.6, 0.8))
    of_prior, of_incumbent = shares([{"x": 0.2}], best)
    assert of_prior == pytest.approx(0.08, abs=0.005)
    assert of_incumbent == pytest.approx(0.42, abs=0.005)
    assert shares([{"x": 0.2}], complete(3.0, 2.0, 1.0, x=(0.2, 0.3, 0.1))) == pytest.approx((0.25, 0.25))


def test_prior_has_it_all_until_three_trials_are_complete() -> None:
    assert shares([{"x": 0.2}], []) == (1 - OF_TPE, 0.0)
    assert shares([], complete(1.0, x=(0.5,))) == (0.0, 0.0)


def test_categories_that_agree_speak_for_a_centre() -> None:
    kind = CategoricalDistribution(("a", "b", "c"))
    best = [
        create_trial(value=1.0, params={"kind": name, "x": 0.5}, distributions={"kind": kind, "x": X})
        for name in ("a", "b", "b")
    ]
    agreeing, other = (shares([{"kind": name, "x": 0.5}], best)[0] for name in ("b", "c"))
    assert agreeing > other > 0


def test_best_are_the_best_third_of_the_complete_by_the_direction() -> None:
    trials = complete(*(float(place) for place in range(12)), x=(0.5,) * 12)
    trials[11].state = TrialState.PRUNED
    highest, lowest = (
        [trial.value for trial in best_complete(trials, direction)]
        for direction in (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE)
    )
    assert highest == [10.0, 9.0, 8.0]
    assert lowest == [0.0, 1.0, 2.0]
    assert best_complete(trials[:2], StudyDirection.MAXIMIZE) == []


def given(state: TrialState, x: float) -> FrozenTrial:
    value = 0.5 if state == TrialState.COMPLETE else None
    return create_trial(state=state, value=value, system_attrs={"fixed_params": {"x": x}})


def test_what_turned_out_bad_is_not_known_to_be_good_unless_nothing_else_is() -> None:
    bad = [given(TrialState.PRUNED, 0.1), given(TrialState.FAIL, 0.2)]
    good = [given(TrialState.COMPLETE, 0.3), given(TrialState.WAITING, 0.4), given(TrialState.RUNNING, 0.5)]
    sample = create_trial(value=1.0, params={"x": 0.9}, distributions={"x": X})
    assert known_good([*bad, *good, sample]) == [{"x": 0.3}, {"x": 0.4}, {"x": 0.5}]
    assert known_good([*bad, sample]) == [{"x": 0.1}, {"x": 0.2}]

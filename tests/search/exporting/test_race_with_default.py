"""The race that ends a search at equal compute: with made-up trainings, and with children that train in NumPy."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from optuna.trial import TrialState, create_trial

from search.config.settings import ExportOptions
from search.execution.planning import plan_training
from search.execution.worker import Worker
from search.execution.worker_loop import work
from search.exporting import confirm, entrants
from search.exporting.confirm import confirm_best, other_images, run_race
from search.exporting.entrants import (
    Bounds,
    Course,
    contenders,
    default_trial,
    plot_course,
    ranked_for_race,
)
from search.exporting.race import Race, Racer
from search.exporting.race_runs import RaceRun
from search.exporting.race_words import no_race_sentence, race_sentences
from search.exporting.request import ExportRequest
from search.process.fork_server import ForkServer
from search.study.compute import AFTER_SEARCH, compute_of, compute_spent
from search.study.ending import PARTS_OF_IMAGES
from search.study.study import LoadedStudy
from spaces.recipe import Recipe

CONFIG: Any = SimpleNamespace(
    study="s",
    seed=0,
    epochs=8,
    metric="accuracy",
    folds=0,
    backbones=(),
    flip=False,
    space="cnn",
    length=10,
    race_images=100,
)
DEFAULT = 0


# Operations of each trial, whose parameters are as many.
COSTS = {0: 50, 5: 100, 7: 20}


def preferring(race: Race, what: str) -> Race:
    return dataclasses.replace(race, course=dataclasses.replace(race.course, prefer=what))


def asked(study: LoadedStudy, say: Callable[[str], None] = print) -> ExportRequest:
    return ExportRequest(study, study.optuna.trials[0], True, ExportOptions.given("s"), (), (), say)


def trial(number: int, state: str = "COMPLETE") -> Any:
    cost = COSTS.get(number, 10)
    attributes = {
        "compute": 100.0,
        "epochs": 8,
        "params": {"width": number},
        "flops": cost,
        "parameters": cost,
    }
    return SimpleNamespace(
        number=number, value=0.97, user_attrs=attributes, state=SimpleNamespace(name=state)
    )


def race(table: dict[int, list[Any]], metric: str = "accuracy", prefer: str = "accurate") -> Race:
    """A race with trial 0 as the default, whose trainings score as in ``table``."""
    left = {number: list(values) for number, values in table.items()}

    def train(of: Any, seed: int, keep: bool) -> RaceRun:
        return RaceRun(seed, {}, left[of.number].pop(0), 100.0, Path("weights"))

    racers = [Racer(trial(number)) for number in table]
    rounds = max(map(len, table.values()))
    course = Course((), rounds, math.inf, 1.0, DEFAULT, prefer=prefer)
    config = SimpleNamespace(**{**vars(CONFIG), "metric": metric})
    return run_race(config, racers, 1e4, 0.0, train, lambda line: None, course)


def test_default_is_exported_where_another_has_the_same_mean() -> None:
    found = race({5: [0.3, 0.1, 0.2], DEFAULT: [0.1, 0.2, 0.3]})
    assert (found.ended_because, found.winner.trial.number) == ("rounds", DEFAULT)
    said = race_sentences(found, refit=True)
    assert said[1] == (
        "Exported is the default configuration: none of those that have not dropped out is ahead of it; trial 5 is 0.0 "
        "points behind, with a standard error of 10.0 points."
    )
    assert found.figures()["default"] == DEFAULT


def test_lead_within_its_noise_is_exported_and_said_to_be_little() -> None:
    found = race({5: [0.93, 0.92, 0.91], DEFAULT: [0.90, 0.94, 0.91]})
    assert found.winner.trial.number == 5
    said = race_sentences(found, refit=True)
    assert said[1] == (
        "It is ahead of the default configuration by 0.3 points (standard error 1.5 points), and by 0.0 points when "
        "that is shrunk by its noise; the probability that it is better is 51.8 %."
    )


def test_lead_beyond_its_noise_is_exported_with_the_probability_that_it_is_better() -> None:
    found = race({5: [0.92, 0.93, 0.945], DEFAULT: [0.90, 0.92, 0.91]})
    assert found.winner.trial.number == 5
    said = race_sentences(found, refit=True)
    assert said[0].startswith(
        "Race: of 2 configurations, the default (trial 0) among them, trained again with the "
    )
    assert said[1] == (
        "It is ahead of the default configuration by 2.2 points (standard error 0.7 points), and by 1.9 points "
        "when that is shrunk by its noise; the probability that it is better is 94.7 %."
    )
    figures = {one["trial"]: one for one in found.figures()["configurations"]}
    assert figures[5]["beyond_the_default"]["probability"] == pytest.approx(0.947, abs=1e-3)
    assert "beyond_the_default" not in figures[DEFAULT]


def test_default_that_drops_out_is_still_what_the_winner_is_compared_with() -> None:
    found = race({5: [0.90, 0.95, 0.93], DEFAULT: [0.80, 0.85, 0.83]})
    assert (found.ended_because, found.winner.trial.number) == ("decided", 5)
    assert "is ahead of the default configuration by 10.0 points" in race_sentences(found, refit=True)[1]


def test_rival_that_diverged_is_not_said_to_be_behind() -> None:
    found = race({5: [0.95, 0.91, None], DEFAULT: [0.90, 0.92, 0.91]})
    assert found.winner.trial.number == DEFAULT
    assert race_sentences(found, refit=True)[1] == (
        "Exported is the default configuration: none of those that have not dropped out is ahead of it."
    )


def test_default_that_diverges_is_no_rival() -> None:
    found = race({5: [0.5, 0.5], DEFAULT: [None]})
    assert found.winner.trial.number == 5
    assert race_sentences(found, refit=True)[1] == "The default configuration dropped out of the race."


def test_lower_loss_beats_the_default() -> None:
    assert race({5: [0.30, 0.35], DEFAULT: [0.80, 0.86]}, "loss").winner.trial.number == 5


def test_balanced_racer_is_the_cheapest_within_an_error_of_the_best_mean() -> None:
    open_race = race({5: [0.93, 0.92, 0.91], DEFAULT: [0.90, 0.94, 0.91], 7: [0.92, 0.93, 0.90]})
    found = preferring(open_race, "balanced")
    assert (open_race.winner.trial.number, found.winner.trial.number) == (5, 7)
    said = race_sentences(found, refit=True)
    assert said[1].startswith("It is 0.0 points ahead of the default configuration")
    assert found.preference is not None
    assert (
        "of 3 racers within one standard error (1.1 points) of the best one, trial 5"
        in found.preference.sentence
    )
    assert found.figures()["winner"] == 7


def test_small_racer_may_have_dropped_out_if_it_is_near_enough() -> None:
    table = {5: [0.930, 0.934, 0.933], DEFAULT: [0.931, 0.932, 0.931], 7: [0.915, 0.916]}
    found = race(table, prefer="small")
    assert [racer.trial.number for racer in found.racers if racer.eliminated] == [7]
    assert found.winner.trial.number == 7
    assert found.preference is not None
    assert found.preference.chosen.value == pytest.approx(0.9158, abs=1e-4)
    assert preferring(found, "balanced").winner.trial.number != 7


def test_small_racer_that_diverged_is_none() -> None:
    found = preferring(race({5: [0.93, 0.94], DEFAULT: [0.92, 0.93], 7: [None]}), "small")
    assert found.winner.trial.number == DEFAULT


def test_race_is_over_once_nobody_is_ahead_of_the_default() -> None:
    found = race({5: [0.89, 0.99], DEFAULT: [0.90, 0.90], 7: [0.88, 0.99]})
    assert (found.ended_because, len(found.seeds), found.winner.trial.number) == ("behind", 1, DEFAULT)
    assert race_sentences(found, refit=True)[1] == (
        "Exported is the default configuration: after one round none of the others was ahead of it, so that the race "
        "ended."
    )
    level = race({5: [0.90, 0.93, 0.93], DEFAULT: [0.90, 0.90, 0.90]})
    assert (level.ended_because, level.winner.trial.number) == ("rounds", 5)


def test_default_takes_the_last_place_unless_it_has_one() -> None:
    best: Any = [trial(number) for number in (4, 7, 9)]
    numbers = [one.number for one in contenders(best, trial(DEFAULT), 3)]
    assert numbers == [4, 7, DEFAULT]
    assert contenders(best, best[1], 3) == best
    assert contenders(best, None, 2) == best[:2]


def test_words_say_that_there_was_no_race() -> None:
    assert no_race_sentence("there is no time", is_default=False) == (
        "No race was run against the default configuration: there is no time. What is exported may be no better than "
        "it."
    )


@pytest.fixture
def searched_by_compute(make_worker: Callable[..., Worker]) -> Callable[..., LoadedStudy]:
    """Make a study with trials of about eight steps, some of them trained."""

    def make(trials: int = 4, **settings: Any) -> LoadedStudy:
        length = 3 * 2 * (64 * 16 + 16 * 10) * 64 * 16
        common = {"epochs": 8, "length": length, "final": length, "final_epochs": 5.0, "training_images": 200}
        worker = make_worker(**{**common, "race_images": 90, **settings})
        worker.study.want(40)
        worker.study.optuna.enqueue_trial({"width": 16, "rate": 0.05, "dropout": 0.1})
        work(worker, lambda: trials)
        return worker.study

    return make


@pytest.fixture
def all_race(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have those race, too, who are behind the default, which is a good one; and to the end."""
    monkeypatch.setattr(entrants, "_not_behind", lambda ranked, default, config: list(ranked))
    monkeypatch.setattr(confirm, "nobody_ahead", lambda values, default, lower_is_better: False)


@pytest.mark.usefixtures("all_race")
def test_race_is_on_images_that_no_trial_has_seen(
    searched_by_compute: Callable[..., LoadedStudy], fast_server: ForkServer
) -> None:
    study = searched_by_compute()
    before = compute_spent(study)
    found = confirm_best(asked(study), fast_server)
    assert isinstance(found, Race)
    assert (found.course.default, len(found.racers)) == (0, 3)
    assert all(len(racer.runs) >= 2 for racer in found.racers)
    recorded = study.optuna.user_attrs[AFTER_SEARCH]
    assert compute_spent(study) == before + sum(recorded.values())
    assert sum(recorded.values()) == pytest.approx(found.compute)

    again = confirm_best(asked(study), fast_server)
    assert isinstance(again, Race)
    assert [racer.values for racer in again.racers] == [racer.values for racer in found.racers]
    assert compute_spent(study) == before + sum(recorded.values()), "nothing is counted twice"
    # What is there costs nothing: an export that names no budget has the same race.
    assert not plot_course(study, bounds=Bounds(whole=1.0)).why_none


@pytest.mark.usefixtures("all_race")
def test_race_is_as_long_as_the_final_training_and_keeps_its_length(
    searched_by_compute: Callable[..., LoadedStudy], fast_server: ForkServer
) -> None:
    study, said = searched_by_compute(), []
    bounds = Bounds(final=2.0 * study.config.final)
    found = confirm_best(asked(study, said.append), fast_server, bounds=bounds)
    assert isinstance(found, Race)
    assert 1.5 < found.course.times <= 2.0
    assert f"{found.course.times:.2g} times as long as a trial" in said[0]
    assert (
        f"trained again, {found.course.times:.2g} times as long as a trial, with"
        in race_sentences(found, True)[0]
    )
    recorded = study.optuna.user_attrs[AFTER_SEARCH]
    assert sum(recorded.values()) == pytest.approx(found.compute)

    again = confirm_best(asked(study), fast_server)
    assert isinstance(again, Race)
    assert (again.course.times, again.compute) == (found.course.times, found.compute)
    assert study.optuna.user_attrs[AFTER_SEARCH] == recorded, "nothing is trained again, or counted twice"
    less = 0.99 * plot_course(study).takes
    assert plot_course(study, bounds=Bounds(most=less, final=bounds.final)).times in (1.0, found.course.times)
    for path, number in study.paths.race_files():
        if number != found.course.default:
            path.unlink()
    assert plot_course(study).times == 1.0, "others may race as long as is right for them"


def test_rounds_validate_on_parts_of_the_race_images(
    searched_by_compute: Callable[..., LoadedStudy],
) -> None:
    study = searched_by_compute(trials=0)
    plan = plan_training(study, 0, {}, Recipe(batch_size=20), 1000)
    whole = plan.split(study.dataset())
    images, _ = other_images(study)
    parts = [
        dataclasses.replace(plan, **images(round_)).split(study.dataset())
        for round_ in range(PARTS_OF_IMAGES)
    ]
    assert sorted(i for part in parts for i in part.validation) == whole.race.tolist()
    for part in parts:
        assert part.train.tolist() == whole.train.tolist()
        assert not set(part.validation) & (set(whole.train) | set(whole.validation))
    assert len({dataclasses.replace(plan, **images(round_)).identity for round_ in range(3)}) == 3


def test_folds_are_dealt_anew_for_the_race(
    searched_by_compute: Callable[..., LoadedStudy], fast_server: ForkServer
) -> None:
    study = searched_by_compute(trials=2, folds=2, images=None, race_images=0, training_images=700)
    images, _ = other_images(study)
    first, second, third = (dict(images(round_)) for round_ in range(3))
    assert [one["fold"] for one in (first, second, third)] == [0, 1, 0]
    assert first["fold_of"] == second["fold_of"] != third["fold_of"]
    assert first["fold_of"] != study.config.fold_of
    found = confirm_best(asked(study), fast_server)
    assert isinstance(found, Race)
    assert len(found.seeds) >= 2
    assert found.exported_trial is found.winner.trial


def test_default_is_found_though_it_was_pruned(searched_by_compute: Callable[..., LoadedStudy]) -> None:
    study = searched_by_compute(trials=1)
    found = default_trial(study)
    assert found is not None
    assert (found.number, found.state) == (0, TrialState.COMPLETE)
    assert default_trial(study, without=[0]) is None


@pytest.mark.usefixtures("all_race")
def test_race_that_there_is_no_time_for_says_so(searched_by_compute: Callable[..., LoadedStudy]) -> None:
    study = searched_by_compute(trials=2)
    assert plot_course(study, bounds=Bounds(most=1.0)).why_none.endswith("more than its part of the whole")
    assert not plot_course(study).why_none
    assert plot_course(study, bounds=Bounds(whole=1.0)).why_none


def test_race_of_one_configuration_is_none(searched_by_compute: Callable[..., LoadedStudy]) -> None:
    assert (
        plot_course(searched_by_compute(trials=1)).why_none == "fewer than two configurations have finished"
    )


def test_who_was_behind_the_default_does_not_race(
    searched_by_compute: Callable[..., LoadedStudy],
) -> None:
    study = searched_by_compute(trials=1)
    (own,) = study.optuna.trials
    assert own.value is not None
    for width, more in ((5, -0.1), (6, 0.0), (7, 0.1)):
        params = {**own.user_attrs["params"], "width": width}
        study.optuna.add_trial(
            create_trial(
                value=own.value + more,
                params={**own.params, "width": width},
                distributions=own.distributions,
                user_attrs={**own.user_attrs, "params": params},
                intermediate_values=own.intermediate_values,
            )
        )
    assert {one.number for one in ranked_for_race(study)} == {0, 2, 3}
    assert {one.number for one in ranked_for_race(study, (), "small")} == {0, 1, 2, 3}
    assert plot_course(study, without=[2, 3]).why_none == (
        "no other configuration was as good as the default where both were last compared"
    )


@pytest.mark.usefixtures("all_race")
def test_trials_that_were_pruned_late_race_where_the_default_alone_has_finished(
    searched_by_compute: Callable[..., LoadedStudy], fast_server: ForkServer
) -> None:
    study = searched_by_compute(trials=1)
    (own,) = study.optuna.trials
    for width, last in ((5, 2), (6, 6), (7, 4), (8, 6)):
        params = {**own.user_attrs["params"], "width": width}
        reports = {step: width / 10 for step in range(1, last + 1)}
        study.optuna.add_trial(
            create_trial(
                state=TrialState.PRUNED,
                value=width / 10,
                params={**own.params, "width": width},
                distributions=own.distributions,
                user_attrs={**own.user_attrs, "params": params},
                intermediate_values=reports,
            )
        )
    assert [one.number for one in ranked_for_race(study)] == [0, 4, 2, 3], "trial 1 was pruned early"
    assert [one.number for one in ranked_for_race(study, [4])] == [0, 2, 3]
    found = confirm_best(asked(study), fast_server)
    assert isinstance(found, Race)
    assert {racer.trial.number for racer in found.racers} == {0, 4, 2}
    pruned = next(racer for racer in found.racers if racer.trial.number == 4)
    assert found.shrinkage(pruned) is None
    assert study.ranked()[0].number == 0, "what is pruned is not ranked among those that have finished"


@pytest.mark.usefixtures("all_race")
def test_search_compute_is_that_of_the_trials(
    searched_by_compute: Callable[..., LoadedStudy], fast_server: ForkServer
) -> None:
    study = searched_by_compute(trials=2)
    found = confirm_best(asked(study), fast_server)
    assert isinstance(found, Race)
    assert found.search_compute == compute_of(study.optuna.get_trials(deepcopy=False))

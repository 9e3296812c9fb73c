"""What --prefer exports of a study's trials or of a race, and how its cost is said."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.errors import InputError
from search.execution.trial_files import trials_to_keep
from search.execution.worker import Worker
from search.exporting.choice import choose_preferred
from search.exporting.entrants import ranked_for_race
from search.exporting.preference import Preference, prefer
from search.metrics.preference import Priced
from search.study.prices import Prices, default_number
from search.study.request import check_preference
from search.study.study import LoadedStudy

# Of each trial: its value, its operations, its parameters.
TRIALS = [
    (0.94, 3e6, 100_000),
    (0.95, 9e6, 300_000),
    (0.942, 2e6, 90_000),
    (0.931, 1e6, 40_000),
    (0.6, 10, 10),
]


def settings(**more: Any) -> Any:
    return SimpleNamespace(**{"metric": "accuracy", "flip": False, "backbones": (), "space": "cnn", **more})


def finished(value: float, flops: float, parameters: int, **more: Any) -> FrozenTrial:
    known = {
        "params": {"width": parameters}, "flops": flops, "parameters": parameters, "history": {}, "epochs": 1,
        "kept_epoch": 1, "compute": 1.0, "validation_images": 400, **more,
    }  # fmt: skip
    return create_trial(value=value, state=TrialState.COMPLETE, user_attrs=known)


@pytest.fixture
def study_with(make_worker: Callable[..., Worker]) -> Callable[..., LoadedStudy]:
    """A study with these finished trials, or with ``TRIALS``."""

    def make(trials: Any = None, **settings: Any) -> LoadedStudy:
        study = make_worker(**settings).study
        study.optuna.add_trials(trials or [finished(*one) for one in TRIALS])
        return study

    return make


def chosen(study: LoadedStudy, what: str, **more: Any) -> int:
    trial, _ = choose_preferred(study, None, more.pop("without", ()), what)
    return trial.number


def test_trial_is_chosen_by_what_is_preferred(study_with: Callable[..., LoadedStudy]) -> None:
    study = study_with()
    assert [chosen(study, what) for what in ("accurate", "balanced", "small")] == [1, 2, 3]
    assert chosen(study, "balanced", without=(2,)) == 0
    assert choose_preferred(study, 4, (), "accurate")[1] is None


def test_words_say_what_was_preferred_and_what_it_cost(study_with: Callable[..., LoadedStudy]) -> None:
    study = study_with()
    _, small = choose_preferred(study, None, (), "small")
    assert small is not None
    assert small.sentence == (
        "Preferred is small (--prefer): of 4 trials within two points of the best one, trial 1 (95.0 %), trial 3 has "
        "the fewest parameters. It has 1 MFLOP an image instead of 9 MFLOP (11.1 %) and 40 k parameters instead of 300 "
        "k, and costs 1.9 points of validation accuracy (93.1 %)."
    )
    _, accurate = choose_preferred(study, None, (), "accurate")
    assert accurate is not None
    assert accurate.sentence == (
        "Trial 2 is within one standard error (1.2 points) of the best with 22.2 % of the operations of what is "
        "exported: --prefer balanced exports that."
    )


def test_words_say_where_nothing_cheaper_is_as_good() -> None:
    best = Priced(1, 0.9, 10.0, 10)
    alone = Preference("balanced", [best], best, best, 0.01, settings())
    assert (
        "no trial within one standard error (1.0 points) of the best one, trial 1, has fewer"
        in alone.sentence
    )
    assert Preference("accurate", [best], best, best, 0.01, settings()).sentence == ""
    cheap = Priced(2, 0.895, 2.0, 5)
    over = Preference("balanced", [best, cheap], best, cheap, 0.01, settings(backbones=("b",)))
    assert (
        "trial 2 has the fewest operations of the head. It has 2 FLOP an image instead of 10 FLOP (20.0 %, of the"
        in (over.sentence)
    )
    one_view = Preference("balanced", [best, cheap], best, cheap, 0.01, settings(flip=True))
    assert "It has 2 FLOP an image instead of 10 FLOP (20.0 %, in one view)" in one_view.sentence
    unknown = Preference("balanced", [best], best, best, None, settings(metric="loss"))
    assert "the noise of loss is not known here: exported is the best" in unknown.sentence


def test_weights_of_all_that_may_still_be_preferred_are_kept(study_with: Callable[..., LoadedStudy]) -> None:
    study = study_with()
    assert [trial.number for trial in trials_to_keep(study)] == [1, 2, 0, 3]


def test_trial_whose_costs_nobody_knows_is_chosen_as_the_best(study_with: Callable[..., LoadedStudy]) -> None:
    study = study_with()
    study.optuna.add_trial(create_trial(value=0.99))
    assert prefer(study, study.ranked(), "small") is None
    assert chosen(study, "small") == 3  # No worker of ours has trained the other.


def test_what_the_search_prefers_races_beside_the_best(study_with: Callable[..., LoadedStudy]) -> None:
    study = study_with()
    numbers = {
        what: [trial.number for trial in ranked_for_race(study, (), what)] for what in ("accurate", "small")
    }
    assert numbers == {"accurate": [1, 2, 0, 3, 4], "small": [1, 3, 2, 0, 4]}


def test_noise_is_of_the_images_or_of_the_folds(study_with: Callable[..., LoadedStudy]) -> None:
    folds = [{"value": value, "validation_images": 100} for value in (0.8, 1.0)]
    by_loss = study_with([finished(0.9, 1, 1, folds=folds)], metric="loss")
    assert Prices(by_loss).of(by_loss.ranked())[0].error == pytest.approx(0.1)
    by_accuracy = study_with([finished(0.5, 1, 1, folds=folds)], study="other")
    assert Prices(by_accuracy).of(by_accuracy.ranked())[0].error == pytest.approx(0.035, abs=1e-3)


def test_default_is_the_trial_that_was_marked_and_no_cell_of_a_sweep() -> None:
    own: Any = SimpleNamespace(number=1, user_attrs={"default": True})
    tried: Any = SimpleNamespace(number=0, system_attrs={"fixed_params": {}}, user_attrs={})
    cell: Any = SimpleNamespace(number=0, user_attrs={"default": True, "repeat": 0})
    assert [default_number(trials) for trials in ([tried, own], [tried], [cell], [])] == [1, None, None, None]


def test_points_of_a_loss_are_refused() -> None:
    check_preference("macro_f1", "small")
    check_preference("loss", "balanced")
    with pytest.raises(InputError, match="expected accurate or balanced"):
        check_preference("loss", "small")

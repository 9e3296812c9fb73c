"""Whether a search in folds exports its best configuration or the default, from made-up out-of-fold predictions."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from optuna.trial import TrialState

from search.exporting import fallback
from search.exporting.fallback import unless_default
from search.metrics.classification import Scores

IMAGES, DEFAULT_RIGHT = 200, 160
Right = np.ndarray[Any, Any]


def of_default(more: int = 0, less: int = 0, seed: int = 0) -> Right:
    """Who is right as the default is, but for so many images more and less."""
    random = np.random.default_rng(seed)
    right = np.arange(IMAGES) < DEFAULT_RIGHT
    lost = random.choice(DEFAULT_RIGHT, less, replace=False)
    return right ^ np.isin(np.arange(IMAGES), [*lost, *range(DEFAULT_RIGHT, DEFAULT_RIGHT + more)])


# Trials 1 to 18: as good as the default, each on images of its own.
EQUAL = {number: of_default(8, 8, seed=number) for number in range(1, 19)}
BAD = {19: of_default(0, 60)}


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Choose between the default, trial 0, and the search's best, trial 30, among other trials."""

    def choose(
        best: Right, others: Mapping[int, Right], number: int = 30, known: Any = range(99), **config: Any
    ) -> tuple[int, str]:
        labels = np.zeros(IMAGES, np.int64)
        right = {number: best, 0: of_default(), **others}
        found = {
            one: Scores(labels, 3 * np.stack([row, ~row], axis=1).astype(np.float32))
            for one, row in right.items()
            if one in known
        }
        settings = {"folds": 5, "length": 0, "race_images": 0, "metric": "accuracy", "seed": 0}
        dataset = SimpleNamespace(rule=lambda: SimpleNamespace(groups=None))
        loaded: Any = SimpleNamespace(
            config=SimpleNamespace(**{**settings, "classes": ("a", "b"), **config}), dataset=lambda: dataset
        )
        monkeypatch.setattr(fallback, "default_trial", lambda *_: SimpleNamespace(number=0))
        monkeypatch.setattr(fallback, "read_all_out_of_fold", lambda *_: found)
        chosen, why = unless_default(loaded, SimpleNamespace(number=number))  # type: ignore[arg-type]
        return chosen.number, why

    return choose


def test_default_is_exported_where_the_trials_cannot_be_told_apart(choose) -> None:
    chosen, why = choose(of_default(6), EQUAL)
    assert chosen == 0
    assert why == (
        "Exported is the default configuration (trial 0), since the trials cannot be told apart: trial 30, the "
        "search's best, is 3.0 points ahead of it on these 200 images."
    )


def test_bad_trial_tells_the_trials_apart_but_makes_the_best_no_better(choose) -> None:
    chosen, why = choose(of_default(6), {**EQUAL, **BAD})
    assert chosen == 0
    assert why.startswith(
        "Exported is the default configuration (trial 0): trial 30, the search's best, is 3.0 points ahead of it on "
        "these 200 images, as the best of 20 trials that are no better would be by luck (White's reality check, p = 0."
    )


def test_same_lead_is_exported_where_it_is_not_the_best_of_many(choose) -> None:
    chosen, why = choose(of_default(6), {})
    assert chosen == 30
    assert why.startswith(
        "Trial 30 is 3.0 points ahead of the default configuration (trial 0) on these 200 images, more than a trial "
        "that is no better would be by luck (White's reality check, p = 0.0"
    )


def test_best_of_many_is_exported_where_luck_does_not_reach_its_lead(choose) -> None:
    chosen, why = choose(of_default(20), {**EQUAL, **BAD})
    assert chosen == 30
    assert "10.0 points ahead" in why
    assert why.endswith(
        "more than the best of 20 trials that are no better would be by luck "
        "(White's reality check, p = 0.001)."
    )


def test_loss_leads_where_it_is_lower(choose) -> None:
    assert choose(of_default(20), BAD, metric="loss")[0] == 30


def test_default_that_is_the_best_is_said_to_be(choose) -> None:
    assert choose(of_default(), EQUAL, number=0) == (
        0,
        "Exported is the default configuration (trial 0), which is the search's best, too.",
    )


def test_best_is_exported_where_it_is_not_known_what_the_folds_predicted(choose) -> None:
    assert choose(of_default(6), {}, known=(30,)) == (
        30,
        "Trial 30 was not compared with the default configuration (trial 0): what the folds of both predicted is not "
        "known here.",
    )


def test_nothing_is_compared_where_epochs_are_counted_on_a_part_that_is_held_out(choose) -> None:
    assert choose(of_default(20), {}, folds=0) == (30, "")


@pytest.fixture
def by_values(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Choose between trial 7 and the default, trial 0, by their values on 167 images that are held out."""

    def choose(
        best: float, default: float | None, state: TrialState = TrialState.COMPLETE, metric: str = "accuracy"
    ) -> tuple[int, str]:
        trial = SimpleNamespace(number=0, value=default, state=state)
        monkeypatch.setattr(fallback, "default_trial", lambda *_: trial)
        monkeypatch.setattr(fallback, "split_counts", lambda *_: {"validation": [100, 67]})
        config = SimpleNamespace(folds=0, length=10**9, race_images=133, metric=metric)
        loaded: Any = SimpleNamespace(config=config, dataset=lambda: None)
        chosen, why = unless_default(loaded, SimpleNamespace(number=7, value=best))  # type: ignore[arg-type]
        return chosen.number, why

    return choose


def test_default_is_exported_where_the_held_out_images_cannot_tell_the_best_from_it(by_values) -> None:
    """Two images of 167 had exported a configuration that was no better, where there was no time for a race."""
    assert by_values(0.81, 0.79) == (
        0,
        "Trial 7, the search's best, is 2.0 points ahead of the default configuration (trial 0) on 167 validation "
        "images, no more than the best of some twenty would be by luck (8.8 points).",
    )


def test_best_of_the_same_value_is_not_said_to_be_ahead(by_values) -> None:
    assert by_values(0.8, 0.8) == (
        0,
        "Trial 7, the search's best, is as good as the default configuration (trial 0) on 167 validation images.",
    )


def test_best_is_exported_where_it_leads_by_more_than_luck_on_the_held_out_images(by_values) -> None:
    number, why = by_values(0.85, 0.75)
    assert (number, why.partition(" is ")[0]) == (7, "Trial 7")
    assert "more than the best of some twenty would be by luck" in why


@pytest.mark.parametrize(
    "other",
    [{"default": None}, {"default": 0.8, "state": TrialState.PRUNED}, {"default": 0.8, "metric": "auc"}],
)
def test_best_is_exported_where_the_values_cannot_be_compared(by_values, other: dict[str, Any]) -> None:
    assert by_values(0.81, **other) == (7, "")

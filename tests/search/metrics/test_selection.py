"""What the best of several trials is worth, and whether they differ by more than chance."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

from search.metrics.classification import Scores
from search.metrics.selection import (
    Lead,
    _draws,
    _values,
    chance_of_such_differences,
    corrected_accuracy,
    lead_over_default,
)

CLASSES = ("a", "b")


def trials_right(accuracy: float, trials: int, images: int, seed: int = 0) -> list[Scores]:
    """Trials of two classes that are right on each image by the same chance."""
    random = np.random.default_rng(seed)
    labels = np.arange(images) % 2
    found = []
    for _ in range(trials):
        predicted = np.where(random.random(images) < accuracy, labels, 1 - labels)
        found.append(Scores(labels, (4 * np.eye(2, dtype=np.float32)[predicted])))
    return found


def test_only_trial_is_worth_what_it_scores() -> None:
    trials = trials_right(0.8, 1, 400)
    assert corrected_accuracy(trials, "accuracy", CLASSES) == trials[0].accuracy


@pytest.mark.parametrize("metric", ["accuracy", "loss", "macro_f1"])
def test_luck_of_the_best_of_equal_trials_is_taken_off(metric: str) -> None:
    best, corrected = [], []
    for seed in range(4):
        trials = trials_right(0.8, 20, 100, seed)
        best.append(max(trial.accuracy for trial in trials))
        corrected.append(corrected_accuracy(trials, metric, CLASSES))
    assert np.mean(best) > 0.86
    assert np.mean(corrected) == pytest.approx(0.8, abs=0.02)


def test_trial_that_is_truly_better_keeps_what_it_scores() -> None:
    trials = [*trials_right(0.6, 10, 200), *trials_right(0.95, 1, 200, seed=1)]
    assert corrected_accuracy(trials, "accuracy", CLASSES) == pytest.approx(trials[-1].accuracy, abs=0.005)


def test_correction_is_the_same_every_time_and_by_groups_of_its_own() -> None:
    trials = trials_right(0.8, 5, 60)
    once = corrected_accuracy(trials, "accuracy", CLASSES, seed=3)
    assert once == corrected_accuracy(trials, "accuracy", CLASSES, seed=3)
    assert once == corrected_accuracy(trials, "accuracy", CLASSES, np.arange(100, 160).astype(str), seed=3)
    assert once != corrected_accuracy(trials, "accuracy", CLASSES, np.arange(60) // 6, seed=3)


def test_trials_that_are_right_about_the_same_images_do_not_differ() -> None:
    assert chance_of_such_differences(np.array([[True, False, True]] * 3)) == 1.0


def test_two_trials_are_compared_as_by_mcnemar() -> None:
    right = np.array([[True] * 12 + [False] * 2 + [True] * 86, [False] * 12 + [True] * 2 + [True] * 86])
    assert chance_of_such_differences(right) == pytest.approx(chi2.sf(10**2 / 14, 1))


def test_equal_trials_differ_by_chance_as_often_as_the_level_says() -> None:
    right = [
        np.stack([trial.predicted == trial.labels for trial in trials_right(0.8, 6, 150, seed)])
        for seed in range(200)
    ]
    assert np.mean([chance_of_such_differences(one) < 0.05 for one in right]) == pytest.approx(
        0.05, abs=0.035
    )


def lead_of_best(trials: list[Scores], metric: str = "accuracy", **more: Any) -> Lead:
    """That of the best trial over the first, which is the default."""
    best = max(range(len(trials)), key=lambda place: trials[place].accuracy)
    return lead_over_default(trials, best, 0, metric, CLASSES, **more)


def test_best_of_equal_trials_is_rarely_believed_to_lead_the_default() -> None:
    believed = [lead_of_best(trials_right(0.8, 20, 100, seed)).is_believed for seed in range(40)]
    assert sum(believed) <= 5


@pytest.mark.parametrize("metric", ["accuracy", "loss", "macro_f1", "recall:b"])
def test_trial_that_is_truly_better_is_believed_to_lead(metric: str) -> None:
    lead = lead_of_best([*trials_right(0.6, 10, 200), *trials_right(0.95, 1, 200, seed=1)], metric)
    assert lead.gap > 0.2
    assert lead.is_believed


def test_default_leads_itself_by_nothing() -> None:
    trials = trials_right(0.8, 5, 100)
    lead = lead_over_default(trials, 2, 2, "accuracy", CLASSES)
    assert (lead.gap, lead.chance) == (0, 1)


def test_lead_on_images_of_one_group_is_that_of_one_image() -> None:
    labels = np.zeros(100, np.int64)
    right = [np.arange(100) < 80, np.arange(100) < 90]
    trials = [Scores(labels, np.stack([one, ~one], axis=1).astype(np.float32)) for one in right]
    alone = lead_of_best(trials)
    together = lead_of_best(trials, together=np.arange(100) // 10)
    assert alone.gap == together.gap == pytest.approx(0.1)
    assert alone.chance < 0.05 < together.chance


def test_auc_of_draws_is_that_of_the_drawn_images_with_equal_probabilities_too() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), [12, 7, 1])  # Many draws lack the last class.
    trials = [Scores(labels, random.integers(0, 3, (20, 3)).astype(np.float32)) for _ in range(2)]
    times = np.concatenate([_draws(20, "auc", None, 0)[:20], np.eye(20, dtype=np.int64)[:1] * 20])
    drawn = [np.repeat(np.arange(20), each) for each in times]
    expected = [[Scores(labels[which], trial.logits[which]).auc for trial in trials] for which in drawn]
    found = _values(trials, times, "auc", ("a", "b", "c"))
    np.testing.assert_allclose(found[:-1], expected[:-1], rtol=1e-12)
    assert np.isnan(expected[-1]).all()
    assert (found[-1] == -np.inf).all()

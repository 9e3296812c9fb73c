"""What a summary says of folds, from made-up ones."""

from statistics import stdev
from types import SimpleNamespace
from typing import Any

import pytest

from search.exporting.assessment import validated_images
from search.exporting.fold_words import fold_figures, fold_sentence
from search.study.fold_results import at_kept_epoch


def trial(*values: float) -> Any:
    """A trial that finished folds of these values, the loss of each twice as large."""
    folds = [
        {
            "value": value,
            "kept_epoch": 2,
            "validation_images": 10,
            "history": {"val_accuracy": [0.0, value, 1.0], "val_loss": [0.0, 2 * value, 9.0]},
        }
        for value in values
    ]
    return SimpleNamespace(number=7, user_attrs={"folds": folds})


def test_figures_have_mean_and_standard_deviation() -> None:
    found = fold_figures(trial(0.5, 0.7, 0.9), 3)
    assert (found["folds"], found["fold_values"]) == (3, [0.5, 0.7, 0.9])
    assert found["fold_mean"] == pytest.approx(0.7)
    assert found["fold_standard_deviation"] == pytest.approx(0.2)
    assert found["validation_images"] == validated_images(trial(0.5, 0.7, 0.9)) == 30


def test_validation_figures_are_means_at_the_kept_epochs() -> None:
    found = [at_kept_epoch(trial(0.5, 0.7), name) for name in ("val_accuracy", "val_loss")]
    assert found == pytest.approx([0.6, 1.2])


def test_sentence_says_the_same() -> None:
    said = fold_sentence(trial(0.5, 0.7, 0.9), 3, "macro_f1")
    assert said.startswith("Folds: trial 7 has a validation macro f1 of 0.7000, the mean of 3 folds")
    assert f"(0.5000, 0.7000, 0.9000; standard deviation {stdev([0.5, 0.7, 0.9]):.4f})" in said


@pytest.mark.parametrize(
    ("values", "said"), [((0.5,), "the mean of 1 of 3 folds (50.0 %);"), ((), "none of its 3")]
)
def test_trial_that_was_pruned_says_how_many_folds_it_finished(values: tuple[float, ...], said: str) -> None:
    assert said in fold_sentence(trial(*values), 3, "accuracy")
    assert fold_figures(trial(*values), 3)["fold_standard_deviation"] is None

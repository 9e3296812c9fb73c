"""What an export says of its search's out-of-fold predictions, from made-up ones."""

from dataclasses import replace
from typing import Any

import numpy as np

from search.exporting.out_of_fold import OutOfFold
from search.metrics.classification import Scores

CLASSES = ("ants", "bees")


def predicted(*sure: float, trials: int = 5, chance: float = 0.4, names: tuple[str, ...] = ()) -> OutOfFold:
    """Ants, of which the logit of each is given; those with a negative one are taken for bees."""
    logits = np.array([[one, 0.0] for one in sure], np.float32)
    scores = Scores(np.zeros(len(sure), np.int64), logits)
    return OutOfFold(scores, None, 0.5, trials, chance, names)


def test_mistakes_are_named_the_surest_first() -> None:
    found = predicted(3, -1, 2, -4, names=("a", "b", "c", "d"))
    figures: dict[str, Any] = found.figures(CLASSES)
    assert [(one["image"], one["true"], one["predicted"]) for one in figures["mistakes"]] == [
        ("d", "ants", "bees"),
        ("b", "ants", "bees"),
    ]


def test_labels_are_doubted_only_by_folds_that_are_good_enough() -> None:
    poor = predicted(3, -1, 2, -4, names=("a", "b", "c", "d"))
    assert "None of their labels is doubted: only where" in poor.sentences(CLASSES)[-1]
    assert poor.figures(CLASSES)["labels_in_doubt"] == 0
    good = predicted(*[5] * 150, -4, -1)
    assert (
        "another class: 2 (out_of_fold.csv has them). Look at all of them, most surely 150 (ants, taken for bees), "
        "151 (ants, taken for bees): where" in good.sentences(CLASSES)[-1]
    )
    assert good.figures(CLASSES)["labels_in_doubt"] == 2


def test_headline_has_the_accuracy_and_only_labels_in_doubt() -> None:
    poor, good = predicted(3, -1, 2, -4), predicted(*[5] * 150, -4, -1)
    assert poor.headline(CLASSES) == poor.sentences(CLASSES)[:1]
    assert good.headline(CLASSES) == [good.sentences(CLASSES)[0], good.sentences(CLASSES)[-1]]


def test_images_without_names_are_told_by_number() -> None:
    assert predicted(3, -1).figures(CLASSES)["mistakes"][0]["image"] == "1"


def test_corrected_figure_stands_beside_what_it_corrects() -> None:
    (said, *_) = predicted(3, 1, 2, -4, chance=0.01).sentences(CLASSES)
    assert said.startswith("Out of fold: 50.0 % of 4 images are classified right (95 % interval")
    assert "the chosen trial has 75.0 %" in said
    assert "the best of 5 trials has by luck" in said


def test_search_whose_trials_differ_by_no_more_than_chance_decided_nothing() -> None:
    said = " ".join(predicted(3, 1).sentences(CLASSES))
    assert "This search decided nothing: its 5 complete trials differ by no more than chance" in said
    assert "p = 0.40" in said


def test_search_of_one_trial_has_neither_decided_nor_not() -> None:
    figures = [predicted(3, -1, trials=trials, chance=0.01).figures(CLASSES) for trials in (1, 5)]
    assert [one["decided"] for one in figures] == [None, True]


def test_search_that_decided_or_had_one_trial_is_not_called_undecided() -> None:
    for found in (predicted(3, 1, chance=0.01), predicted(3, 1, trials=1, chance=1.0)):
        assert "decided nothing" not in " ".join(found.sentences(CLASSES))


def test_default_has_what_it_scores_since_no_search_has_chosen_it() -> None:
    (said, *_) = replace(predicted(3, 1, 2, -4), corrected=0.75, chosen=False).sentences(CLASSES)
    assert said.startswith("Out of fold: 75.0 % of 4 images are classified right")
    assert "luck" not in said

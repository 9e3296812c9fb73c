"""The sentences of an export, from made-up scores."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from search.exporting.assessment import Calibration, assess_calibration, assess_fit
from search.exporting.backbone import backbone_sentence
from search.exporting.scoring_result import Mistakes, ScoringResult
from search.exporting.sentences import ledger_sentence, others_sentence, result_sentences
from search.metrics.classification import Scores

TRIAL: Any = SimpleNamespace(
    number=7,
    user_attrs={"history": {"accuracy": [0.4, 0.5], "val_accuracy": [0.45, 0.6]}, "kept_epoch": 2},
)
NOTHING = Mistakes(np.zeros(0, np.int64), np.zeros((0, 2, 2, 1), np.uint8))


def some(count: int, right: int) -> Scores:
    logits = np.tile(np.array([[2, 0]], np.float32), (count, 1))
    logits[right:] = [0, 2]
    return Scores(np.zeros(count, np.int64), logits)


def scored(unseen: Scores | None, temperature: float | None) -> ScoringResult:
    seen = some(100, 99) if unseen else None
    return ScoringResult(some(200, 150), some(50, 50), 300, seen, unseen, temperature, NOTHING)


def test_fit_is_of_weights_that_have_not_seen_the_validation_images() -> None:
    fit = assess_fit(TRIAL, scored(some(50, 40), None))

    assert (fit.training, fit.validation, fit.augmented, fit.plain) == (0.99, 0.8, 0.5, True)


def test_fit_without_such_weights_is_that_of_the_curves() -> None:
    fit = assess_fit(TRIAL, scored(None, None))

    assert (fit.training, fit.validation, fit.training_images, fit.plain) == (0.5, 0.6, 300, False)


def test_calibration_has_both_errors_and_the_temperature() -> None:
    found = assess_calibration(scored(some(50, 40), 1.5))

    assert (found.temperature, found.images, found.why_none) == (1.5, 50, "")
    assert found.before != found.after
    assert f"{100 * found.after:.1f} % at the temperature 1.500" in found.sentence


def test_temperature_that_makes_the_test_images_worse_is_said_to() -> None:
    better, worse = (Calibration(1.5, "", 50, *errors).sentence for errors in ((0.09, 0.08), (0.08, 0.09)))
    assert "worse" not in better
    assert (
        "at the temperature 1.500, fitted on 50 validation images (it makes these worse, and stays:" in worse
    )


def test_calibration_inside_the_file_is_applied_by_nobody_else() -> None:
    found = assess_calibration(replace(scored(some(50, 40), 1.5), baked=True))
    figures = found.figures()
    assert (figures["temperature"], figures["baked_temperature"]) == (1.0, 1.5)
    assert found.sentence.endswith("; it is in the exported files, whose outputs are divided by it.")
    unneeded = assess_calibration(replace(scored(some(50, 40), None), baked=True))
    assert "baked_temperature" not in unneeded.figures()


def test_calibration_without_a_temperature_says_why() -> None:
    unneeded, unkept = assess_calibration(scored(some(50, 40), None)), assess_calibration(scored(None, None))

    assert (unneeded.temperature, unneeded.before) == (1.0, unneeded.after)
    assert "50 validation images show no need of one" in unneeded.sentence
    assert "no weights of its kind that were not are kept" in unkept.sentence


def test_words_of_a_refit_name_the_trial_that_they_speak_of() -> None:
    made = scored(some(50, 40), 1.5)
    found = result_sentences(["a", "b"], made.test, assess_fit(TRIAL, made), assess_calibration(made), 7)

    assert found[0].startswith("Test: 75.0 % of 200 images are classified right (95 % interval 68.6 to 80.5")
    assert "lowest for b, 0.0000" in found[0]
    assert found[1].startswith("In the search, trial 7: ")
    assert found[2].endswith("Fitted on the outputs of trial 7.")


def test_words_name_a_class_without_an_image_as_left_out_and_never_as_the_weakest() -> None:
    test = Scores(np.array([0, 1]), np.eye(3, dtype=np.float32)[:2])
    made = scored(None, None)
    found = result_sentences(["a", "b", "c"], test, assess_fit(TRIAL, made), assess_calibration(made), None)

    assert "macro F1 1.0000 (without c: no test image is of it)." in found[0]


def test_words_of_a_refit_after_a_race_speak_of_the_race() -> None:
    made = scored(some(50, 40), 1.5)
    found = result_sentences(
        ["a", "b"], made.test, assess_fit(TRIAL, made), assess_calibration(made), 7, "race"
    )

    assert found[1].startswith("In the race, trial 7: ")


def test_ledger_counts_this_scoring_too() -> None:
    assert ledger_sentence(1) == "The test images of this study have been scored once (this one included)."
    assert ledger_sentence(4) == "The test images of this study have been scored 4 times (this one included)."


def test_scorings_by_other_studies_are_told_apart() -> None:
    assert others_sentence(1) == "One of these scorings was made by another study of the same images."
    assert others_sentence(3) == "3 of these scorings were made by other studies of the same images."


def test_sizes_of_one_backbone_are_compared_without_its_name() -> None:
    facts = {"name": "lite", "parameters": 9, "size": 160, "fine_tuned": None}
    sizes = {"lite at 160": 0.5, "lite at 224": 0.6}
    assert backbone_sentence({**facts, "chosen_by_logistic_regression": sizes}, 1).endswith(
        "(at 160: 50.0 %, at 224: 60.0 %)."
    )
    others = {"lite": 0.5, "small": 0.6}
    assert "(lite: 50.0 %, small: 60.0 %)" in backbone_sentence(
        {**facts, "chosen_by_logistic_regression": others}, 1
    )

"""What an export came to in sentences: for ``summary.json``, the screen, the model card and the report.

Those on a race are in ``race_words``, those on the folds of the exported trial in ``fold_words``.
"""

from collections.abc import Sequence

import numpy as np

from search.exporting.assessment import Calibration
from search.formatting import accuracy_words, flops, often
from search.metrics.classification import Scores
from search.metrics.generalization import Fit


def result_sentences(
    classes: Sequence[str],
    test: Scores,
    fit: Fit,
    calibration: Calibration,
    refit_of: int | None,
    where: str = "search",
    folds: int = 0,
) -> list[str]:
    """Test accuracy, over- or underfitting, and calibration.

    Args:
        classes: Names.
        test: Scores of the exported weights.
        fit: Of weights that have not seen the validation images.
        calibration: Of the exported weights.
        refit_of: Number of the trial that ``fit`` is of, where a refit is exported, else None.
        where: Where that trial was trained: in the ``search`` or in the ``race``.
        folds: Number of folds of that trial; 0 for none.
    """
    weakest = int(np.nanargmin(test.f1))
    # Where all classes have the same figure none is the lowest.
    differ = test.f1[weakest] < np.nanmax(test.f1)
    lowest = f", lowest for {classes[weakest]}, {test.f1[weakest]:.4f}" if differ else ""
    tested = (
        f"Test: {accuracy_words(test.accuracy, test.accuracy_interval, len(test.labels))}; macro F1 "
        f"{test.macro_f1:.4f}{lowest}{_without_figures(test, classes)}."
    )
    if refit_of is None:
        return [tested, fit.sentence, calibration.sentence]
    return [
        tested,
        f"In the {where}, trial {refit_of}{', mean over its folds' if folds else ''}: {fit.sentence}",
        f"{calibration.sentence}"
        + (f" Fitted on the outputs of trial {refit_of}." if not calibration.why_none else ""),
    ]


def _without_figures(test: Scores, classes: Sequence[str]) -> str:
    """Which classes macro F1 leaves out, since no test image is of them or was taken for one."""
    absent = [name for name, f1 in zip(classes, test.f1, strict=True) if np.isnan(f1)]
    if not absent:
        return ""
    named = f"{', '.join(absent[:5])}{', ...' if absent[5:] else ''}"
    return f" (without {named}: no test image is of {'it' if len(absent) == 1 else 'them'})"


def ledger_sentence(scorings: int) -> str:
    """How often the test images have been looked at: the more often, the less they are test images."""
    return f"The test images of this study have been scored {often(scorings)} (this one included)."


def others_sentence(scorings: int) -> str:
    """How many of the scorings were those of other studies."""
    if scorings == 1:
        return "One of these scorings was made by another study of the same images."
    return f"{scorings} of these scorings were made by other studies of the same images."


def without_sentence(without: Sequence[int]) -> str:
    """Which trials somebody has left out of the choice (``--without``)."""
    *most, last = map(str, without)
    named = f"trials {', '.join(most)} and {last} were" if most else f"trial {last} was"
    return f"By hand, {named} left out of the choice of the trial (--without)."


def final_sentence(planned: float, given: float) -> str:
    """That the final training is longer than a trial, or was given what the time had left.

    Args:
        planned: FLOPs that make the passes of a trial.
        given: FLOPs that it takes.
    """
    if given > planned:
        return (
            f"The final training takes {flops(given)}, {given / planned:.1f} times the passes of a trial: of few "
            "images, or with what a budget or a time has left, a longer one is better."
        )
    why = "--timeout left no time for more"
    return f"The final training takes {flops(given)}: {flops(planned)} were planned, and {why}."

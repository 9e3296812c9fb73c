"""``classification_report.txt`` and ``.json``: precision, recall and F1 a class, by scikit-learn."""

import json
from collections.abc import Sequence
from pathlib import Path

from search.evaluation.scores import Scores
from search.evaluation.words import ledger


def write_report(folder: Path, scores: Scores, classes: Sequence[str], times_test_scored: int) -> str:
    """Write both files into ``folder``.

    Args:
        folder: For both.
        scores: Of the test images.
        classes: Names.
        times_test_scored: This scoring included.

    Returns:
        The text, as a person reads it.
    """
    from sklearn.metrics import classification_report

    # All classes are named: one without a test image, or never predicted, keeps its (zero) line.
    settings = {"labels": list(range(len(classes))), "target_names": list(classes), "zero_division": 0}
    text = str(classification_report(scores.labels, scores.predicted, digits=4, **settings))
    text += f"\n{ledger(times_test_scored)}\n"
    values = classification_report(scores.labels, scores.predicted, output_dict=True, **settings)
    values["times_test_scored"] = times_test_scored
    (folder / "classification_report.txt").write_text(text, encoding="utf-8")
    (folder / "classification_report.json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    return text

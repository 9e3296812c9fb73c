"""``classification_report.txt`` and ``.json``: precision, recall and F1 a class, by scikit-learn."""

import json
from collections.abc import Sequence
from pathlib import Path

from search.evaluation.scores import Scores


def write_report(folder: Path, scores: Scores, classes: Sequence[str]) -> str:
    """Write both files into ``folder``.

    Returns:
        The text, as a person reads it.
    """
    from sklearn.metrics import classification_report

    # All classes are named: one without a test image, or never predicted, keeps its (zero) line.
    settings = {"labels": list(range(len(classes))), "target_names": list(classes), "zero_division": 0}
    text = str(classification_report(scores.labels, scores.predicted, digits=4, **settings))
    values = classification_report(scores.labels, scores.predicted, output_dict=True, **settings)
    (folder / "classification_report.txt").write_text(text, encoding="utf-8")
    (folder / "classification_report.json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    return text

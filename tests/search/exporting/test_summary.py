"""What an export's summary says of the validation images."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from search.exporting.summary import _scores
from search.metrics.classification import Scores

TRIAL: Any = SimpleNamespace(
    user_attrs={"history": {"val_accuracy": [1.0], "val_loss": [0.1]}, "kept_epoch": 1}, value=1.0
)


def scores(right: int, images: int) -> Scores:
    logits = np.zeros((images, 2), np.float32)
    logits[:right, 0] = logits[right:, 1] = 1
    return Scores(np.zeros(images, np.int64), logits)


@pytest.mark.parametrize(("raced", "accuracy"), [(True, 0.9), (False, 1.0)])
def test_validation_figures_of_a_refit_after_a_race_are_of_all_its_images(
    raced: bool, accuracy: float
) -> None:
    """The trial of a race has recorded those of one part of them, in its first round."""
    scored: Any = SimpleNamespace(
        test=scores(8, 10), validation=scores(10, 10), unseen=scores(9, 10), baked=False
    )
    config: Any = SimpleNamespace(folds=0, metric="accuracy", classes=("a", "b"))
    training: Any = SimpleNamespace(refit=True)
    race: Any = object() if raced else None
    found = _scores(config, TRIAL, training, scored, race)
    assert found["validation_accuracy"] == accuracy
    assert found.get("validation_macro_f1") == (pytest.approx(scored.unseen.macro_f1) if raced else None)
    assert found["test_accuracy"] == 0.8

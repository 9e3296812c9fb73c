"""What an export's summary says of the validation images."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from search.exporting.child_training import TrainingResult
from search.exporting.scoring_result import Mistakes, ScoringResult
from search.exporting.summary import _further_sentences, _scores, summarise
from search.metrics.classification import Scores

TRIAL: Any = SimpleNamespace(
    user_attrs={"history": {"val_accuracy": [1.0], "val_loss": [0.1]}, "kept_epoch": 1}, value=1.0
)


NOTHING = Mistakes(np.zeros(0, np.int64), np.zeros((0, 2, 2, 1), np.uint8))


def scores(right: int, images: int) -> Scores:
    logits = np.zeros((images, 2), np.float32)
    logits[:right, 0] = logits[right:, 1] = 1
    return Scores(np.zeros(images, np.int64), logits)


@pytest.mark.parametrize(("raced", "accuracy"), [(True, 0.9), (False, 1.0)])
def test_validation_figures_of_a_refit_after_a_race_are_of_all_its_images(
    raced: bool, accuracy: float
) -> None:
    """The trial of a race has recorded those of one part of them, in its first round."""
    scored = ScoringResult(scores(8, 10), scores(10, 10), 10, None, scores(9, 10), None, NOTHING)
    config: Any = SimpleNamespace(folds=0, metric="accuracy", classes=("a", "b"))
    training: Any = SimpleNamespace(refit=True)
    race: Any = object() if raced else None
    found = _scores(config, TRIAL, training, scored, race)
    assert found["validation_accuracy"] == accuracy
    assert found.get("validation_macro_f1") == (pytest.approx(scores(9, 10).macro_f1) if raced else None)
    assert found["test_accuracy"] == 0.8


@pytest.mark.parametrize("refit", [False, True])
def test_figures_of_a_file_with_the_temperature_inside_are_all_at_that_temperature(refit: bool) -> None:
    unseen = scores(9, 10)
    scored = ScoringResult(
        scores(8, 10), unseen, 10, scores(10, 10), unseen, 3.0, NOTHING, out_of_fold=None, baked=True
    )
    history = {"accuracy": [1.0], "val_accuracy": [0.9], "val_loss": [unseen.loss]}
    trial: Any = SimpleNamespace(
        number=7, user_attrs={"history": history, "kept_epoch": 1, "params": {}}, value=unseen.loss
    )
    config: Any = SimpleNamespace(
        study="s", space="cnn", fingerprint="f", folds=0, metric="loss", classes=("a", "b"), length=1
    )
    facts = {"flops": 1, "parameters": 1}
    training = TrainingResult(refit, 10, 1, 1, 1.0, {}, facts)
    loaded = SimpleNamespace(config=config, paths=SimpleNamespace(uid="0a1b2c3d"))
    request: Any = SimpleNamespace(loaded=loaded, trial=trial, race=None, without=())
    found = summarise(request, training, scored, 1)
    assert found["test_value"] == found["test_loss"] == replace(scored.test, temperature=3.0).loss
    assert found["validation_loss"] == replace(unseen, temperature=3.0).loss


def test_auc_without_a_value_is_not_said_to_lack_a_class() -> None:
    config: Any = SimpleNamespace(folds=0, metric="auc", classes=("a", "b"))
    scored = ScoringResult(scores(8, 10), scores(8, 10), 10, None, None, None, NOTHING)
    training: Any = SimpleNamespace(facts={})
    assert _further_sentences(config, TRIAL, training, scored, None, None) == [
        "By the metric that ranked the trials, auc: all test images are of one class."
    ]

"""The out-of-fold predictions of a study's trials."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from search.metrics.classification import Scores
from search.study import out_of_fold


def test_trials_that_are_left_out_of_the_choice_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = Scores(np.array([0, 1]), np.eye(2, dtype=np.float32))
    monkeypatch.setattr(out_of_fold, "read_out_of_fold", lambda *_: scores)
    trials = [SimpleNamespace(number=number, user_attrs={}) for number in (3, 1, 2)]
    study: Any = SimpleNamespace(ranked=lambda: trials)
    assert list(out_of_fold.read_all_out_of_fold(study, without=(1,))) == [3, 2]

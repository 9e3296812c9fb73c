"""The test ledger: every scoring of a study's test images is recorded on the study before it happens."""

import time
from collections.abc import Sequence
from typing import Any

import optuna

KEY = "test_ledger"


def record_scoring(study: optuna.Study, trial: int, why: str, without: Sequence[int] = ()) -> int:
    """Record that the test images are about to be scored.

    Args:
        study: The study that the test images belong to.
        trial: The number of the trial that is scored.
        why: The reason, such as ``export`` or ``refit``.
        without: Numbers of the trials that somebody left out of the choice.

    Returns:
        How many times this study has scored them, this time included.
    """
    entry: dict[str, Any] = {"trial": trial, "why": why, "time": time.time()}
    if without:
        entry["without"] = list(without)
    entries = [*study.user_attrs.get(KEY, []), entry]
    study.set_user_attr(KEY, entries)
    return len(entries)


def times_scored(study: optuna.Study) -> int:
    """How many times ``study`` has scored its test images."""
    return len(study.user_attrs.get(KEY, []))

"""The test ledger: every scoring of a study's test images is recorded on the study before it happens."""

import time

import optuna

KEY = "test_ledger"


def record_scoring(study: optuna.Study, trial: int, why: str) -> int:
    """Record that the test images are about to be scored.

    Args:
        study: The study that the test images belong to.
        trial: The number of the trial that is scored.
        why: The reason, such as ``export`` or ``refit``.

    Returns:
        How many times they have been scored, this time included.
    """
    entries = [*study.user_attrs.get(KEY, []), {"trial": trial, "why": why, "time": time.time()}]
    study.set_user_attr(KEY, entries)
    return len(entries)


def times_scored(study: optuna.Study) -> int:
    """How many times the test images of ``study`` have been scored."""
    return len(study.user_attrs.get(KEY, []))

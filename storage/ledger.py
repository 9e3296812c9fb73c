"""The test ledger: every scoring of a study's test images is counted, before it happens."""

import time

import optuna

KEY = "test_ledger"


def record_scoring(study: optuna.Study, trial: int, why: str) -> int:
    """Write down that the test images are about to be scored.

    Args:
        study: The study that the test images belong to.
        trial: Number of the trial that is scored.
        why: Such as ``export`` or ``refit``.

    Returns:
        How often they have been scored, this time included.
    """
    entries = [*study.user_attrs.get(KEY, []), {"trial": trial, "why": why, "time": time.time()}]
    study.set_user_attr(KEY, entries)
    return len(entries)


def times_scored(study: optuna.Study) -> int:
    """How often the test images of ``study`` have been scored."""
    return len(study.user_attrs.get(KEY, []))

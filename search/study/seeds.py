"""The seed of each trial."""

import optuna
from optuna.trial import FrozenTrial

from search.config.study_config import StudyConfig

FIRST_TRY = "first_try"


def seed_number(trial: FrozenTrial | optuna.Trial) -> int:
    """Trial number that determines the seed; a retried sweep cell reuses its first attempt's."""
    return int(trial.user_attrs.get(FIRST_TRY, trial.number))


def trial_seed(config: StudyConfig, number: int) -> int:
    """The seed of everything in trial ``number``."""
    return (config.seed * 1_000_003 + number * 7919) % 2**31

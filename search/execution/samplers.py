"""Which configuration comes next: Optuna's samplers by our names."""

import optuna

from search.config.study_config import StudyConfig
from search.study.seeds import trial_seed


def make_sampler(config: StudyConfig, number: int) -> optuna.samplers.BaseSampler:
    """The sampler that chooses the configuration of trial ``number``.

    Its seed is made of the study's seed and the number, so that workers never propose the same point twice: with one
    seed for all, four workers proposed 10 distinct points of 40 (measured).
    """
    seed = trial_seed(config, number)
    if config.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed)

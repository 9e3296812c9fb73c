"""What another study found: its best configurations, with which a search of the same space begins."""

import logging
from collections.abc import Sequence
from typing import Any

from optuna.trial import FixedTrial, FrozenTrial

from search.config.settings import RunOptions
from search.config.study_config import StudyConfig
from search.errors import InputError, TrialRefused
from search.formatting import count
from search.study.finding import load_study
from search.study.first_trials import check_trial
from search.study.length import violations
from search.study.proposal import propose
from spaces.contract import Space

logger = logging.getLogger(__name__)

# So many of another study's configurations are tried first.
BEST = 3


def ranked_elsewhere(options: RunOptions, space: str) -> list[FrozenTrial]:
    """The complete trials of the study of ``--from-study``, best first; none where none is asked for.

    Args:
        options: What is asked.
        space: The name of the space that is to be searched.

    Raises:
        InputError: There is no such study, it is of another space, or none of its trials is complete.
    """
    if options.from_study is None:
        return []
    asked = f"--from-study {options.from_study}"
    if options.from_study == options.study:
        raise InputError(f"{asked}: is this study itself; expected another one of the same space")
    try:
        found = load_study(options.from_study, options.storage, options.root)
    except InputError as error:
        raise InputError(str(error).replace("--study ", "--from-study ", 1)) from None
    if found.config.space != space:
        raise InputError(
            f"{asked}: searched space {found.config.space}, and this search's is {space}; expected a study of the same "
            "space"
        )
    ranked = found.ranked()
    if not ranked:
        raise InputError(f"{asked}: none of its trials is complete; run it first, or leave the flag out")
    return ranked


def best_that_fit(
    ranked: Sequence[FrozenTrial], options: RunOptions, space: Space, config: StudyConfig
) -> list[dict[str, Any]]:
    """The best three configurations of another study that this one can have: its images may be of another size.

    Args:
        ranked: The other study's complete trials, best first.
        options: What is asked.
        space: The space of both.
        config: This study's.

    Raises:
        InputError: It can have none of them.
    """
    source, fitting, unfit = f"--from-study {options.from_study}", [], []
    for trial in ranked:
        try:
            values = _fitting(trial, space, config)
        except InputError as error:
            unfit.append(str(error))
            continue
        if values not in fitting:
            fitting.append(values)
        if len(fitting) == BEST:
            break
    if ranked and not fitting:
        raise InputError(f"{source}: this search can have none of its configurations: {unfit[0]}")
    if unfit:
        logger.info(
            "%s: left out %s that this search cannot have: %s",
            source,
            count(len(unfit), "better configuration"),
            unfit[0],
        )
    return fitting


def _fitting(trial: FrozenTrial, space: Space, config: StudyConfig) -> dict[str, Any]:
    source = f"trial {trial.number}"
    values = check_trial(space, trial.params, config.input_spec, source)
    found = propose(space, FixedTrial(values), config.input_spec)
    if violated := violations(config, found.cost, found.recipe):
        raise InputError(f"{source}: {TrialRefused(violated)}")
    return values

"""The end of a run, its race and its final training: what it takes, and what there still is for it."""

import logging

from search.config.settings import RunOptions
from search.config.study_config import StudyConfig
from search.execution.kept_time import Pace
from search.exporting.entrants import Bounds
from search.formatting import duration
from search.study.ending import Ending, division, plan_ending
from search.study.request import refits
from search.study.study import LoadedStudy

logger = logging.getLogger(__name__)


def end_of_run(study: LoadedStudy, options: RunOptions) -> Ending:
    """What the end of a run takes, said on its first screen; nothing where trials count epochs."""
    config = study.config
    if not (config.length and options.export):
        return Ending()
    refit = config.folds > 0 or refits(options, by_compute=True)
    race = refit or options.confirm
    longer = _may_be_longer(options)
    end = plan_ending(config, options.budget, study.wanted, race=race, refit=refit, longer=longer)
    logger.info(division(config, end, study.wanted, options.budget, grows=_may_grow(options)))
    return end


def _may_be_longer(options: RunOptions) -> bool:
    """Whether a final training may be longer than a trial: a time is to be kept, and so is a length that is said."""
    return options.timeout is None and options.final is None


def _may_grow(options: RunOptions) -> bool:
    """Whether a run's final training is given what is left: a budget is there to be used."""
    return options.budget is not None and _may_be_longer(options)


def may_shrink(options: RunOptions, config: StudyConfig) -> bool:
    """Whether a final training for which there is too little time is made shorter: where nobody has said how long."""
    asked = options.final is not None or options.refit_epochs is not None
    return options.timeout is not None and not asked and not config.folds


def bounds_of_end(pace: Pace, end: Ending, options: RunOptions, config: StudyConfig) -> tuple[Bounds, str]:
    """What of a run's end there is still compute and time for.

    A final training that is shorter than planned still is on all training images: it is made where it takes at least
    the compute of a trial.

    Returns:
        The bounds of the race and the final training; and, where there is no time for that, this in a sentence.
    """
    a_flop = None if options.timeout is None else pace.seconds(1.0)
    if a_flop is None:
        return Bounds(whole=options.budget, grows=_may_grow(options), final=end.final or None), ""
    left, final, remark = pace.left() / a_flop, end.final, ""
    if final and final > left:
        if may_shrink(options, config) and left >= config.length:
            final = left
        else:
            remark = (
                "--timeout left no time for the final training, which would take about "
                f"{duration(final * a_flop)}: exported are the weights that scored in the search."
            )
    return Bounds(whole=options.budget, most=max(0.0, left - final), final=final or None), remark

"""The end of a run, its race and its final training: what it takes, and what there still is for it."""

import logging

from optuna.trial import TrialState

from search.config.settings import RunOptions
from search.config.study_config import StudyConfig
from search.execution.kept_time import Pace, Rates
from search.exporting.entrants import Bounds
from search.formatting import duration, rough_duration
from search.study.compute import compute_of
from search.study.ending import Ending, division, plan_ending
from search.study.final_length import longer_final, most_final, trial_compute
from search.study.fold_results import SPENT
from search.study.request import refits, time_of_all
from search.study.speed import EXPORT_SECONDS, LEAST_SEARCH, MARGIN, SLOWER_IN_FOLDS, training_speed
from search.study.study import LoadedStudy

logger = logging.getLogger(__name__)

# What comes before the first step of a search: a framework is imported, a child started, a net traced.
START_SECONDS = 15.0


def end_of_run(study: LoadedStudy, options: RunOptions) -> Ending:
    """What the end of a run takes, said on its first screen; nothing where trials count epochs."""
    config = study.config
    if not (config.length and options.export):
        return Ending()
    refit = refits(options, by_compute=True, folds=config.folds)
    race = refit or options.confirm
    longer = not _says_length(options) and (options.timeout is None or options.budget is not None)
    end = plan_ending(
        config,
        options.budget,
        study.wanted,
        race=race,
        refit=refit,
        longer=longer,
        epochs=options.refit_epochs,
        run_before=study.race,
    )
    most = end.final
    if _may_grow(options):
        most = most_final(config, end.final, longer=options.timeout is not None)
    logger.info(division(config, end, study.wanted, options.budget, most))
    return end


def warn_of_first_trial(study: LoadedStudy, options: RunOptions, taken: float) -> None:
    """Warn, before anything is trained, of a ``--timeout`` in which even the first trial can't finish.

    Args:
        study: The open study.
        options: Of the run.
        taken: Seconds since the start of the command.
    """
    time = time_of_all(options)
    seconds = None if time is None or taken > time else _first_trial(study)
    if time is None or seconds is None:
        return
    ends = taken + START_SECONDS + seconds
    if ends > time:
        logger.warning(
            f"--timeout {rough_duration(time)}: on this machine the first trial would end about {rough_duration(ends)} "
            f"after the start of the command, so that there would be nothing to export; allow at least "
            f"{rough_duration(ends + EXPORT_SECONDS)}"
        )


def _first_trial(study: LoadedStudy) -> float | None:
    """Seconds that the first trial still trains: by the pace of what was trained, else by what the cores can do.

    They are not known on a GPU, nor where trials count epochs, and None too where one has finished.
    """
    trials, trial = study.optuna.get_trials(deepcopy=False), trial_compute(study.config)
    if not trial or any(one.state == TrialState.COMPLETE for one in trials):
        return None
    if done := compute_of(trials):
        seconds = sum(float(one.user_attrs.get(SPENT, {}).get("training", 0.0)) for one in trials)
        begun = max((compute_of([one]) for one in trials if not one.state.is_finished()), default=0.0)
        return seconds / done * max(0.0, trial - begun)
    slower = SLOWER_IN_FOLDS if study.config.folds else 1.0
    return None if (speed := training_speed()) is None else slower * trial / speed


def _says_length(options: RunOptions) -> bool:
    """Whether somebody has said how long the final training is: then it is neither longer nor shorter."""
    return options.final is not None or options.refit_epochs is not None


def _may_grow(options: RunOptions) -> bool:
    """Whether a run's final training is given what is left: a budget and a time are there to be used.

    How much a time pays is known by the pace of the search, where that was here.
    """
    bounded = options.budget is not None if options.timeout is None else time_of_all(options) is not None
    return bounded and not _says_length(options)


def may_shrink(options: RunOptions, config: StudyConfig) -> bool:
    """Whether a final training for which there is too little time is made shorter."""
    return options.timeout is not None and not _says_length(options) and not config.folds


def final_in_time(end: Ending, options: RunOptions, config: StudyConfig, rates: Rates | None) -> float:
    """FLOPs of the final training: under ``--timeout`` that of few images is longer, by the pace so far.

    The rule is ``search.study.final_length``'s, with the whole that the time pays. What is longer costs neither a race
    that there is time for nor the search's least part of the time.

    Args:
        end: As it was planned.
        options: Of the run.
        config: The study's.
        rates: What a FLOP takes here; None where that is not known.
    """
    if not end.final or options.timeout is None or rates is None or not _may_grow(options):
        return end.final
    whole = (options.timeout - EXPORT_SECONDS) / rates.training
    whole = whole if options.budget is None else min(whole, options.budget)
    after = ((1 - LEAST_SEARCH) * options.timeout - EXPORT_SECONDS) / MARGIN
    trial = trial_compute(config) * rates.trial / rates.training
    return _beside_race(longer_final(config, whole, trial), after, end, config, rates)


def _beside_race(final: float, seconds: float, end: Ending, config: StudyConfig, rates: Rates) -> float:
    """FLOPs of a final training that was to be longer, as far as a race for which there is time keeps its own."""
    race = end.race * rates.trial
    free = seconds - race if config.final * rates.training + race <= seconds else seconds
    return max(float(config.final), min(final, free / rates.training))


def bounds_of_end(pace: Pace, end: Ending, options: RunOptions, config: StudyConfig) -> tuple[Bounds, str]:
    """What of a run's end there is still compute and time for.

    A final training that is shorter than planned still is on all training images: it is made where it takes at least
    the compute of a trial.

    Returns:
        The bounds of the race and the final training; and, where there is no time for that, this in a sentence.
    """
    rates = None if options.timeout is None else pace.rates()
    if rates is None:
        grows = options.timeout is None and _may_grow(options)
        return Bounds(whole=options.budget, grows=grows, final=end.final or None), ""
    left, final, remark = pace.left(), final_in_time(end, options, config, rates), ""
    if final > config.final and _may_grow(options):
        final = _beside_race(final, left, end, config, rates)
    if final and final * rates.training > left:
        if may_shrink(options, config) and left >= config.length * rates.training:
            final = left / rates.training
        else:
            remark = (
                "--timeout left no time for the final training, which would take about "
                f"{duration(final * rates.training)}: exported are the weights that scored in the search."
            )
    bounds = Bounds(
        whole=options.budget,
        most=max(0.0, left - final * rates.training) / rates.trial,
        grows=_may_grow(options),
        final=final or None,
        time_left=lambda: pace.left() / (MARGIN * rates.training),
    )
    return bounds, remark

"""A search and its export, from nothing or from where it was stopped."""

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from search.config.arguments import arguments_of
from search.config.option import options_of
from search.config.settings import ExportOptions, RunOptions
from search.engines.ordering import workers_elsewhere
from search.engines.started import Started, recorded
from search.execution.kept_time import Pace, keeping_time
from search.execution.stop_requests import Stop
from search.exporting.earlier import earlier_export
from search.exporting.export import Export
from search.formatting import duration
from search.process.fork_server import ForkServer
from search.study.compute import compute_spent
from search.study.ending import Ending
from search.study.flags import flags_of_run
from search.study.opening import open_study
from search.study.outcome import why_none_complete
from search.study.study import LoadedStudy
from search.web.study_page import feed_export
from search.workflows.checks import check_here
from search.workflows.export import make_export
from search.workflows.results import StudyResult
from search.workflows.run_end import bounds_of_end, end_of_run, final_in_time, may_shrink, warn_of_first_trial
from search.workflows.searching import feed, search, search_elsewhere
from search.workflows.sentences import (
    already_exported,
    going_on,
    has_all_trials,
    how_to_go_on,
    nothing_searched,
)

logger = logging.getLogger(__name__)


def search_and_export(options: RunOptions) -> StudyResult:
    """Search, prune and export: create the study or go on with it until it has ``trials`` finished trials.

    Beside what a command takes, ``data`` may be arrays ``(x_train, y_train, x_test, y_test)``, and ``try_first`` may
    hold dicts with a value for each sampled parameter.

    Returns:
        The study, its trials, the best one and its export.

    Raises:
        InputError: Something given is wrong; nothing has been written then.
        StudyStopped: Trials keep failing.
    """
    begun = time.monotonic()
    backend, slots, target = check_here(options)
    with ExitStack() as held:
        # It imports for seconds; meanwhile the images are found.
        server = held.enter_context(ForkServer(backend))
        study = open_study(options, backend, server=server)
        if study.final_said:
            options = options.also(final=f"{study.config.final}FLOP")
        there = partial(_export_there, study, options, target)
        if options.export and has_all_trials(study) and (found := there()):
            logger.info(nothing_searched(study))
            return StudyResult(study, "", False, found)
        end = end_of_run(study, options)
        warn_of_first_trial(study, options, time.monotonic() - begun)
        # First of all, for their start takes its time, too.
        started = None if has_all_trials(study) else workers_elsewhere(study, options)
        feed(study, server)
        if options.detach:
            said = nothing_searched(study) if started is None else going_on(study, started, options)
            return StudyResult(study, "", False, None, detached=said)
        stop = _bound(study, options, begun, end)
        pace = Pace(
            lambda: study.optuna.get_trials(deepcopy=False),
            options.timeout,
            begun + (options.timeout or 0.0),
        )
        final = partial(final_in_time, end, options, study.config)
        kept = partial(pace.kept, final, end.race, may_shrink(options, study.config))
        with keeping_time(stop, pace, kept if options.export else None):
            if started is not None:
                held.close()  # This host trains nothing until the end, which may be far.
                logger.info(going_on(study, started, options))
                search_elsewhere(study, started, stop)
            elif slots:
                with recorded(study.paths, len(slots)):
                    search(
                        study, server, slots, stop, gpu_memory=options.gpu_memory, trackers=options.trackers
                    )
        made = None
        none_complete = "" if stop.by_user else why_none_complete(study)
        if options.export and not stop.by_user and study.ranked():
            made = _export(study, options, pace, end, server if started is None else None, there)
    is_done = made is not None and not stop.by_user and has_all_trials(study)
    stopped = "" if is_done else _why_stopped(study, options, stop, started)
    study.storage.retrying.clear_deadline()
    return StudyResult(study, stopped, stop.by_user, made, none_complete)


def _export_there(study: LoadedStudy, options: RunOptions, target: Path) -> Export | None:
    """The export that these options ask for, where an earlier command, or another one meanwhile, has made it."""
    found = earlier_export(target, study, options)
    if found is not None:
        logger.info(already_exported(study, found))
        # That command may have been killed before the dashboard had it.
        feed_export(study, found.folder, found.summary, found.report)
    return found


def _bound(study: LoadedStudy, options: RunOptions, begun: float, end: Ending) -> Stop:
    """What ends the search: the time, counted from ``begun``, and its part of the budget."""
    taken = time.monotonic() - begun
    is_over = options.timeout is not None and taken > options.timeout
    return Stop(
        reason=f"the time is up (--timeout): to prepare the search took {duration(taken)}" if is_over else "",
        deadline=None if options.timeout is None else begun + options.timeout,
        budget=None if options.budget is None else options.budget - end.compute,
        spent=lambda: compute_spent(study),
    )


def _export(
    study: LoadedStudy,
    options: RunOptions,
    pace: Pace,
    end: Ending,
    server: ForkServer | None,
    there: Callable[[], Export | None],
) -> Export:
    """Export as the options of the run say, with what time and compute are left."""
    bounds, remark = bounds_of_end(pace, end, options, study.config)
    if must := options.refit or study.config.folds > 0:
        remark = ""  # The final training is made all the same.
    shared = {field.name for field, _ in options_of(ExportOptions)}
    wanted = {name: value for name, value in vars(options).items() if name in shared}
    wanted["refit"] = must or (end.final > 0 and not remark)
    if not wanted["refit"]:
        wanted["refit_epochs"] = None  # There is no time for them, which the remark says.
    asked = ExportOptions.given(**wanted, server=server, prepared=study.prepared)
    return make_export(asked, there, bounds, remark, study.command("run", *flags_of_run(options)))


def _why_stopped(study: LoadedStudy, options: RunOptions, stop: Stop, started: Started | None) -> str:
    """Why the search ended before its N trials, and what goes on with it, or goes on without this command."""
    if started is not None and stop.by_user and started.record.exists():
        return f"{stop.reason}: {going_on(study, started, options)}"
    return how_to_go_on(stop, study, options)


# As notebooks and scripts call it, with an argument for each option.
run_study = arguments_of("run_study", RunOptions, search_and_export)

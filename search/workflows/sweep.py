"""A sweep: every combination of given values, and what they come to."""

import logging
import time

from search.config.arguments import arguments_of
from search.config.settings import SweepOptions
from search.data.threads import cores
from search.engines.resources import make_slots
from search.engines.started import recorded
from search.errors import StudyStopped
from search.execution.stop_requests import Stop
from search.exporting.folder import SWEEP_FILES, check_target, default_folder
from search.process.choice import check_backend
from search.process.fork_server import ForkServer
from search.reporting.sweep_report import report_sweep
from search.study.opening import open_study
from search.study.sweep_cells import cells_wanted
from search.study.sweep_request import ask_for_sweep
from search.workflows.results import SweepResult
from search.workflows.searching import feed, search
from search.workflows.sentences import how_to_go_on

logger = logging.getLogger(__name__)


def sweep_and_report(options: SweepOptions) -> SweepResult:
    """Run every combination of the varied values, and report; run again, go on or add what is new.

    Returns:
        The study, and what its cells came to.

    Raises:
        InputError: Something given is wrong.
        StudyStopped: Trials keep failing; where some have finished, the report is written.
    """
    begun = time.monotonic()
    # First: of a search its own command is the mend, wherever its export lies.
    sweep, request = ask_for_sweep(options)
    target = check_target(options.out or default_folder(options.study), SWEEP_FILES)
    backend = check_backend(options.backend)
    slots = make_slots(options.workers, options.gpus, options.per_gpu, cores())
    opened = open_study(request, backend, sweep)
    stop = Stop(deadline=None if options.timeout is None else begun + options.timeout)
    if len(opened.finished()) < cells_wanted(opened.optuna.get_trials(deepcopy=False)):
        with ForkServer(backend) as server:
            feed(opened, server)
            with recorded(opened.paths, len(slots)):
                try:
                    search(
                        opened, server, slots, stop, gpu_memory=options.gpu_memory, trackers=options.trackers
                    )
                except StudyStopped:
                    if opened.finished():  # What these came to is told all the same.
                        logger.info("%s\nwritten to %s", report_sweep(opened, target)["sentence"], target)
                    raise
    summary = {} if stop.by_user else report_sweep(opened, target)
    stopped = how_to_go_on(stop, opened, options, "sweep")
    opened.storage.retrying.clear_deadline()
    return SweepResult(opened, stopped, stop.by_user, target, summary)


# As notebooks and scripts call it, with an argument for each option.
run_sweep = arguments_of("run_sweep", SweepOptions, sweep_and_report)

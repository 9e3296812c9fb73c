"""The search of an open study, shown as it goes: by workers of this command, or by those that an engine has started."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from search.engines.attending import attend, end
from search.engines.local import LocalWorkers
from search.engines.resources import ResourceSlot
from search.engines.started import Started, looking
from search.engines.worker import HURRY_SECONDS, run_worker
from search.errors import StudyStopped
from search.execution.stop_requests import Stop, catching_signals, ending_in_time
from search.process.fork_server import ForkServer
from search.progress.terminal import Progress
from search.study.built_cost import warn_of_cost
from search.study.class_balance import split_counts
from search.study.configurations import end_exhausted
from search.study.pace import too_short
from search.study.snapshot import Snapshot, take_snapshot
from search.study.study import LoadedStudy
from search.tracking.listener import prepare_trackers
from search.web.study_page import feed_study
from search.workflows.sentences import has_all_trials, warn_of_other_target
from storage.process_identity import worker_name

logger = logging.getLogger(__name__)


def feed(study: LoadedStudy, server: ForkServer) -> None:
    """Give the dashboard what it shows of a study, see ``search.web.study_page``.

    Raises:
        StudyStopped: Somebody has deleted the study since it was opened.
    """
    try:
        feed_study(study, server)
    except KeyError:
        study.check_there()
        raise


def search_elsewhere(study: LoadedStudy, started: Started, stop: Stop) -> None:
    """Show a study that the workers of an engine search, until they have ended or this process is to stop looking.

    A signal ends the looking alone: the workers go on. The time or the budget ends the workers.

    Raises:
        StudyStopped: All workers have ended, and the study has not its trials.
        InputError: They cannot be ended from here.
    """
    wanted, look = study.wanted, looking(study.paths)
    images = sum(split_counts(study.config, study.dataset())["training"])

    def look_now() -> Snapshot:
        found = take_snapshot(study, images, ends_in=stop.seconds_left, budget=stop.budget)
        return replace(found, started=look())

    stop.on_hurry = lambda: study.storage.retrying.set_deadline(HURRY_SECONDS)
    with ending_in_time(stop), catching_signals(stop), Progress(look_now, log=study.paths.folder / "logs"):
        workers = attend(study, started, stop)
        if stop.requested and not stop.by_user:
            try:
                end(started, lambda: stop.by_user)
            except StudyStopped as late:  # What follows the search need not wait for it.
                logger.warning(late)
    if stop.by_user:
        return
    stopped_elsewhere = not stop.reason and not started.record.exists()
    if not stop.reason:
        started.forget()  # All have ended.
    _end(study, wanted, stop)
    if stop.reason or has_all_trials(study):
        return
    if stopped_elsewhere:
        stop.reason = "stopped by search.stop"
        return
    last = next((one for one in workers if one.detail), workers[0])
    raise StudyStopped(
        f"all workers of {started} have ended, with {len(study.finished())} of {study.wanted} trials finished; "
        f"{last.name} said last: {last.detail or 'nothing'}; see {last.log}; go on with: {study.command('run')}"
    )


def search(
    study: LoadedStudy,
    server: ForkServer,
    slots: Sequence[ResourceSlot],
    stop: Stop,
    *,
    gpu_memory: float | None = None,
    checkpoint_seconds: float = 30.0,
    trackers: Sequence[str] = (),
) -> None:
    """Work on an open study, shown as it goes: one worker in this process, several in processes of their own.

    Raises:
        StudyStopped: It cannot usefully go on.
        InputError: This host may not work on it.
    """
    wanted = study.wanted
    images = sum(split_counts(study.config, study.dataset())["training"])
    warned: list[str] = []

    def look_now() -> Snapshot:
        left = stop.seconds_left
        found = take_snapshot(study, images, ends_in=left, budget=stop.budget)
        if found.trial_seconds is not None and left is not None and not warned:
            finished = found.count("finished") + found.count("pruned")
            warned.append(too_short(study.config, found.trial_seconds, left, len(slots), finished))
            if warned[0]:
                logger.warning(warned[0])
        return found

    settings: dict[str, Any] = {
        "gpu_memory": gpu_memory,
        "checkpoint_seconds": checkpoint_seconds,
        "trackers": trackers,
    }
    prepare_trackers(trackers, study)
    if len(slots) == 1:
        with ending_in_time(stop), Progress(look_now, log=study.paths.worker_log(worker_name())):
            run_worker(study, server, stop, slots[0], **settings)
        _end(study, wanted, stop)
        return
    workers = LocalWorkers(study, server, slots, **settings)
    stop.on_hurry = lambda: study.storage.retrying.set_deadline(HURRY_SECONDS)
    with ending_in_time(stop), catching_signals(stop), Progress(look_now, log=study.paths.folder / "logs"):
        workers.run(stop)
    stop.check_budget()  # They have ended by it; say so.
    _end(study, wanted, stop)


def _end(study: LoadedStudy, wanted: int, stop: Stop) -> None:
    """Say why a search has not the trials that it was to have, for another reason than ``stop``'s, and what to mend."""
    warn_of_other_target(study, wanted, stop)
    if not stop.by_user:  # What workers in other processes found: this one has not read it on a screen yet.
        for trial in study.optuna.get_trials(deepcopy=False):
            warn_of_cost(study.config.space, trial.number, trial.user_attrs)
    if not stop.reason and (why := end_exhausted(study)):
        logger.info(why)

"""How far a study is and what goes on with it, in the words of the commands that train."""

import logging

from search.config.option import Options
from search.engines.started import Started
from search.execution.stop_requests import Stop
from search.exporting.export import Export
from search.formatting import count
from search.study.configurations import has_tried_all
from search.study.flags import flags_of_export, flags_of_run
from search.study.study import LoadedStudy
from storage.errors import DatabaseGone, DatabaseRemoved

logger = logging.getLogger(__name__)


def has_all_trials(study: LoadedStudy) -> bool:
    """Whether a study has its N finished trials."""
    return len(study.finished()) >= study.wanted


def already_exported(study: LoadedStudy, export: Export) -> str:
    """That an export is there, so that none is made, in words; and what makes it again."""
    return (
        f"trial {export.summary['trial']} of study {study.config.study} is exported already: the test images were not "
        f"scored again; export again with {study.command('export', '--out', str(export.folder))}"
    )


def nothing_searched(study: LoadedStudy) -> str:
    """That there is nothing to search, in words, and what searches on, where anything does."""
    if has_tried_all(study):
        return f"study {study.config.study} has tried all configurations of its space: nothing was searched"
    finished = len(study.finished())
    return (
        f"study {study.config.study} has its {count(finished, 'trial')}: nothing was searched; search on with "
        f"{study.command('run', '--trials', str(finished + study.some_more))}"
    )


def going_on(study: LoadedStudy, started: Started, options: Options) -> str:
    """That workers go on without this process, and how to see, attach to and stop them."""
    attach = study.command("run", *flags_of_export(options))
    return (
        f"{started} works on study {study.config.study} with {count(started.workers, 'worker')}; look with: "
        f"{study.command('status')}; attach, and export in the end, with: {attach}; stop with: {study.command('stop')}"
    )


def warn_of_other_target(study: LoadedStudy, wanted: int, stop: Stop) -> None:
    """Warn that another command has changed how many trials the study shall have while this one worked on it.

    Args:
        study: The open study.
        wanted: How many it was to have when this process began.
        stop: By which it ended; after a signal the database is asked nothing more.
    """
    if not stop.by_user and (now := study.wanted) != wanted:
        logger.warning(
            f"study {study.config.study} was to have {wanted} trials when this command began to work on it, and is to "
            f"have {now} now: another command has asked for that"
        )


def how_to_go_on(stop: Stop, study: LoadedStudy, options: Options, command: str = "run") -> str:
    """Why a study ended before it was done, how far it is, and what goes on with it; empty where it is done.

    Args:
        stop: By which it ended.
        study: The open study.
        options: Of the command, of which the next says again what the study does not store.
        command: Its name.
    """
    if not stop.reason:
        return ""
    try:
        far = f"{len(study.finished())} of {study.wanted} trials finished, nothing is lost"
    except DatabaseRemoved:
        raise
    except DatabaseGone:
        far = "nothing is lost, but the database does not answer"
    # With the same budget again nothing would be done.
    how = "go on with a larger --budget, or without one" if stop.by_budget else "go on with"
    words = flags_of_run(options, budget=not stop.by_budget)
    return f"{stop.reason}: {far}; {how}: {study.command(command, *words)}"

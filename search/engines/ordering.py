"""Which workers a search has beside its own process: those at work already, or new ones, if it asks for them."""

import sys

from search.config.engine_word import LOCAL, parse_engine
from search.config.option import flag_of
from search.config.settings import RunOptions
from search.engines.base import Order, worker_flags
from search.engines.started import Started, at_work, make_engine, new_record, start
from search.errors import InputError
from search.process.module_path import module_path
from search.study.study import LoadedStudy
from storage.url import ENVIRONMENT, storage_url


def asks_for_engine(options: RunOptions) -> bool:
    """Whether a search asks for workers that need its own process no more."""
    return options.detach or options.engine_word.name != LOCAL


def check_engine(options: RunOptions) -> None:
    """Refuse an engine that could not start the workers of a search here, before anything is written.

    Raises:
        InputError: It could not.
    """
    url = storage_url(options.storage, options.root)
    make_engine(options.engine_word).check(url, options.workers, options.gpus, options.per_gpu)


def workers_elsewhere(study: LoadedStudy, options: RunOptions) -> Started | None:
    """The workers beside this process: those that are at work already, else new ones, if the options ask for them.

    Returns:
        They; None where this process is to run workers of its own.

    Raises:
        InputError: The options ask for others than are at work, or the engine cannot start them.
    """
    if not asks_for_engine(options):
        there = at_work(study.paths)
        if there is not None:
            _check_same(study, there, options)
        return there

    def once() -> Started:
        there = at_work(study.paths)
        if there is None:
            return start(options.engine or LOCAL, _order(study, options))
        _check_same(study, there, options)
        return there

    return study.storage.exclusively("engines", once)


def _order(study: LoadedStudy, options: RunOptions) -> Order:
    command = [sys.executable, "-P", "-m", "search.worker", "--patient", "--study", study.config.study]
    command += [
        "--studies",
        str(study.paths.root),
        *worker_flags(options, ("backend", "cache", "gpu_memory")),
    ]
    # By their whole paths: other terminals, in other folders, read them.
    logs = study.paths.folder.absolute() / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    return Order(
        study.config.study,
        options.workers,
        command,
        {ENVIRONMENT: study.url, "PYTHONPATH": module_path()},
        logs,
        new_record(study.paths).absolute(),
        options.walltime,
        options.gpus,
        options.per_gpu,
    )


def _check_same(study: LoadedStudy, there: Started, options: RunOptions) -> None:
    """Refuse to ask for other workers than are at work.

    Raises:
        InputError: They are asked for.
    """
    for name in ("engine", "workers", "walltime"):
        asked, made_with = getattr(options, name), getattr(there, name)
        if name not in options.requested or asked == made_with:
            continue
        if name == "engine" and asked == parse_engine("--engine", made_with).name:
            continue  # Its options need not be said again.
        raise InputError(
            f"{flag_of(options, name)} {asked}: {there} works on study {study.config.study} already, with "
            f"{there.engine} and {there.workers} workers; leave the flag out to attach to it, or end it with: "
            f"{study.command('stop')}"
        )

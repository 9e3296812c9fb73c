"""Studies are made in the database, and found there again."""

import os
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna

from search.config.request_settings import check_study_name
from search.config.study_config import StudyConfig
from search.errors import InputError, StudyPreparing, flag_error, is_disk_full
from search.study.preparing import preparation_words
from search.study.study import CONFIG, DATASET, UID, WANTED, LoadedStudy, check_rights
from storage.connect import open_storage
from storage.database import Database
from storage.paths import StudyPaths
from storage.queries import StudySummary, read_study_summary
from storage.timeouts import Timeouts
from storage.url import ENVIRONMENT, default_url, is_sqlite, parse, passwords_of, sqlite_file, storage_url

# Held while a study is made, or its first trials are queued.
STUDIES_LOCK = "studies"


def find_study(
    study: str, storage: str | None, root: Path, timeouts: Timeouts | None = None, *, patient: bool = False
) -> LoadedStudy | None:
    """Open the study of this name; None where the database has none. Nothing is created.

    Args:
        study: Its name.
        storage: The database's URL; by default the environment's, or SQLite under ``root``.
        root: The folder of all studies.
        timeouts: How long to wait for what; by default as the study was made with.
        patient: Whether to wait for a database that is away.

    Raises:
        InputError: The database cannot be opened, or the study in it is not one of ours.
    """
    check_study_name(study)
    url = storage_url(storage, root)
    try:
        if url == default_url(root) and not root.is_dir():
            return None
        if not patient:
            there = read_study_summary(url, study)
            if there is None:
                return None
            _check_ours(there)
        # A file is there or not, however patient one is; opening one that is gone would make an empty one.
        elif is_sqlite(parse(url)) and not sqlite_file(parse(url)).exists():
            return None
        opened = open_storage(url, timeouts, patient=patient)
    except ValueError as error:
        raise storage_error(error, storage) from None
    except OSError as error:
        raise InputError(str(error)) from None
    try:
        found = optuna.load_study(study_name=study, storage=opened)
    except KeyError:
        return None
    text = found.user_attrs.get(CONFIG)
    if text is None:  # It may be in the making.
        text = opened.exclusively(STUDIES_LOCK, lambda: found.user_attrs.get(CONFIG))
    if text is None:
        return None  # Its creator died half way: it is made again.
    config = StudyConfig.from_json(text)
    if timeouts is None:
        opened.use_timeouts(Timeouts(grace=config.grace))
    return LoadedStudy(found, config, StudyPaths(root, study, str(found.user_attrs.get(UID, ""))), url)


def load_study(
    study: str, storage: str | None, root: Path, timeouts: Timeouts | None = None, *, patient: bool = False
) -> LoadedStudy:
    """Open the study of this name; see ``find_study``.

    Raises:
        StudyPreparing: It is still being made.
        InputError: There is none, or the database cannot be opened.
    """
    found = find_study(study, storage, root, timeouts, patient=patient)
    if found is None:
        if words := preparation_words(study, storage, root):
            raise StudyPreparing(words)
        here = root if storage_url(storage, root) == default_url(root) else "the database given"
        raise InputError(
            f"--study {study}: no such study in {here}; "
            "expected one that search.run has begun (--studies or --storage say where)"
        )
    return found


def storage_error(error: ValueError, storage: str | None) -> InputError:
    """An error about a database's URL, by the name of what the URL came from: the flag, or the environment's variable.

    Args:
        error: Of the package ``storage``.
        storage: The URL that was asked for; None where it came from the environment, or is the default.
    """
    if storage is None and os.environ.get(ENVIRONMENT) and str(error).startswith("storage"):
        return InputError(f"{ENVIRONMENT}{str(error).removeprefix('storage')}")
    return flag_error(error)


def create_study(
    config: StudyConfig,
    dataset_folder: Path,
    storage: str | None,
    root: Path,
    *,
    trials: int = 0,
    about: dict[str, Any] | None = None,
    begin: Callable[[optuna.Study], None] = lambda study: None,
    timeouts: Timeouts | None = None,
) -> LoadedStudy | None:
    """Store a new study, under a lock, for several processes may begin at once.

    Args:
        config: What defines it.
        dataset_folder: Folder of its prepared images.
        storage: The database's URL; by default the environment's, or SQLite under ``root``.
        root: The folder of all studies.
        trials: How many finished trials it shall have.
        about: Further attributes to store on it.
        begin: Queues its first trials.
        timeouts: How long to wait for what.

    Returns:
        The study; None where another process has made one of this name meanwhile.

    Raises:
        InputError: The database cannot be opened, or not be written to.
    """
    url = storage_url(storage, root)
    if url == default_url(root):
        _make_folder(root)
    try:
        opened = open_storage(url, timeouts or Timeouts(grace=config.grace))
    except ValueError as error:
        raise storage_error(error, storage) from None

    check_rights(opened)
    uid = uuid.uuid4().hex[:8]
    # By the first it is known as ours.
    facts = {DATASET: str(dataset_folder), WANTED: trials, UID: uid, **(about or {})}
    with quiet():
        made = opened.exclusively(STUDIES_LOCK, lambda: _store(opened, config, facts, begin))
    if made is None:
        return None
    study = LoadedStudy(made, config, StudyPaths(root, config.study, uid), url)
    study.leave_marker()
    return study


def _make_folder(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if is_disk_full(error):
            raise
        raise InputError(
            f"--studies {root}: cannot be made ({error.strerror}); give a folder that can be written"
        ) from None


def _store(
    database: Database, config: StudyConfig, facts: Mapping[str, Any], begin: Callable[[optuna.Study], None]
) -> optuna.Study | None:
    """Store a study with what is known of it, and queue its first trials; None where there is one of this name."""
    made = optuna.create_study(
        study_name=config.study, storage=database, direction=config.direction, load_if_exists=True
    )
    if CONFIG in made.user_attrs:
        return None
    if [direction.name.lower() for direction in made.directions] != [config.direction]:
        raise InputError(
            f"--study {config.study}: the database has an empty study of this name; choose another"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        made.set_metric_names([f"validation {config.metric}"])
    for name, value in facts.items():
        made.set_user_attr(name, value)
    begin(made)
    made.set_user_attr(CONFIG, config.to_json())  # Last: with it the study is whole.
    return made


def _check_ours(there: StudySummary) -> None:
    """Refuse a study that somebody else made with Optuna; one without anything may be ours, in the making.

    Raises:
        InputError: It is.
    """
    if len(there.directions) > 1:
        raise InputError(
            f"--study {there.name}: the database has a study of this name that ranks its trials by "
            f"{len(there.directions)} values, which search.run did not make; choose another name"
        )
    if not {CONFIG, DATASET} & there.attributes.keys() and (there.attributes or there.counts):
        raise InputError(
            f"--study {there.name}: the database has a study of this name that search.run did not make; "
            "choose another name"
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what Optuna announces within the block, for our commands say what there is to know."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def warn_of_password(storage: str | None) -> str:
    """A warning if a password stands on the command line; else empty."""
    try:
        open_to_all = storage is not None and bool(passwords_of(parse(storage)))
    except ValueError:
        open_to_all = False
    return (
        "the password in --storage can be read by every user of this host (ps); put it into PGPASSFILE, or "
        "the whole URL into the environment's SEARCH_STORAGE"
        if open_to_all
        else ""
    )

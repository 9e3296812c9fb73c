"""A study as it lies in the database: created, found again, and read."""

import dataclasses
import logging
import shlex
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.config.settings import check_study_name
from search.config.study_config import StudyConfig
from search.data import cache_root, open_dataset
from search.errors import InputError, StudyPreparing, StudyStopped, flag_error, is_disk_full
from search.study.fold_results import tie_break
from search.study.preparing import preparation_words
from storage.artifacts import Store, open_artifacts
from storage.claims import is_counted
from storage.connect import grants, open_storage
from storage.database import Database
from storage.deletion import leave_marker
from storage.liveness import HEARTBEAT
from storage.paths import StudyPaths
from storage.queries import StudySummary, missing_rights, read_study_summary
from storage.timeouts import Timeouts
from storage.url import (
    default_url,
    identity,
    is_sqlite,
    parse,
    passwords_of,
    redacted,
    sqlite_file,
    storage_url,
)

if TYPE_CHECKING:
    from search.data import Dataset

logger = logging.getLogger(__name__)


Study = optuna.Study
CONFIG, DATASET, WANTED, UID = "config", "dataset", "trials", "uid"


KEPT_MODELS = 3
MODEL, KEPT = "model_artifact", "kept_models"
# What trainings after the search have taken, FLOPs, by what they were: of races, and final ones.
AFTER_SEARCH = "compute_after_search"
# What the final training takes, where that is not what was planned with the study.
FINAL = "final_compute"
# What a race takes that was begun.
RACE = "race_compute"


@dataclass(frozen=True)
class LoadedStudy:
    """An open study.

    Attributes:
        optuna: Optuna's study, with its storage open.
        config: What defines the study.
        paths: Where its files lie.
        url: URL of the database, with the password if it was given one.
        prepared: Folder of its images on this host, once they have been found.
    """

    optuna: optuna.Study
    config: StudyConfig
    paths: StudyPaths
    url: str = field(repr=False)
    prepared: Path | None = None

    @property
    def storage(self) -> Database:
        """The open database."""
        database = self.optuna._storage
        if not isinstance(database, Database):  # Every way to open one makes it so.
            raise TypeError(f"expected a Database, got {type(database).__name__}")
        return database

    @property
    def wanted(self) -> int:
        """How many finished trials it shall have; a later run may ask for more."""
        return int(self.optuna.user_attrs.get(WANTED, 0))

    def want(self, trials: int) -> None:
        """Store how many finished trials it shall have."""
        self.optuna.set_user_attr(WANTED, trials)

    @property
    def final(self) -> float:
        """FLOPs of its final training: as planned, or what a run had left for it; 0 where trials count epochs."""
        return float(self.optuna.user_attrs.get(FINAL, self.config.final))

    @property
    def race(self) -> float:
        """FLOPs of the largest race that was begun; 0 where none was."""
        return float(self.optuna.user_attrs.get(RACE, 0.0))

    def begin_race(self, flops: float) -> None:
        """Store what a race takes: its trainings are there, and a later export runs it again for nothing."""
        if flops > self.race:
            self.optuna.set_user_attr(RACE, flops)

    def plan_final(self, flops: float) -> None:
        """Store what the final training takes."""
        if flops != self.final:
            self.optuna.set_user_attr(FINAL, flops)

    @cached_property
    def view(self) -> Study:
        """The study for reading by a screen: calls are not retried, so that a screen shows trouble at once."""
        return Study(self.config.study, self.storage.unretried)

    @cached_property
    def artifacts(self) -> Store | None:
        """Where hosts that share no disk leave files for each other; None where no such place is needed."""
        return None if self.config.artifacts is None else open_artifacts(self.config.artifacts)

    @cached_property
    def pictures(self) -> Store:
        """The store of what the dashboard shows: that of the other artifacts, or a folder of the study's own."""
        if self.artifacts is not None:
            return self.artifacts
        self.paths.pictures.mkdir(parents=True, exist_ok=True)
        return open_artifacts(str(self.paths.pictures))

    @property
    def study_id(self) -> int:
        """Optuna's key of the study."""
        return self.optuna._study_id

    def command(self, name: str, *more: str) -> str:
        """A command of ours on this study, quoted for a shell, such as ``python -m search.run --study s``.

        Args:
            name: Of the command: ``run``, ``export``.
            more: Further words of its command line.
        """
        words = ["python", "-m", f"search.{name}", "--study", self.config.study, *more]
        if self.url != default_url(self.paths.root):
            words += ["--storage", redacted(parse(self.url))]
        if self.paths.root != Path("studies"):
            words += ["--studies", str(self.paths.root)]
        return shlex.join(words)

    def leave_marker(self) -> None:
        """Say in the study's folder on this host which database it is in, before files of it are left there."""
        leave_marker(self.paths, identity(self.url, self.paths.root))

    def still_there(self) -> bool:
        """Whether nobody has deleted the study.

        Its key in the database is not enough: in SQLite it may by now be another study's.
        """
        try:
            attributes = self.storage.get_study_user_attrs(self.study_id)
        except KeyError:
            return False
        return str(attributes.get(UID, "")) == self.paths.uid

    def check_there(self, so: str = "") -> None:
        """Refuse to go on where somebody has deleted the study.

        Args:
            so: What follows from that, for the message.

        Raises:
            StudyStopped: It is not there any more.
        """
        if not self.still_there():
            gone = f"study {self.config.study} is not in the database any more: somebody has deleted it"
            raise StudyStopped("; ".join(filter(None, (gone, so)))) from None

    def check_rights(self, *more: str) -> None:
        """Refuse to go on where the database lets this process only read, or do only some of what a study needs.

        Args:
            more: Rights in Postgres that are needed beside those of a worker, such as ``DELETE``.

        Raises:
            InputError: A right is missing; the message names it, the tables, and what grants it.
        """
        _check_rights(self.storage, *more)

    def dataset(self) -> "Dataset":
        """Open the prepared images that the study is bound to.

        Raises:
            InputError: They are not in the cache any more.
        """
        if self.prepared is not None:  # Without the database, which may be away.
            return self._opened(self.prepared)
        places = [
            Path(self.optuna.user_attrs.get(DATASET, "")),
            cache_root() / self.config.fingerprint,
        ]
        for place in places:
            if place.name == self.config.fingerprint and place.is_dir():
                return self._opened(place)
        how = f"prepare them again: {self.command('run', '--data', self.config.data)}"
        if self.config.data == "arrays":
            how = "pass the same arrays to run_study again"
        raise InputError(
            f"the prepared images of study {self.config.study!r} are not in {places[-1].parent}; {how}"
        )

    def _opened(self, place: Path) -> "Dataset":
        """The images in a folder, which may come from several sources, as this study's source has them."""
        return dataclasses.replace(open_dataset(place), source=self.config.data)

    def finished(self) -> list[FrozenTrial]:
        """The trials that count towards N."""
        return [trial for trial in self.optuna.get_trials(deepcopy=False) if is_counted(trial)]

    def ranked(self) -> list[FrozenTrial]:
        """The complete trials, best first; those of the same value by their cross-entropy."""
        complete = self.optuna.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        sign = 1 if self.config.direction == "minimize" else -1
        return sorted(
            complete,
            key=lambda trial: (sign * float(trial.value or 0.0), tie_break(trial.user_attrs), trial.number),
        )


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
        raise flag_error(error) from None
    except OSError as error:
        raise InputError(str(error)) from None
    try:
        found = optuna.load_study(study_name=study, storage=opened)
    except KeyError:
        return None
    text = found.user_attrs.get(CONFIG)
    if text is None:  # It may be in the making.
        text = opened.exclusively("studies", lambda: found.user_attrs.get(CONFIG))
    if text is None:
        return None  # Its creator died half way: it is made again.
    config = StudyConfig.from_json(text)
    if timeouts is None:
        opened.use_timeouts(Timeouts(grace=config.grace))
    return LoadedStudy(found, config, StudyPaths(root, study, str(found.user_attrs.get(UID, ""))), url)


def _check_rights(database: Database, *more: str) -> None:
    missing = missing_rights(database, "SELECT", "INSERT", "UPDATE", *more)
    if missing:
        words = "; ".join(
            f"{right} on {tables[0]}{f' and {len(tables) - 1} more' if tables[1:] else ''}"
            for right, tables in missing.items()
        )
        raise InputError(
            f"--storage {redacted(database.url)}: role {database.url.username} may not do what is needed; missing: "
            f"{words}; its owner can grant it: {grants(database.url)}"
        )


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
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if is_disk_full(error):
                raise
            raise InputError(
                f"--studies {root}: cannot be made ({error.strerror}); give a folder that can be written"
            ) from None
    try:
        opened = open_storage(url, timeouts or Timeouts(grace=config.grace))
    except ValueError as error:
        raise flag_error(error) from None

    _check_rights(opened)
    uid = uuid.uuid4().hex[:8]

    def create() -> optuna.Study | None:
        made = optuna.create_study(
            study_name=config.study, storage=opened, direction=config.direction, load_if_exists=True
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
        # By the first it is known as ours.
        facts = {DATASET: str(dataset_folder), WANTED: trials, UID: uid, **(about or {})}
        for name, value in facts.items():
            made.set_user_attr(name, value)
        begin(made)
        made.set_user_attr(CONFIG, config.to_json())  # Last: with it the study is whole.
        return made

    with quiet():
        made = opened.exclusively("studies", create)
    if made is None:
        return None
    study = LoadedStudy(made, config, StudyPaths(root, config.study, uid), url)
    study.leave_marker()
    return study


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what Optuna announces within the block, for our commands say what there is to know."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def compute_spent(study: LoadedStudy) -> float:
    """FLOPs that a study has taken: all trials, validation and the running ones included; races; final trainings."""
    return spent_of(study.optuna, study.optuna.get_trials(deepcopy=False))


def spent_of(study: Study, trials: Sequence[FrozenTrial]) -> float:
    """As ``compute_spent``, of trials that have been read already."""
    return compute_of(trials) + float(sum(study.user_attrs.get(AFTER_SEARCH, {}).values()))


def record_compute(study: LoadedStudy, what: str, flops: float) -> None:
    """Record what a training after the search has taken; once, where the same is recorded again."""

    def record() -> None:
        after = study.optuna.user_attrs.get(AFTER_SEARCH, {})
        if after.get(what) != flops:
            study.optuna.set_user_attr(AFTER_SEARCH, {**after, what: flops})

    study.storage.exclusively("compute", record)


def compute_of(trials: Sequence[FrozenTrial]) -> float:
    """FLOPs that these trials have trained and validated for; those of a running one's validation come at its end."""
    spent = 0.0
    for trial in trials:
        recorded = trial.user_attrs
        epochs = max(trial.intermediate_values, default=0)
        spent += float(recorded.get("compute", epochs * _epoch_compute(trial)))
        spent += float(recorded.get("validation_compute", 0.0))
    return spent


def whole_compute(trial: FrozenTrial) -> float:
    """FLOPs that a trial has taken; of a running one those of all its epochs, without their validation."""
    life = trial.system_attrs.get(HEARTBEAT, {})
    if trial.state == TrialState.RUNNING and life.get("epochs"):
        return float(life["epochs"]) * _epoch_compute(trial)
    return compute_of([trial])


def _epoch_compute(trial: FrozenTrial) -> float:
    recorded = trial.user_attrs
    images = recorded.get("epoch_images", recorded.get("training_images", 0))
    return 3.0 * float(recorded.get("flops", 0)) * float(images)


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

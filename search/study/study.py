"""A study as it lies in the database: what is read of it, and where its files are."""

import dataclasses
import shlex
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.config.study_config import StudyConfig
from search.data import cache_root, open_dataset
from search.errors import InputError, StudyStopped
from search.study.fold_results import tie_break
from storage.artifacts import Store, open_artifacts
from storage.claims import is_counted
from storage.connect import grants
from storage.database import Database
from storage.deletion import leave_marker
from storage.paths import StudyPaths
from storage.queries import missing_rights
from storage.url import default_url, identity, parse, redacted

if TYPE_CHECKING:
    from search.data import Dataset


Study = optuna.Study
CONFIG, DATASET, WANTED, UID = "config", "dataset", "trials", "uid"


KEPT_MODELS = 3
MODEL, KEPT = "model_artifact", "kept_models"
# What the final training takes, where that is not what was planned with the study.
FINAL = "final_compute"
# Whether somebody has said with --final how long it is.
FINAL_SAID = "final_said"
# What a race takes that was begun, and how long its trainings are, in trainings of a trial.
RACE, RACE_TIMES = "race_compute", "race_times"


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

    @property
    def some_more(self) -> int:
        """How many trials more are worth searching on for."""
        return max(5, self.wanted // 2)

    def want(self, trials: int) -> None:
        """Store how many finished trials it shall have."""
        self.optuna.set_user_attr(WANTED, trials)

    @property
    def final(self) -> float:
        """FLOPs of its final training: as planned, or what a run had left for it; 0 where trials count epochs."""
        return float(self.optuna.user_attrs.get(FINAL, self.config.final))

    @property
    def final_said(self) -> bool:
        """Whether somebody has said how long its final training is; then no run makes it longer or shorter."""
        return bool(self.optuna.user_attrs.get(FINAL_SAID, False))

    @property
    def race(self) -> float:
        """FLOPs of the largest race that was begun, of those of its length; 0 where none was."""
        return float(self.optuna.user_attrs.get(RACE, 0.0))

    @property
    def race_times(self) -> float:
        """How long the trainings of the race are that was begun last, in trainings of a trial."""
        return float(self.optuna.user_attrs.get(RACE_TIMES, 1.0))

    def begin_race(self, flops: float, times: float) -> None:
        """Store what a race takes: its trainings are there, and a later export runs it again for nothing."""
        if times != self.race_times:
            self.optuna.set_user_attr(RACE_TIMES, times)
        elif flops <= self.race:
            return
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
        check_rights(self.storage, *more)

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
        how = f"prepare them again: {self.command('run', '--data', self.config.data, '--no-export')}"
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


def check_rights(database: Database, *more: str) -> None:
    """Refuse a database that lets this role do less than a worker needs, and ``more``; see ``LoadedStudy``."""
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

"""A study as it lies in the database: created, found again, and read."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from search.config import StudyConfig, check_study_name
from search.errors import InputError
from storage.database import check_url, database_exists, default_url, open_storage
from storage.paths import StudyPaths

if TYPE_CHECKING:
    from search.data import Dataset

CONFIG, DATASET = "config", "dataset"


@dataclass(frozen=True)
class LoadedStudy:
    """An open study.

    Attributes:
        optuna: Optuna's study, with the storage open.
        config: What defines it.
        paths: Where its files lie.
        url: Of the database.
    """

    optuna: optuna.Study
    config: StudyConfig
    paths: StudyPaths
    url: str

    @property
    def storage(self) -> BaseStorage:
        """The open database."""
        return self.optuna._storage

    @property
    def study_id(self) -> int:
        """Optuna's key of the study."""
        return self.optuna._study_id

    def dataset(self) -> "Dataset":
        """The prepared images that the study is bound to.

        Raises:
            InputError: They are not in the cache any more.
        """
        from search.data import cache_root, open_dataset

        places = [
            Path(self.optuna.user_attrs.get(DATASET, "")),
            cache_root() / self.config.fingerprint,
        ]
        for place in places:
            if place.name == self.config.fingerprint and place.is_dir():
                return open_dataset(place)
        raise InputError(
            f"the prepared images of study {self.config.study!r} are gone from {places[0].parent}; "
            f"prepare them again: python -m search.run --study {self.config.study} --data {self.config.data}"
        )

    def finished(self) -> list[FrozenTrial]:
        """The trials that count towards N."""
        return self.optuna.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))

    def ranked(self) -> list[FrozenTrial]:
        """The complete trials, best first."""
        complete = self.optuna.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        sign = 1 if self.config.direction == "minimize" else -1
        return sorted(complete, key=lambda trial: (sign * float(trial.value or 0.0), trial.number))


def find_study(study: str, storage: str | None, root: Path) -> LoadedStudy | None:
    """The study of this name, or None where the database has none; creates nothing.

    Raises:
        InputError: The database cannot be opened, or the study in it is not one of ours.
    """
    check_study_name(study)
    url = storage or default_url(root)
    try:
        if storage is not None:
            check_url(storage)
        if not database_exists(url):
            return None
        opened = open_storage(url)
    except (ValueError, OSError) as error:
        raise InputError(str(error)) from None
    if study not in (summary.study_name for summary in optuna.get_all_study_summaries(opened)):
        return None
    found = optuna.load_study(study_name=study, storage=opened)
    text = found.user_attrs.get(CONFIG)
    if text is None:
        raise InputError(
            f"--study {study}: the database has a study of this name that search.run did not make; choose another"
        )
    return LoadedStudy(found, StudyConfig.from_json(text), StudyPaths(root, study), url)


def load_study(study: str, storage: str | None, root: Path) -> LoadedStudy:
    """The study of this name.

    Raises:
        InputError: There is none, or the database cannot be opened.
    """
    found = find_study(study, storage, root)
    if found is None:
        raise InputError(
            f"--study {study}: no such study in {'the database given' if storage else root}; "
            "expected one that search.run has begun (--studies or --storage say where)"
        )
    return found


def create_study(config: StudyConfig, dataset_folder: Path, storage: str | None, root: Path) -> LoadedStudy:
    """Store a new study.

    Raises:
        InputError: The database cannot be opened.
    """
    url = storage or default_url(root)
    if storage is None:
        root.mkdir(parents=True, exist_ok=True)
    try:
        opened = open_storage(url)
        made = optuna.create_study(study_name=config.study, storage=opened, direction=config.direction)
    except ValueError as error:
        raise InputError(str(error)) from None
    except optuna.exceptions.DuplicatedStudyError:
        raise InputError(
            f"--study {config.study}: another process has made it just now; run the same command again"
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        made.set_metric_names([f"validation {config.metric}"])
    made.set_user_attr(DATASET, str(dataset_folder))
    made.set_user_attr(CONFIG, config.to_json())
    return LoadedStudy(made, config, StudyPaths(root, config.study), url)

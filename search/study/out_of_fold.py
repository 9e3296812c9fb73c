"""What a cross-validated trial predicts of the training images, each by the net that was not trained on it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from search.data.folds import read_folds
from search.metrics.calibration import best_temperature
from search.metrics.classification import Scores
from search.study.fold_results import FOLDS, PREDICTIONS, TrainingOutcome
from search.training.predictions import read_predictions
from storage.artifacts import try_fetch

if TYPE_CHECKING:
    from search.study.study import LoadedStudy


def predictions_artifact(study: str, path: Path) -> str:
    """The name in the artifact store of a fold's predictions, where hosts share no disk."""
    return f"{study}-predictions-{path.name}"


def prediction_files(study: "LoadedStudy", number: int, finished: Sequence[TrainingOutcome]) -> list[Path]:
    """The files of a trial's predictions, a fold each; none where a fold has not kept any.

    Args:
        study: The open study.
        number: The trial's.
        finished: Its finished folds, as the trial's attribute ``FOLDS`` has them.
    """
    tokens = [run.get(PREDICTIONS) for run in finished]
    return [study.paths.predictions(number, str(token), fold) for fold, token in enumerate(tokens) if token]


def read_out_of_fold(study: "LoadedStudy", number: int, finished: Sequence[TrainingOutcome]) -> Scores | None:
    """The labels of all training images, and what a trial's folds predict of them; see ``prediction_files``.

    Returns:
        None where they are not known: a study of an older version, a trial that was pruned, files that are damaged or
        not on this host and not in the artifact store.
    """
    config = study.config
    files = prediction_files(study, number, finished)
    if not config.fold_of or len(files) < config.folds:
        return None
    for path in files if study.artifacts is not None else ():
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            name = predictions_artifact(config.study, path)
            try_fetch(study.artifacts, name, path, f"predictions {path.name}")
    found = read_predictions(files, read_folds(config.fold_of), len(config.classes))
    return None if found is None else Scores(study.dataset().train()[1], found)


def read_all_out_of_fold(study: "LoadedStudy", without: Sequence[int] = ()) -> dict[int, Scores]:
    """What each complete trial predicts of all training images, by its number, the best trial first.

    Each is at the temperature at which its cross-entropy is least, so that equal trials compare by that. Left out are
    those of which nothing is known; see ``read_out_of_fold``.

    Args:
        study: The open study.
        without: Numbers of further trials that are left out, as they are of the choice.
    """
    found = {
        trial.number: read_out_of_fold(study, trial.number, trial.user_attrs.get(FOLDS, ()))
        for trial in study.ranked()
        if trial.number not in without
    }
    return {
        number: replace(one, temperature=best_temperature(one))
        for number, one in found.items()
        if one is not None
    }

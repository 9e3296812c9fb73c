"""Pictures and texts beside a study and its trials: drawn in a child, for a worker stays small; left as artifacts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.artifacts import upload_artifact

from search.child import ForkServer
from search.study import LoadedStudy
from storage.artifacts import upload

DRAWING_SECONDS = 60.0
PREFIX = "artifacts:"  # Optuna's, of the attributes that name them.


def draw_in_child(server: ForkServer, folder: Path, log: Path, payload: dict[str, Any]) -> list[Path]:
    """Have a child draw into ``folder``; the pictures, in order.

    Args:
        server: Starts the child.
        folder: An empty one.
        log: Gets what the child prints.
        payload: See ``search.feeding.drawing.draw``.

    Raises:
        TrialCrashed, TrialInterrupted, TrialOutOfMemory: There are none.
    """
    job = "search.feeding.drawing:draw"
    with server.start(job, {"folder": str(folder), **payload}, log) as child:
        return [folder / name for name in child.result(DRAWING_SECONDS)["files"]]


def leave(study: LoadedStudy, path: Path, trial: optuna.Trial | None = None) -> str:
    """Leave a file for the dashboard, in the place of an earlier one of its name; its path there.

    Args:
        study: The open study.
        path: The file.
        trial: Whose it is; None for the study's.
    """
    owner = study.optuna if trial is None else trial
    found = artifacts_of(study, trial).get(path.name)
    if found is None:
        found = upload_artifact(artifact_store=study.pictures, file_path=str(path), study_or_trial=owner)
    else:
        upload(study.pictures, found, path)
    return address(study, found, trial)


def artifacts_of(study: LoadedStudy, trial: optuna.Trial | None = None) -> dict[str, str]:
    """The names under which files lie in the store, by file name.

    Args:
        study: The open study.
        trial: Whose they are; None for the study's own.
    """
    storage = study.storage
    attributes = (
        storage.get_study_system_attrs(study.study_id)
        if trial is None
        else storage.get_trial(trial._trial_id).system_attrs
    )
    return names_in(attributes)


def names_in(attributes: Mapping[str, Any]) -> dict[str, str]:
    """The same from the system attributes of a study or a trial."""
    metas = [json.loads(value) for name, value in attributes.items() if name.startswith(PREFIX)]
    return {meta["filename"]: meta["artifact_id"] for meta in metas if meta is not None}


def address(study: LoadedStudy, artifact: str, trial: optuna.Trial | None = None) -> str:
    """Where the dashboard has an artifact."""
    owner = f"{study.study_id}" if trial is None else f"{study.study_id}/{trial._trial_id}"
    return f"/artifacts/{owner}/{artifact}"

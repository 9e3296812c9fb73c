"""Pictures and texts attached to a study and its trials as artifacts; drawn in a child, so that workers stay small."""

import json
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
from optuna.artifacts import ArtifactMeta, upload_artifact

from search.process.fork_server import ForkServer
from search.study.study import LoadedStudy
from storage.artifacts import ARTIFACT_PREFIX, artifact_ids, upload

DRAWING_SECONDS = 60.0


def draw_in_child(server: ForkServer, folder: Path, log: Path, payload: dict[str, Any]) -> list[Path]:
    """Have a child draw into ``folder``, and return the pictures in order.

    Args:
        server: Starts the child.
        folder: An empty folder.
        log: The file to which the child prints.
        payload: See ``search.web.drawing.draw``.

    Raises:
        TrialCrashed, TrialInterrupted, TrialOutOfMemory: Nothing could be drawn.
    """
    job = "search.web.drawing:draw"
    # Not patient: a trial that is trained must not wait a minute for its pictures.
    with server.start(job, {"folder": str(folder), **payload}, log, patient=False) as child:
        return [folder / name for name in child.result(DRAWING_SECONDS)["files"]]


def leave(study: LoadedStudy, path: Path) -> str:
    """Attach a file to a study for the dashboard, in the place of an earlier one of its name; return its address there.

    Args:
        study: The open study.
        path: The file.
    """
    found = artifacts_of(study).get(path.name)
    if found is None:
        found = upload_artifact(
            artifact_store=study.pictures, file_path=str(path), study_or_trial=study.optuna
        )
    else:
        upload(study.pictures, found, path)
    return address(study, found)


def reserve(study: LoadedStudy, name: str, trial: optuna.Trial) -> str:
    """Record a PNG file of a trial that is still to be drawn, or was drawn before; return its id in the store.

    Optuna attaches nothing to a trial that has ended, so that its pictures are recorded first, and drawn when it has.

    Args:
        study: The open study.
        name: Of the file.
        trial: The trial, which has not ended.
    """
    found = artifacts_of(study, trial).get(name)
    if found is None:
        found = str(uuid.uuid4())
        about = json.dumps(asdict(ArtifactMeta(found, name, "image/png", None)))
        study.storage.set_trial_system_attr(trial._trial_id, f"{ARTIFACT_PREFIX}{found}", about)
    return found


def artifacts_of(study: LoadedStudy, trial: optuna.Trial | None = None) -> dict[str, str]:
    """The names of attached files in the store, by file name.

    Args:
        study: The open study.
        trial: The trial that they are attached to; None for the study.
    """
    storage = study.storage
    attributes = (
        storage.get_study_system_attrs(study.study_id)
        if trial is None
        else storage.get_trial(trial._trial_id).system_attrs
    )
    return artifact_ids(attributes)


def address(study: LoadedStudy, artifact: str, trial: optuna.Trial | None = None) -> str:
    """The address of an artifact on the dashboard."""
    owner = f"{study.study_id}" if trial is None else f"{study.study_id}/{trial._trial_id}"
    return f"/artifacts/{owner}/{artifact}"

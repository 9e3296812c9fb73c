"""What the dashboard shows of a trial when it ends: its curves, its confusion matrix, its note."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna

from search.formatting import EIGHTH, EPOCH, duration, metric_words
from search.process.fork_server import ForkServer
from search.study.fold_results import FOLDS
from search.study.study import KEPT_MODELS, LoadedStudy
from search.templates.loader import environment
from search.web.attachments import address, draw_in_child, reserve
from search.web.notes import write_note
from search.web.picture_names import CURVES, MATRIX, SAMPLES
from storage.artifacts import upload

logger = logging.getLogger(__name__)

ALT = {
    CURVES: "Learning curves: loss and accuracy by epoch, on training and validation images",
    MATRIX: "Confusion matrix on the validation images",
    SAMPLES: "One training image of each class",
}
MOST_LINES, MOST_LETTERS = 12, 200


@dataclass(frozen=True)
class Undrawn:
    """The pictures of a trial that are still to be drawn; nothing of that needs its claim.

    Attributes:
        study: The open study.
        number: The trial's.
        trial_id: Optuna's key of it.
        payload: See ``search.web.drawing.draw``.
        names: The id in the store of each picture, by its file name.
        plain: The trial's note without pictures.
    """

    study: LoadedStudy
    number: int
    trial_id: int
    payload: Mapping[str, Any]
    names: Mapping[str, str]
    plain: str


def feed_trial(
    study: LoadedStudy,
    trial: optuna.Trial,
    state: str,
    why: str,
    value: float | None = None,
    matrix: Sequence[Sequence[int]] = (),
) -> Undrawn | None:
    """Leave the note of a trial; call it while its claim is held, before its end is recorded.

    Args:
        study: The open study.
        trial: The trial, about to end.
        state: ``finished``, ``pruned`` or ``failed``.
        why: Why it ends.
        value: What it scored, or reported last.
        matrix: Confusion matrix of the validation images, a row a true class; drawn if the trial is among the best.

    Returns:
        The pictures that the note shows, to be drawn once the trial's end is recorded (``draw_trial``); None where it
        has none.

    Raises:
        ClaimLost: The trial is another worker's now.
        DatabaseGone: The database was away for too long.
    """
    payload = _to_draw(study, trial, value, matrix)
    files = [CURVES] if payload else []
    files += [MATRIX] if payload.get("matrix") else []
    names = {name: reserve(study, name, trial) for name in files}
    pictures = {ALT[name]: address(study, found, trial) for name, found in names.items()}
    plain, note = (
        trial_note(trial, state, why, value, study.config.metric, shown) for shown in ({}, pictures)
    )
    write_note(study.storage, study.study_id, note, trial._trial_id)
    return Undrawn(study, trial.number, trial._trial_id, payload, names, plain) if names else None


def draw_trial(server: ForkServer, undrawn: Undrawn) -> None:
    """Draw a trial's pictures; where that fails, its note goes without them, and a warning says why.

    Args:
        server: Starts the child that draws.
        undrawn: What to draw.
    """
    study = undrawn.study
    try:
        with tempfile.TemporaryDirectory() as folder:
            log = study.paths.log(undrawn.number)
            for path in draw_in_child(server, Path(folder), log, dict(undrawn.payload)):
                upload(study.pictures, undrawn.names[path.name], path)
    except Exception as error:  # A full disk, a child's end, a library's: it concerns the pictures alone.
        with suppress(OSError):  # Where this is printed to may lie on that disk, too.
            logger.warning(f"no pictures of trial {undrawn.number} for the dashboard: {error!r}"[:300])
        with suppress(Exception):  # The database may be away, or the study deleted.
            write_note(study.storage, study.study_id, undrawn.plain, undrawn.trial_id)


def trial_note(
    trial: optuna.Trial, state: str, why: str, value: float | None, metric: str, pictures: dict[str, str]
) -> str:
    """A trial in plain words, as Markdown.

    Args:
        trial: The trial, with all that its worker recorded.
        state: ``finished``, ``pruned`` or ``failed``.
        why: Why it ended.
        value: What it scored, or reported last.
        metric: What the value is of.
        pictures: The addresses of its pictures, by what they show.
    """
    recorded = trial.user_attrs
    return (
        environment()
        .get_template("trial_note.md")
        .render(
            number=trial.number,
            state=state,
            value=value,
            metric=metric_words(metric),
            why=why,
            settings={
                name.replace("_", " "): plain(value) for name, value in recorded.get("params", {}).items()
            },
            sentences=[sentence for sentence in (_size(recorded), _where(recorded)) if sentence],
            pictures=pictures,
            last_lines=[
                line[:MOST_LETTERS] for line in str(recorded.get("last_lines", "")).splitlines()[-MOST_LINES:]
            ],
        )
    )


def why_finished(recorded: dict[str, Any], epochs: int, unit: str = EPOCH) -> str:
    """Why a trial ended that was neither pruned nor failed."""
    ran, kept = int(recorded.get("epochs", 0)), int(recorded.get("kept_epoch", 0))
    if folds := len(recorded.get(FOLDS, ())):
        return f"It trained on all {folds} folds, {ran} {unit}s in all; its value is their mean."
    if kept == ran == 1 < epochs and recorded.get("planned_epochs") == 1:
        return "It was fitted exactly, at once."
    whole = "It trained for all its compute" if unit == EIGHTH else f"It ran all its {ran} epochs"
    ran_words = whole if ran == epochs else f"It stopped early, after {ran} {unit}s"
    return f"{ran_words}; the weights of {unit} {kept} are kept."


def plain(value: Any) -> str:
    """A sampled value as a person reads it."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return "yes" if value is True else "no" if value is False else str(value)


def _to_draw(
    study: LoadedStudy, trial: optuna.Trial, value: float | None, matrix: Sequence[Sequence[int]]
) -> dict[str, Any]:
    """The payload of ``search.web.drawing.draw``; empty where there is nothing to draw."""
    recorded, config = trial.user_attrs, study.config
    history = recorded.get("history") or {}
    if not history.get("loss"):
        return {}
    return {
        "history": history,
        "kept": recorded["kept_epoch"],
        "unit": config.unit,
        "title": f"{config.study}, trial {trial.number}",
        "matrix": matrix if value is not None and _among_the_best(study, value) else (),
        "classes": config.classes,
    }


def _among_the_best(study: LoadedStudy, value: float) -> bool:
    best = study.ranked()[:KEPT_MODELS]
    sign = 1 if study.config.direction == "minimize" else -1
    return len(best) < KEPT_MODELS or sign * value < sign * float(best[-1].value or 0.0)


def _size(recorded: dict[str, Any]) -> str:
    if "flops" not in recorded:
        return ""
    whose = " of the head" if recorded.get("params", {}).get("backbone") else ""
    return (
        f"{recorded['parameters']:,} trainable parameters{whose}, {recorded['flops'] / 1e6:,.1f} MFLOP a forward pass"
        f"{', in the head alone' if whose else ''}."
    )


def _where(recorded: dict[str, Any]) -> str:
    where = f"Worker {recorded['worker']}" if "worker" in recorded else ""
    if where and "device" in recorded:
        where += f", on {recorded['device']}"
    if "seconds" in recorded and recorded.get("epochs"):
        where += f": {duration(float(recorded['seconds']))} of training, {recorded['images_per_second']:,.0f} images/s"
    return f"{where}." if where else ""

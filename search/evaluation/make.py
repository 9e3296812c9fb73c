"""Every file of one export, made from one training and one pass of predictions."""

import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from search.data import split
from search.evaluation.architecture import describe_in_child
from search.evaluation.curves import write_curves
from search.evaluation.formats import FORMATS, IMAGES, write_formats
from search.evaluation.matrix import write_matrix_csv, write_matrix_png
from search.evaluation.pictures import write_mistakes, write_samples
from search.evaluation.predictions import write_predictions
from search.evaluation.reload import check_reload
from search.evaluation.report import write_report
from search.evaluation.score import Scored, score_in_child
from search.evaluation.scores import Integers
from search.evaluation.summary import Training, check_value, summarise, write_json
from search.evaluation.weights import copy_weights, find_weights, refit
from storage.ledger import record_scoring

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.child import ForkServer
    from search.config import StudyConfig
    from search.data import Dataset
    from search.study import LoadedStudy


@dataclass(frozen=True)
class Wanted:
    """One export to make; see ``search.export.export_study``."""

    loaded: "LoadedStudy"
    trial: "FrozenTrial"
    refit: bool
    refit_epochs: int | None
    gpu_memory: float | None
    formats: tuple[str, ...]
    baselines: tuple[str, ...]
    say: Callable[[str], None]


class Filled(NamedTuple):
    """What was written, for those who will not read it from the files."""

    summary: dict[str, Any]
    report: str
    confusion_matrix: Integers


def fill(folder: Path, wanted: Wanted, server: "ForkServer") -> Filled:
    """Make every file of an export in the empty ``folder``, and check the model by loading it afresh."""
    loaded, trial, say = wanted.loaded, wanted.trial, wanted.say
    model = folder / "model.keras"
    if wanted.refit:
        training = refit(loaded, trial, wanted.refit_epochs, model, server, say, wanted.gpu_memory)
    else:
        training = copy_weights(loaded, trial, model)
    log = loaded.paths.worker_log("export")
    with tempfile.TemporaryDirectory() as scratch:
        write_other_formats(wanted, model, Path(scratch), server)
        if note := describe_in_child(server, model, folder, log):
            say(note)
        stored = Path(scratch) / "scores.npz"
        payload = score_payload(wanted, model, stored)
        # Before the test images are opened: a scoring that dies half way has looked at them all the same.
        why = "refit" if wanted.refit else "export"
        # Under a lock: two exports at once must not lose a count.
        times = loaded.storage.exclusively("ledger", lambda: record_scoring(loaded.optuna, trial.number, why))
        threads = int(trial.user_attrs.get("threads") or 0)
        scored = score_in_child(server, payload, log, threads)
        if not wanted.refit:
            check_value(
                loaded.config, trial.value, scored.validation, str(training.facts.get("device", "cpu"))
            )
        summary = summarise(loaded.config, trial, training, scored, times)
        report = write_files(folder, wanted, training, scored, summary)
        check_reload(model, stored, server.backend)
    for sentence in summary["words"]:
        say(sentence)
    say(
        f"trial {trial.number}: test accuracy {scored.test.accuracy:.4f} on {len(scored.test.labels)} images "
        f"(test images scored {times} time{'s' if times > 1 else ''} in this study)"
    )
    return Filled(summary, report, scored.test.confusion_matrix)


def write_other_formats(wanted: Wanted, model: Path, scratch: Path, server: "ForkServer") -> None:
    """The formats asked for, beside ``model``; before the test images are scored, which a failure need not cost."""
    if not wanted.formats:
        return
    from search.child import ForkServer

    # Keras converts with TensorFlow; the file is the same for every backend.
    ours = nullcontext(server) if server.backend == "tensorflow" else ForkServer("tensorflow")
    log = wanted.loaded.paths.worker_log("export")
    with ours as running:
        write_formats(running, wanted.formats, model, wanted.loaded.dataset().folder, scratch, log)
    wanted.say(
        f"written and compared with Keras on {IMAGES} images: "
        + ", ".join(FORMATS[name].file for name in wanted.formats)
    )


def score_payload(wanted: Wanted, model: Path, stored: Path) -> dict[str, Any]:
    """What the scoring job is told."""
    config = wanted.loaded.config
    unseen: Path | None = model
    if wanted.refit:  # It was trained on the validation images too: they can tell nothing of it any more.
        unseen = find_weights(wanted.loaded, wanted.trial)
    return {
        "model": str(model),
        "dataset": str(wanted.loaded.dataset().folder),
        "validation": config.validation,
        "images": config.images,
        "split_seed": config.seed,
        "folds": config.folds,
        "out": str(stored),
        "gpu_memory": wanted.gpu_memory,
        "unseen": str(unseen) if unseen else None,
        "baselines": list(wanted.baselines),
        "refit": wanted.refit,
    }


def trained_on(dataset: "Dataset", config: "StudyConfig", refit: bool) -> Integers:
    """Indices of the training images that the exported weights were fitted on, ``(N,)``."""
    _, labels = dataset.train()
    if refit:
        return np.arange(len(labels))
    return split(labels, config.validation, config.images, config.seed).train


def write_files(
    folder: Path, wanted: Wanted, training: Training, scored: Scored, summary: dict[str, Any]
) -> str:
    """Everything beside the model, from the one pass of predictions; the classification report as text."""
    config, test = wanted.loaded.config, scored.test
    name = f"{config.study}, trial {wanted.trial.number}" + (
        ", refit on all training images" if training.refit else ""
    )
    write_json(folder / "summary.json", summary)
    write_json(folder / "labels.json", list(config.classes))
    write_json(folder / "preprocessing.json", wanted.loaded.dataset().preprocessing)
    write_matrix_csv(folder / "confusion_matrix.csv", test.confusion_matrix, config.classes)
    title = f"{name}\ntest accuracy {test.accuracy:.4f}"
    write_matrix_png(folder / "confusion_matrix.png", test.confusion_matrix, config.classes, title)
    write_curves(folder / "curves.png", training.history, training.kept, name)
    write_predictions(folder / "predictions.csv", scored.calibrated, config.classes)
    write_mistakes(folder / "mistakes.png", scored.mistakes, scored.calibrated, config.classes)
    dataset = wanted.loaded.dataset()
    write_samples(
        folder / "samples.png", dataset, trained_on(dataset, config, training.refit), config.classes
    )
    return write_report(folder, test, config.classes)

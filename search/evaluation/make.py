"""Every file of one export, made from one training and one pass of predictions."""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from search.data import split
from search.evaluation.architecture import describe_in_child
from search.evaluation.backbone import facts_of, features_here, join_in_child
from search.evaluation.card import write_card
from search.evaluation.confirm_picture import write_race
from search.evaluation.confirm_words import race_figures, race_words
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
from search.evaluation.tuning import Tuned, fine_tune, gained
from search.evaluation.tuning import sentence as tuning_sentence
from search.evaluation.weights import copy_weights, find_weights, kept_weights, refit
from search.evaluation.words import often
from storage.ledger import record_scoring

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.child import ForkServer
    from search.config import StudyConfig
    from search.data import Dataset
    from search.evaluation.confirm import Race
    from search.study import LoadedStudy


@dataclass(frozen=True)
class Wanted:
    """One export to make; see ``search.export.export_study``.

    After a race the trial is its winner, as if it had been trained with the race's first seed.
    """

    loaded: "LoadedStudy"
    trial: "FrozenTrial"
    refit: bool
    refit_epochs: int | None
    fine_tune: int | None
    gpu_memory: float | None
    formats: tuple[str, ...]
    baselines: tuple[str, ...]
    say: Callable[[str], None]
    race: "Race | None" = None


class Filled(NamedTuple):
    """What was written, for those who will not read it from the files."""

    summary: dict[str, Any]
    report: str
    confusion_matrix: Integers


def fill(folder: Path, wanted: Wanted, server: "ForkServer") -> Filled:
    """Make every file of an export in the empty ``folder``, and check the model by loading it afresh."""
    loaded, trial, say = wanted.loaded, wanted.trial, wanted.say
    model = folder / "model.keras"
    log = loaded.paths.worker_log("export")
    with tempfile.TemporaryDirectory() as scratch:
        training, files, tuned = make_model(wanted, model, Path(scratch), server)
        write_other_formats(wanted, model, Path(scratch), server)
        if note := describe_in_child(server, model, folder, log):
            say(note)
        stored = Path(scratch) / "scores.npz"
        payload = score_payload(wanted, files, stored)
        # Before the test images are opened: a scoring that dies half way has looked at them all the same.
        why = "refit" if wanted.refit else "confirm" if wanted.race else "export"
        # Under a lock: two exports at once must not lose a count.
        times = loaded.storage.exclusively("ledger", lambda: record_scoring(loaded.optuna, trial.number, why))
        threads = int(trial.user_attrs.get("threads") or 0)
        scored = score_in_child(server, payload, log, threads)
        if not wanted.refit:
            value = trial.value if tuned is None else tuned.after
            check_value(loaded.config, value, scored.validation, str(training.facts.get("device", "cpu")))
        over = facts_of(loaded, trial, tuned) if loaded.config.backbones else None
        summary = summarise(loaded.config, trial, training, scored, times, wanted.race is not None, over)
        if wanted.race:
            summary["words"] += race_words(wanted.race, wanted.refit)
            summary["confirm"] = race_figures(wanted.race)
        report = write_files(folder, wanted, training, scored, summary)
        check_reload(model, stored, server.backend)
    for sentence in summary["words"]:
        say(sentence)
    say(f"trial {trial.number}: test accuracy {scored.test.accuracy:.4f} on {len(scored.test.labels)} images")
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


class ModelFiles(NamedTuple):
    """Where the weights lie.

    Attributes:
        model: The whole net that is exported.
        unseen: One that was not trained on the validation images: the same, but for a refit; None where none is kept.
        head: The exported net's head alone, if the rest of it is a frozen backbone.
    """

    model: Path
    unseen: Path | None
    head: Path | None = None


def make_model(
    wanted: Wanted, model: Path, scratch: Path, server: "ForkServer"
) -> tuple[Training, ModelFiles, Tuned | None]:
    """Train or copy the weights, and have whole nets of them; fine-tuned ones where that was asked for, and gained."""
    loaded, trial = wanted.loaded, wanted.trial
    if wanted.refit:
        training = refit(loaded, trial, wanted.refit_epochs, model, server, wanted.say, wanted.gpu_memory)
    else:
        kept = wanted.race.weights if wanted.race else kept_weights(loaded, trial)
        training = copy_weights(kept, trial, model)
    unseen: Path | None = model
    if wanted.refit:  # It was trained on the validation images too: they can tell nothing of it any more.
        unseen = wanted.race.weights if wanted.race else find_weights(loaded, trial)
    if not loaded.config.backbones:
        return training, ModelFiles(model, unseen), None
    head = Path(shutil.move(model, scratch / "head.keras"))  # Perhaps on another disk.
    if wanted.refit and unseen is not None:
        alone, unseen = unseen, scratch / "unseen.keras"
        join_in_child(server, loaded, trial, alone, unseen)
    if wanted.fine_tune:
        tuned = fine_tune(
            loaded,
            trial,
            wanted.fine_tune,
            training,
            head,
            model,
            refit=wanted.refit,
            server=server,
            gpu_memory=wanted.gpu_memory,
            say=wanted.say,
        )
        taken = gained(tuned, loaded.config.direction)
        wanted.say(tuning_sentence(tuned, loaded.config.metric, taken))
        if taken:
            # After a refit the search's net can say nothing of it: it was not tuned.
            return tuned.training, ModelFiles(model, None if wanted.refit else model), tuned
    join_in_child(server, loaded, trial, head, model)
    return training, ModelFiles(model, unseen, head), None


def score_payload(wanted: Wanted, files: ModelFiles, stored: Path) -> dict[str, Any]:
    """What the scoring job is told."""
    config = wanted.loaded.config
    return {
        "model": str(files.model),
        "dataset": str(wanted.loaded.dataset().folder),
        "validation": config.validation,
        "images": config.images,
        "split_seed": config.seed,
        "folds": config.folds,
        "out": str(stored),
        "gpu_memory": wanted.gpu_memory,
        "unseen": str(files.unseen) if files.unseen else None,
        "head": str(files.head) if files.head else None,
        # A fine-tuned net has other features than the cached ones.
        "features": features_here(wanted.loaded, wanted.trial) if files.head else None,
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
    name = f"{config.study}, trial {wanted.trial.number}"
    if training.refit:
        name += ", refit on all training images"
    elif wanted.race:
        name += ", trained anew"
    write_json(folder / "summary.json", summary)
    write_json(folder / "labels.json", list(config.classes))
    write_json(folder / "preprocessing.json", wanted.loaded.dataset().preprocessing)
    write_matrix_csv(folder / "confusion_matrix.csv", test.confusion_matrix, config.classes)
    count = summary["times_test_scored"]
    title = f"{name}\ntest accuracy {test.accuracy:.4f} (test images scored {often(count)})"
    write_matrix_png(folder / "confusion_matrix.png", test.confusion_matrix, config.classes, title)
    write_curves(folder / "curves.png", training.history, training.kept, name)
    write_predictions(folder / "predictions.csv", scored.calibrated, config.classes)
    write_mistakes(folder / "mistakes.png", scored.mistakes, scored.calibrated, config.classes, count)
    if wanted.race:
        write_race(folder / "confirm.png", wanted.race, training.refit)
    dataset = wanted.loaded.dataset()
    write_samples(
        folder / "samples.png", dataset, trained_on(dataset, config, training.refit), config.classes
    )
    write_card(folder / "model_card.md", wanted.loaded, summary, test)
    return write_report(folder, test, config.classes, count)

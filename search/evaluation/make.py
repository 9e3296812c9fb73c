"""Every file of one export, made from one training and one pass of predictions."""

import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from search.errors import StudyStopped, TrialFailed, TrialInterrupted
from search.evaluation.architecture import describe_in_child
from search.evaluation.backbone import facts_of, features_here
from search.evaluation.confirm import confirm_best
from search.evaluation.confirm_words import race_figures, race_words
from search.evaluation.folder import written_aside
from search.evaluation.formats import FORMATS, IMAGES, write_formats
from search.evaluation.model import ModelFiles, make_model
from search.evaluation.racers import Race
from search.evaluation.reload import check_reload
from search.evaluation.scored import score_in_child
from search.evaluation.scores import Integers
from search.evaluation.summary import check_value, summarise
from search.evaluation.writers import write_files
from storage.ledger import record_scoring

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.child import ForkServer
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
    race: Race | None = None


class Filled(NamedTuple):
    """What was written, for those who will not read it from the files."""

    summary: dict[str, Any]
    report: str
    confusion_matrix: Integers


def make(target: Path, wanted: Wanted, server: "ForkServer", *, confirm: bool) -> Filled:
    """Make an export, whole or not at all, in the place of whatever is at ``target``.

    Args:
        target: The folder; see ``check_target``.
        wanted: What to export.
        server: Starts the children.
        confirm: Find its trial by a race first.

    Raises:
        StudyStopped: A training, the scoring or the check of the model failed.
    """
    loaded, say = wanted.loaded, wanted.say
    try:
        if confirm and (race := confirm_best(loaded, server, say, wanted.gpu_memory)):
            wanted = replace(wanted, trial=race.trial, race=race)
        with written_aside(target) as folder:
            made = fill(folder, wanted, server)
    except (TrialFailed, TrialInterrupted) as error:
        log = loaded.paths.worker_log("export")
        raise StudyStopped(
            f"export of trial {wanted.trial.number}: {error}; nothing exported, its log is {log}"
        ) from error
    # Only now: a scoring that fails must not cost the training.
    number = wanted.trial.number
    if wanted.refit:
        epochs = wanted.refit_epochs or loaded.config.epochs
        loaded.paths.refit_checkpoint(number, epochs).unlink(missing_ok=True)
    if wanted.fine_tune:
        loaded.paths.tuning_checkpoint(number, wanted.fine_tune, wanted.refit).unlink(missing_ok=True)
    return made


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
        "features": features_here(wanted.loaded, wanted.trial, wanted.refit) if files.head else None,
        "baselines": list(wanted.baselines),
        "refit": wanted.refit,
    }

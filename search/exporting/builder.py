"""The making of one export, from the weights to the last check, in the order that keeps a failure cheap.

Whatever can fail comes before the test images are opened: training, further formats, and the checks that the file
scores in validation what the search recorded and, loaded in a fresh process, answers as it did then. The folder takes
its place only when all its files are there.
"""

import logging
import tempfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from search.data.familiarity import FILE as FAMILIARITY
from search.errors import StudyStopped, TrialFailed, TrialInterrupted
from search.exporting import examples
from search.exporting.architecture import describe_in_child
from search.exporting.assessment import check_recorded_value
from search.exporting.backbone import backbone_facts, keep_familiarity
from search.exporting.baking import bake_temperature, with_temperature
from search.exporting.child_training import TrainingResult
from search.exporting.class_names import embed_class_names
from search.exporting.confirm import confirm_best
from search.exporting.entrants import UNBOUNDED, Bounds, default_trial
from search.exporting.export import Export
from search.exporting.fallback import default_unless_ahead
from search.exporting.fine_tuning import FineTuned
from search.exporting.folder import atomic_folder
from search.exporting.formats import FORMATS, write_formats
from search.exporting.model import ModelFiles, make_model
from search.exporting.model_card import views_of
from search.exporting.out_of_fold import look_out_of_fold
from search.exporting.race_words import no_race_sentence
from search.exporting.request import ExportRequest
from search.exporting.scoring_result import ScoringResult, score_in_child, scoring_payload
from search.exporting.sentences import final_sentence
from search.exporting.summary import summarise
from search.exporting.training_plans import refit_checkpoint
from search.exporting.verification import verify_in_fresh_process
from search.exporting.weights import refit_name
from search.exporting.writers import trained_on, write_files
from search.formatting import Passing, count
from search.metrics.classification import Scores
from search.metrics.preference import ACCURATE
from search.process.fork_server import ForkServer
from search.study import ending
from search.study.compute import compute_spent, last_recorded
from search.study.final_length import grown_final
from search.study.scorings import times_images_scored
from storage.ledger import record_scoring
from storage.occupancy import ExportAtWork, StudyGone
from storage.process_identity import worker_name

logger = logging.getLogger(__name__)


def build_export(
    target: Path, request: ExportRequest, server: "ForkServer", *, confirm: bool, bounds: Bounds = UNBOUNDED
) -> Export:
    """Make an export, whole or not at all, in the place of an earlier one.

    Args:
        target: Its folder; see ``search.exporting.folder.check_target``.
        request: What to export.
        server: Starts the children.
        confirm: Whether to find the trial by a race first.
        bounds: What bounds the race and the final training.

    Raises:
        StudyStopped: A training, the scoring or the check of the model failed.
    """
    loaded = request.loaded
    at_work = ExportAtWork(loaded.storage, loaded.study_id, worker_name(), loaded.still_there)
    try:
        with at_work:
            return _build(target, request, server, confirm, bounds)
    except (StudyGone, KeyError):
        loaded.check_there("nothing exported")
        raise
    except KeyboardInterrupt:
        request.say("stopped, and nothing exported; what was trained is kept, and the same command goes on")
        raise


def _build(
    target: Path, request: ExportRequest, server: "ForkServer", confirm: bool, bounds: Bounds
) -> Export:
    loaded, options = request.loaded, request.options
    try:
        if confirm:
            request = _after_race(request, server, bounds)
            planned = bounds.grows or bounds.final is not None
            if planned and request.refit and options.refit_epochs is None and loaded.config.length:
                _plan_final(request, bounds)
        with atomic_folder(target) as folder:
            export = fill_folder(folder, request, server)
    except (TrialFailed, TrialInterrupted) as error:
        log = loaded.paths.worker_log("export")
        raise StudyStopped(
            f"export of trial {request.trial.number}: {error}; nothing exported, its log is {log}"
        ) from error
    # Only now: a scoring that fails must not cost the training.
    number = request.trial.number
    if request.refit:
        refit_checkpoint(loaded, request.trial, options.refit_epochs).unlink(missing_ok=True)
    if options.fine_tune:
        loaded.paths.tuning_checkpoint(number, options.fine_tune, request.refit).unlink(missing_ok=True)
    return replace(export, folder=target)


def _after_race(request: ExportRequest, server: "ForkServer", bounds: Bounds) -> ExportRequest:
    """The request for what a race has found; where there can be none, for what is exported without one, and why."""
    race = confirm_best(request, server, bounds)
    if not isinstance(race, str):
        return replace(request, trial=race.exported_trial, race=race, preference=race.preference)
    request = replace(request, no_race=race)
    if request.refit and request.options.prefer == ACCURATE and ending.can_race(request.loaded.config):
        return default_unless_ahead(request)
    return request


def _plan_final(request: ExportRequest, bounds: Bounds) -> None:
    """Store what the final training takes: what a budget or a time has left for it, or what was planned; and say so.

    One that was begun and interrupted goes on as it was planned then, where that is still paid.
    """
    loaded = request.loaded
    planned = float(loaded.config.final) if bounds.final is None else bounds.final
    left = bounds.left(compute_spent(loaded))
    checkpoint = refit_checkpoint(loaded, request.trial, request.options.refit_epochs)
    begun = last_recorded(loaded, refit_name(request.trial, checkpoint))[1] if checkpoint.exists() else None
    if begun is not None and loaded.final <= left + begun:
        planned = loaded.final
    elif bounds.grows and planned >= loaded.config.final:
        planned = grown_final(loaded.config, planned, left)
    if planned != loaded.final:
        checkpoint.unlink(missing_ok=True)  # It is of another length: what it took stays spent.
    loaded.plan_final(planned)
    if loaded.final != loaded.config.final:
        request.say(final_sentence(loaded.config.final, loaded.final))


def fill_folder(folder: Path, request: ExportRequest, server: "ForkServer") -> Export:
    """Make every file of an export in the empty ``folder``, and check the model by loading it in a fresh process."""
    loaded, trial, say = request.loaded, request.trial, request.say
    config, model = loaded.config, folder / "model.keras"
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        training, files, tuned = make_model(request, model, scratch, server)
        embed_class_names("keras", model, config.classes)
        if not request.options.calibrated:
            write_other_formats(request, model, scratch, server)
        flops = _describe(folder, request, training.refit, model, server)
        stored = scratch / "scores.npz"
        scored, times, by_others = _score(request, files, training, tuned, stored, server)
        backbone = backbone_facts(request, tuned)
        summary = summarise(request, training, scored, times, by_others, backbone, flops)
        if flops is not None and (views := views_of(loaded, summary)) > 1:
            summary["views"] = views  # The operations are of all of them, those of a trial are of one.
        add_choice(summary, request)
        report = write_files(folder, request, training, scored, summary)
    for sentence in summary["headline"]:
        say(sentence)
    say(f"how far to trust trial {trial.number}, and why, is in the export's model_card.md")
    return Export(folder, summary, report, scored.test.confusion_matrix, list(config.classes))


def _score(
    request: ExportRequest,
    files: ModelFiles,
    training: TrainingResult,
    tuned: FineTuned | None,
    stored: Path,
    server: "ForkServer",
) -> tuple[ScoringResult, int, int]:
    """Score the net; before the test images are opened, finish its files and check them.

    Returns:
        The scores, how often the test images have been scored, this time included, and how often of these by others.
    """
    loaded, trial, say = request.loaded, request.trial, request.say
    # A net whose backbone was tuned is another than the folds' were.
    out_of_fold = None
    if request.refit and tuned is None:
        out_of_fold = look_out_of_fold(request)
    payload = scoring_payload(request, files, stored, out_of_fold.temperature if out_of_fold else None)
    if payload["features"]:
        fitted = trained_on(loaded.dataset(), loaded.config, training.refit)
        keep_familiarity(files.model.with_name(FAMILIARITY), payload["features"], fitted)
    counted: list[int] = []

    def before_test(validation: Scores, temperature: float | None) -> None:
        if not request.refit:
            value = trial.value if tuned is None else tuned.value_after
            device = str(training.facts.get("device", "cpu"))
            check_recorded_value(loaded.config, value, validation, device)
        finish_files(request, files.model, stored, temperature, server)
        # Counted before the test images are looked at: a scoring that dies half way has seen them all the same.
        # Under a lock: two exports at once must not lose a count.
        say(Passing("scoring the test images"))
        counted.extend(loaded.storage.exclusively("ledger", lambda: _record_scoring(request)))

    threads = int(trial.user_attrs.get("threads") or 0)
    fitting = f", fitting {' and '.join(request.baselines)}" if request.baselines else ""
    say(Passing(f"scoring the validation images{fitting}"))
    scored = score_in_child(server, payload, loaded.paths.worker_log("export"), threads, before_test)
    times, by_others = counted
    return replace(scored, out_of_fold=out_of_fold, baked=request.options.calibrated), times, by_others


def _describe(
    folder: Path, request: ExportRequest, refit: bool, model: Path, server: "ForkServer"
) -> int | None:
    """Write what the net is, and some of its training pictures if asked to; return its operations an image."""
    loaded, say = request.loaded, request.say
    say(Passing("describing the net"))
    note, flops = describe_in_child(server, model, folder, loaded.paths.worker_log("export"))
    if note:
        logger.debug(note)  # Not for everybody at every export: nothing of the net is missing.
    if request.options.with_examples:
        say(Passing("keeping training pictures"))
        fitted = trained_on(loaded.dataset(), loaded.config, refit)
        examples.write_in_child(server, request, model, folder, fitted)
    return flops


def finish_files(
    request: ExportRequest, model: Path, stored: Path, temperature: float | None, server: "ForkServer"
) -> None:
    """Bake the temperature into the exported files, if that is asked for, and load the model in a fresh process.

    Args:
        request: What is exported.
        model: Its file.
        stored: What the model has answered, see ``search.exporting.scoring_job.score``.
        temperature: That calibrates its confidences; None where there is none.
        server: Starts the children.

    Raises:
        StudyStopped: The file does not load, or answers otherwise.
    """
    log, expected = request.loaded.paths.worker_log("export"), stored
    if request.options.calibrated and temperature is not None:
        bake_temperature(server, model, temperature, log)
        embed_class_names("keras", model, request.loaded.config.classes)
        expected = with_temperature(stored, temperature, stored.with_name("calibrated.npz"))
    request.say(Passing("loading the exported file in a fresh process"))
    verify_in_fresh_process("keras", model, expected, server.backend, "the exported file")
    if request.options.calibrated:
        write_other_formats(request, model, stored.parent, server)


def add_choice(summary: dict[str, Any], request: ExportRequest) -> None:
    """Add to a summary, and to its words, why this trial was chosen and how long it was trained in the end."""
    loaded, choice = request.loaded, []
    if request.no_race and ending.can_race(loaded.config):
        summary["no_race"] = request.no_race
        default = default_trial(loaded)
        same = default is not None and default.number == request.trial.number
        choice.append(no_race_sentence(request.no_race, is_default=same))
    if request.refit and loaded.final != loaded.config.final and request.options.refit_epochs is None:
        summary["words"].append(final_sentence(loaded.config.final, loaded.final))
    summary["prefer"] = request.options.prefer
    if request.options.trial is not None:
        summary["named"] = True
    if request.passed_over is not None:
        summary["passed_over"] = request.passed_over
    preferred = request.preference.sentence if request.preference else ""
    choice += [words for words in (preferred, request.remark) if words]
    for said in ("headline", "words"):
        summary[said] = [*summary[said], *choice]


def _record_scoring(request: ExportRequest) -> tuple[int, int]:
    """Count the scoring; return how often the images have been scored with it, and how often of these by others."""
    why = "refit" if request.refit else "confirm" if request.race else "export"
    if not request.loaded.still_there():  # Its key may be another study's by now, whose ledger it is not.
        raise StudyGone
    own = record_scoring(request.loaded.optuna, request.trial.number, why, request.without)
    times = times_images_scored(request.loaded)
    return times, times - own


def write_other_formats(request: ExportRequest, model: Path, scratch: Path, server: "ForkServer") -> None:
    """Write the requested formats beside ``model``, and say that they have been verified."""
    if not request.formats:
        return

    # Keras converts with TensorFlow; the file is the same for every backend.
    tensorflow = nullcontext(server) if server.backend == "tensorflow" else ForkServer("tensorflow")
    log = request.loaded.paths.worker_log("export")
    request.say(
        Passing(f"writing {', '.join(FORMATS[name].file for name in request.formats)}, and comparing them")
    )
    with tensorflow as running:
        images = write_formats(running, request.formats, model, request.loaded.dataset().folder, scratch, log)
    request.say(
        f"written and compared with Keras on {count(images, 'image')}: "
        + ", ".join(FORMATS[name].file for name in request.formats)
    )

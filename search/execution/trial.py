"""One trial's whole life, top to bottom, as its worker sees it."""

import dataclasses
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import optuna
from optuna.trial import TrialState

from search.errors import (
    DiskFull,
    SpaceFailed,
    StudyStopped,
    TrialCrashed,
    TrialFailed,
    TrialInterrupted,
    TrialOutOfMemory,
    TrialPruned,
    TrialRefused,
    is_disk_full,
)
from search.execution.cross_validation import train_folds
from search.execution.endings import end_pruned, end_refused, fail, requeue_once, requeue_short_of_memory
from search.execution.planning import failed_space, sample_trial
from search.execution.pruning import make_pruner
from search.execution.samplers import make_sampler
from search.execution.trial_child import TrialChild
from search.execution.trial_files import TrialFiles, delete_leftovers
from search.execution.worker import WORKER_LOG, Worker
from search.metrics.calibration import least_loss
from search.study.configurations import Draw
from search.study.fold_results import (
    PREDICTIONS,
    TIE_BREAK,
    TrainingOutcome,
    images_seen,
    least_milliseconds,
    matrix_of,
    mean_history,
    mean_value,
    tie_break,
    value_of,
)
from search.study.out_of_fold import read_out_of_fold
from search.study.proposal import asking_space
from search.study.study import MODEL
from search.training.plan import TrainingPlan
from search.web.study_page import feed_best
from search.web.trial_page import feed_trial, why_finished
from storage.claims import Claim, ClaimLost, lock_name
from storage.heartbeat import Heartbeat

CRASHES = "crashes"


def run_trial(worker: Worker, claim: Claim) -> None:
    """Run the claimed trial to its end, and record how it ended.

    Every way to end is one ``except``: the class of the exception decides (see ``search.errors``).

    Raises:
        StudyStopped: A disk is full, the space's code has changed, or no child can be started; the trial has been
            requeued.
    """
    worker.clock.switch("sampling")
    files = TrialFiles(worker.study, claim)
    WORKER_LOG.info(
        "trial %d begins or goes on; its log is %s", claim.number, worker.study.paths.log(claim.number)
    )
    try:
        with Heartbeat(claim) as heartbeat, claim.fenced():
            _live(worker, claim, files, heartbeat)
    except ClaimLost:
        # It went to another worker while this one was paused or cut off: what was done here is dropped.
        files.drop()
    finally:
        worker.listener.leave()
    WORKER_LOG.info("trial %d ends, or is left to another worker", claim.number)


def _live(worker: Worker, claim: Claim, files: TrialFiles, heartbeat: Heartbeat) -> None:
    config, uploaded, trial = worker.study.config, None, _open(worker, claim)
    if trial is None:
        return
    try:
        plan = sample_trial(worker, trial, files)
        value, matrix = _train(worker, claim, trial, plan, files, heartbeat)
        uploaded = _keep(trial, claim, files)
        why = why_finished(trial.user_attrs, config.epochs, config.unit)
        undrawn = feed_trial(worker.study, trial, "finished", why, value, matrix)
    except TrialPruned as pruned:
        end_pruned(worker, trial, claim, pruned)
    except TrialRefused as refused:
        end_refused(trial, claim, refused)
    except TrialInterrupted as interrupted:
        claim.requeue(clean=interrupted.clean)
        return
    except OSError as error:
        if not is_disk_full(error):
            raise
        claim.requeue(clean=True)
        raise DiskFull(error) from None
    except StudyStopped:
        claim.requeue(clean=True)
        raise
    except TrialOutOfMemory as failure:
        if requeue_short_of_memory(worker, trial, claim, files, failure):
            return
    except TrialCrashed as failure:
        if requeue_once(worker, trial, claim, CRASHES, failure):
            return
    except TrialFailed as failure:
        fail(worker, trial, claim, failure)
    else:
        claim.finish(TrialState.COMPLETE, value)
        worker.draw(undrawn)
        worker.listener.end(trial, "finished", "", value)
        feed_best(worker.study, claim.number)
    files.delete_checkpoints()
    delete_leftovers(worker.study, uploaded)


def _open(worker: Worker, claim: Claim) -> optuna.Trial | None:
    """The trial, with what its sampler chooses jointly; None where that has failed, and the trial with it."""
    config = worker.study.config
    # Opened again: a study object keeps the list of trials of its first sampling, and TPE would never see enough.
    study = optuna.load_study(
        study_name=config.study,
        storage=worker.study.storage,
        sampler=make_sampler(config, claim.number, lambda draw: _alone(worker, claim, draw)),
        pruner=make_pruner(config),
    )
    try:
        with asking_space():  # Joint sampling, by what other trials sampled, happens here.
            return optuna.trial.Trial(study, claim.trial_id)
    except SpaceFailed as failed:
        study.sampler = optuna.samplers.RandomSampler()
        fail(worker, optuna.trial.Trial(study, claim.trial_id), claim, failed_space(failed))
        return None


def _alone(worker: Worker, claim: Claim, draw: Callable[[], Draw]) -> Draw:
    """Draw a configuration while nobody else draws one or creates a trial of the study."""

    def fenced() -> Draw:
        with claim.fenced():
            return draw()

    return worker.study.storage.exclusively(lock_name(worker.study.study_id), fenced)


def _train(
    worker: Worker,
    claim: Claim,
    trial: optuna.Trial,
    plan: TrainingPlan,
    files: TrialFiles,
    heartbeat: Heartbeat,
) -> tuple[float, Sequence[Sequence[int]]]:
    """Train once, or once a fold.

    Returns:
        What the kept weights score, or the mean over the folds; and the confusion matrix of all validation images.
    """

    def train(plan: TrainingPlan, before: Sequence[TrainingOutcome] = ()) -> TrainingOutcome:
        if plan.folds:
            plan = dataclasses.replace(plan, predictions=str(files.predictions(plan.fold)))
        done, verdict = child.train(plan)
        if plan.folds:
            done[PREDICTIONS] = files.keep_predictions(plan.fold)
        _record(trial, done, plan, [*before, done])
        if verdict:
            raise TrialPruned(verdict)
        return done

    with files.uploading(), TrialChild(worker, claim, trial, files, heartbeat) as child:
        config = worker.study.config
        if not config.folds:
            done = train(plan)
            trial.set_user_attr(TIE_BREAK, tie_break(done))  # For who reads no learning curves.
            return value_of(done, plan.value_name), matrix_of([done])
        in_folds = dataclasses.replace(plan, folds=config.folds, fold_of=config.fold_of)
        finished = train_folds(trial, in_folds, worker.stop, train, files.delete_checkpoints)
        found = read_out_of_fold(worker.study, trial.number, finished)
        if found is not None:
            trial.set_user_attr(TIE_BREAK, least_loss(found))
        return mean_value(finished), matrix_of(finished)


def _record(
    trial: optuna.Trial, done: dict[str, Any], plan: TrainingPlan, runs: Sequence[TrainingOutcome]
) -> None:
    """Record on the trial what its trainings so far came to, of which ``done`` is the last."""
    seconds, seen = sum(sum(run["history"]["seconds"]) for run in runs), images_seen(runs)
    for name, value in {
        "history": mean_history(runs),
        "epochs": sum(run["epochs"] for run in runs),
        "kept_epoch": round(fmean(run["kept_epoch"] for run in runs)),
        "compute": 3.0 * trial.user_attrs["flops"] * seen,
        "validation_compute": float(trial.user_attrs["flops"])
        * sum(run.get("images_validated", 0) for run in runs),
        "seconds": round(seconds, 3),
        "images_per_second": round(seen / max(seconds, 1e-9), 1),
        "validation_images": sum(run.get("validation_images", 0) for run in runs),
        **least_milliseconds(runs),
        "backend": done["backend"],
        "versions": done["versions"],
        "batch_size": done["batch_size"],
        "batch_that_fitted": max(1, done["batch_size"] // plan.accumulate),
    }.items():
        trial.set_user_attr(name, value)


def _keep(trial: optuna.Trial, claim: Claim, files: TrialFiles) -> str | None:
    """Record where the kept weights are, before the trial counts; return the name of their artifact, if any."""
    trial.set_user_attr("token", claim.token)
    name = files.keep_model()
    if name is not None:
        trial.set_user_attr(MODEL, name)
    return name

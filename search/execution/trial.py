"""One trial's whole life, top to bottom, as its worker sees it."""

import dataclasses
import logging
import traceback
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any, cast

import optuna
from optuna.trial import TrialState

import spaces
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
from search.execution.pruning import Sparing, is_spared, make_pruner
from search.execution.samplers import make_sampler
from search.execution.trial_child import TrialChild
from search.execution.trial_files import TrialFiles, delete_leftovers
from search.execution.worker import Worker
from search.metrics.calibration import least_loss
from search.study.built_cost import is_to_compare
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
from search.study.length import set_length, violations
from search.study.out_of_fold import read_out_of_fold
from search.study.prices import DEFAULT
from search.study.proposal import Proposal, asking_space, propose
from search.study.seeds import seed_number, trial_seed
from search.study.served_model import ServedModel, proposal_of
from search.study.space_version import RAISED
from search.study.study import MODEL, LoadedStudy
from search.study.sweep_cells import REPEAT
from search.training.plan import TrainingPlan
from search.web.study_page import feed_best
from search.web.trial_page import feed_trial, why_finished
from spaces.contract import Params, Space
from spaces.recipe import Recipe
from storage.claims import Claim, ClaimLost, lock_name
from storage.heartbeat import Heartbeat
from storage.memory import GPU, HOST

CRASHES, ACCUMULATE = "crashes", "accumulate"
# The length of a trial that is not as long as the others: it is fitted exactly, at once.
PLANNED_EPOCHS = "planned_epochs"
# For the worker's log file alone: the screen shows the same in its own way.
WORKER_LOG = logging.getLogger(f"{__name__}.log")
WORKER_LOG.propagate = False
WORKER_LOG.setLevel(logging.INFO)


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
        plan = _sample(worker, trial, files)
        value, matrix = _train(worker, claim, trial, plan, files, heartbeat)
        uploaded = _keep(trial, claim, files)
        why = why_finished(trial.user_attrs, config.epochs, config.unit)
        undrawn = feed_trial(worker.study, trial, "finished", why, value, matrix)
    except TrialPruned as pruned:
        _end_pruned(worker, trial, claim, pruned)
    except TrialRefused as refused:
        _end_refused(trial, claim, refused)
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
        if _with_more_memory(worker, trial, claim, files, failure):
            return
    except TrialCrashed as failure:
        if _once_more(worker, trial, claim, CRASHES, failure):
            return
    except TrialFailed as failure:
        _fail(worker, trial, claim, failure)
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
        _fail(worker, optuna.trial.Trial(study, claim.trial_id), claim, _failure(failed))
        return None


def _end_pruned(worker: Worker, trial: optuna.Trial, claim: Claim, pruned: TrialPruned) -> None:
    trial.set_user_attr("reason", str(pruned))
    reports = trial.storage.get_trial(claim.trial_id).intermediate_values
    last = reports[max(reports)] if reports else None
    undrawn = feed_trial(worker.study, trial, "pruned", _sentence(pruned), last)
    claim.finish(TrialState.PRUNED, last)
    worker.draw(undrawn)
    worker.listener.end(trial, "pruned", str(pruned), last)


def _end_refused(trial: optuna.Trial, claim: Claim, refused: TrialRefused) -> None:
    trial.set_user_attr("reason", str(refused))
    for name, violation in refused.violations.items():
        if name not in trial.constraints:
            trial.set_constraint(name, violation)
    claim.finish(TrialState.PRUNED)


def _with_more_memory(
    worker: Worker, trial: optuna.Trial, claim: Claim, files: TrialFiles, failure: TrialOutOfMemory
) -> bool:
    """Give a trial that ran out of memory back, for smaller batches or a worker with more; else it has failed."""
    trial.set_user_attr("first_failure", failure.reason)  # First of all: is the trial still ours?
    # The checkpoint is of the same weights, but of a training whose batches were another size: begin again, though
    # not with folds that are finished.
    files.delete_checkpoints()
    if trial.user_attrs.get(ACCUMULATE) and claim.leave_to_roomier(_short_of(worker, failure)):
        WORKER_LOG.info("trial %d is out of memory again: left to a worker with more", claim.number)
        return True
    return _once_more(worker, trial, claim, ACCUMULATE, failure)


def _alone(worker: Worker, claim: Claim, draw: Callable[[], Draw]) -> Draw:
    """Draw a configuration while nobody else draws one or creates a trial of the study."""

    def fenced() -> Draw:
        with claim.fenced():
            return draw()

    return worker.study.storage.exclusively(lock_name(worker.study.study_id), fenced)


def plan_training(
    study: LoadedStudy, number: int, params: Params, recipe: Recipe, flops: float
) -> TrainingPlan:
    """The training of trial ``number`` as its study defines it, without a checkpoint and without a file to keep.

    ``flops`` are the operations of an image's forward pass, which say how many steps a study's compute allows.
    """
    config = study.config
    plan = TrainingPlan(
        space=config.space,
        params=dict(params),
        recipe=recipe,
        input_spec=config.input_spec,
        dataset=str(study.dataset().folder),
        validation=config.validation,
        images=config.images,
        split_seed=config.seed,
        seed=trial_seed(config, number),
        # What is fitted at once has no parts.
        epochs=1 if recipe.is_exact else config.epochs,
        metric=config.metric,
        early_stopping=config.early_stopping,
        class_weights=config.class_weights,
        flip=config.flip,
        race_images=config.race_images,
        space_code=spaces.code_of(spaces.load(config.space)),
    )
    if not config.length or recipe.is_exact:
        return plan
    return set_length(plan, config.length, flops, config.training_images)


def _sample(worker: Worker, trial: optuna.Trial, files: TrialFiles) -> TrainingPlan:
    config = worker.study.config
    try:
        space = spaces.load(config.space)
        proposal = _propose(worker, trial, space)
    except SpaceFailed as failed:
        raise _failure(failed) from failed
    is_default = is_spared(trial.params, space, config)
    if is_default:
        trial.study.pruner = Sparing(trial.study.pruner)  # This study object is the trial's alone.
    parameters, flops = map(int, proposal.cost)
    violated = violations(config, proposal.cost, proposal.recipe)
    # A sweep's cell is no sample: whoever asked for it is to see it fail.
    if violated and REPEAT in trial.user_attrs:
        raise TrialFailed(f"too large: {TrialRefused(violated)}")
    plan = plan_training(worker.study, seed_number(trial), proposal.params, proposal.recipe, flops)
    attributes = trial.user_attrs
    for name, value in {
        "params": proposal.params,
        "parameters": parameters,
        "flops": flops,
        "seed": plan.seed,
        "worker": worker.claims.worker,
        # A trial that goes on keeps the count it began with: with another its curve would be another.
        "threads": attributes.get("threads", worker.threads),
        **({PLANNED_EPOCHS: 1} if plan.recipe.is_exact else {}),
        **({DEFAULT: True} if is_default else {}),
    }.items():
        if attributes.get(name) != value:
            trial.set_user_attr(name, value)
    if violated:
        raise TrialRefused(violated)
    return dataclasses.replace(
        plan,
        checkpoint=str(files.checkpoint),
        go_on_from=files.go_on_from(),
        checkpoint_seconds=worker.checkpoint_seconds,
        model=str(files.model),
        accumulate=2 if attributes.get(ACCUMULATE) else 1,
        gpu_memory=worker.gpu_memory,
        counted=is_to_compare(config, worker.study.optuna.get_trials(deepcopy=False)),
    )


def _propose(worker: Worker, trial: optuna.Trial, space: Space) -> Proposal:
    """Sample the trial's configuration; a user's model is made in a child, once, which asks for its values."""
    spec = worker.study.config.input_spec
    if not isinstance(space, spaces.UserModel):
        return propose(space, trial, spec)

    def check() -> None:
        if worker.stop.requested:
            raise TrialInterrupted("stopped", clean=True)

    served = ServedModel(
        space,
        worker.server,
        worker.study.paths.log(trial.number),
        threads=worker.threads,
        environment=worker.environment,
        check=check,
    )
    return proposal_of(space, trial.user_attrs, spec) or propose(cast(Space, served), trial, spec)


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


def _once_more(worker: Worker, trial: optuna.Trial, claim: Claim, kind: str, failure: TrialFailed) -> bool:
    """Requeue the trial after its first failure of a kind; fail it after the second."""
    if trial.user_attrs.get(kind):
        _fail(worker, trial, claim, failure)
        return False
    trial.set_user_attr(kind, 1)
    trial.set_user_attr("first_failure", failure.reason)
    claim.requeue()
    return True


def _short_of(worker: Worker, failure: TrialOutOfMemory) -> str:
    """Which kind of memory ran out: where there is a GPU its own, unless it was surely the host's."""
    return HOST if failure.of_host or GPU not in worker.claims.memory else GPU


def _failure(failed: SpaceFailed) -> TrialFailed:
    return TrialFailed(str(failed), "".join(traceback.format_exception(failed)), raised=True)


def _fail(worker: Worker, trial: optuna.Trial, claim: Claim, failure: TrialFailed) -> None:
    trial.set_user_attr("reason", failure.reason)
    trial.set_user_attr("last_lines", failure.last_lines)
    trial.set_user_attr(RAISED, failure.raised)
    undrawn = feed_trial(worker.study, trial, "failed", _sentence(failure))
    claim.finish(TrialState.FAIL)
    worker.draw(undrawn)
    worker.listener.end(trial, "failed", failure.reason, None)


def _sentence(words: object) -> str:
    text = str(words)
    return f"{text[:1].upper()}{text[1:]}."

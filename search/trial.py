"""One trial's whole life, top to bottom, as its worker sees it."""

import dataclasses
import json
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import optuna
from optuna.trial import TrialState

import spaces
from search.child import ForkServer
from search.config import StudyConfig
from search.errors import (
    DiskFull,
    TrialCrashed,
    TrialFailed,
    TrialInterrupted,
    TrialOutOfMemory,
    TrialPruned,
    is_disk_full,
)
from search.feeding.study import feed_best
from search.feeding.trial import feed_trial, why_finished
from search.files import MODEL, TrialFiles, clear_away
from search.folds import Run, images_seen, matrix_of, mean_history, mean_value, train_folds, value_of
from search.follower import Follower
from search.reporter import Reporter
from search.sampling import make_pruner, make_sampler, seed_number, trial_seed
from search.spent import Clock, noted
from search.stopping import Stop
from search.study import LoadedStudy
from search.training.plan import TrainingPlan
from spaces.contract import Params, Space
from spaces.recipe import Recipe
from storage.claims import Claim, ClaimLost, Claims
from storage.errors import DatabaseGone
from storage.heart import Heart

CRASHES, ACCUMULATE = "crashes", "accumulate"


@dataclass
class Worker:
    """What a worker has at hand for its trials.

    Attributes:
        study: The open study.
        server: Starts the children.
        claims: This worker's claims on the study.
        stop: Whether, and how urgently, to stop.
        gpu_memory: Limit in GB for each child; None lets it grow.
        threads: CPU threads for each child; 0 leaves the backend's own choice.
        environment: Variables for each child: which GPU is this worker's.
        checkpoint_seconds: At most one checkpoint in so many seconds.
        hang_seconds: The least silence for which a child is taken for hung.
        stop_seconds: For a child to reach its next batch boundary once asked to stop.
        clock: Where its time goes.
    """

    study: LoadedStudy
    server: ForkServer
    claims: Claims
    stop: Stop
    gpu_memory: float | None = None
    threads: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    checkpoint_seconds: float = 30.0
    hang_seconds: float = 60.0
    stop_seconds: float = 10.0
    clock: Clock = field(default_factory=Clock)


def run_trial(worker: Worker, claim: Claim) -> None:
    """Run the claimed trial to whatever end it comes to, and tell the study.

    Every way to end is one ``except``: the class of the exception decides (see ``search.errors``).

    Raises:
        DiskFull: It was given back.
    """
    worker.clock.turn("sampling")
    files = TrialFiles(worker.study, claim)
    try:
        with Heart(claim) as heart, claim.owned():
            _live(worker, claim, files, heart)
    except ClaimLost:
        # It went to another worker while this one was paused or cut off: what was done here is dropped.
        files.drop()


def _live(worker: Worker, claim: Claim, files: TrialFiles, heart: Heart) -> None:
    config = worker.study.config
    # Opened anew: a study object keeps the list of trials of its first sampling, and TPE would never see enough.
    study = optuna.load_study(
        study_name=config.study,
        storage=worker.study.storage,
        sampler=make_sampler(config, claim.number),
        pruner=make_pruner(config),
    )
    trial = optuna.trial.Trial(study, claim.trial_id)
    uploaded = None
    try:
        plan = _sample(worker, trial, files)
        value, matrix = _train(worker, claim, trial, plan, files, heart)
        uploaded = _keep(trial, claim, files)
        why = why_finished(trial.user_attrs, config.epochs)
        feed_trial(worker.study, worker.server, trial, "finished", why, value, matrix)
    except TrialPruned as pruned:
        trial.set_user_attr("reason", str(pruned))
        reports = trial.storage.get_trial(claim.trial_id).intermediate_values
        last = reports[max(reports)] if reports else None
        feed_trial(worker.study, worker.server, trial, "pruned", _sentence(pruned), last)
        claim.tell(TrialState.PRUNED, last)
    except TrialInterrupted:
        claim.give_back()
        return
    except OSError as error:
        if not is_disk_full(error):
            raise
        claim.give_back()
        raise DiskFull(error) from None
    except DiskFull:
        claim.give_back()
        raise
    except TrialOutOfMemory as failure:
        trial.set_user_attr("first_failure", failure.reason)  # First of all: is the trial still ours?
        # The checkpoint is of the same weights, but of a training whose batches were another size: begin again, though
        # not with folds that are finished.
        files.forget_checkpoints()
        if _once_more(worker, trial, claim, ACCUMULATE, failure):
            return
    except TrialCrashed as failure:
        if _once_more(worker, trial, claim, CRASHES, failure):
            return
    except TrialFailed as failure:
        _fail(worker, trial, claim, failure)
    else:
        claim.tell(TrialState.COMPLETE, value)
        feed_best(worker.study, claim.number)
    files.forget_checkpoints()
    clear_away(worker.study, uploaded)


def plan_training(study: LoadedStudy, number: int, params: Params, recipe: Recipe) -> TrainingPlan:
    """The training of trial ``number``, as its study has it, with neither checkpoint nor kept file."""
    config = study.config
    return TrainingPlan(
        space=config.space,
        params=dict(params),
        recipe=recipe,
        input_spec=config.input_spec,
        dataset=str(study.dataset().folder),
        validation=config.validation,
        images=config.images,
        split_seed=config.seed,
        seed=trial_seed(config, number),
        epochs=config.epochs,
        metric=config.metric,
        early_stopping=config.early_stopping,
        class_weights=config.class_weights,
        flip=config.flip,
    )


def recipe_of(space: Space, params: Params, config: StudyConfig) -> Recipe:
    """The recipe of a configuration: the space's own, or the default one."""
    if hasattr(space, "recipe"):
        return space.recipe(params, config.input_spec)
    return Recipe()


def _sample(worker: Worker, trial: optuna.Trial, files: TrialFiles) -> TrainingPlan:
    config = worker.study.config
    space = spaces.load(config.space)
    try:
        params = space.sample(trial, config.input_spec)
        parameters, flops = map(int, space.cost(params, config.input_spec))
        recipe = recipe_of(space, params, config)
        plan = plan_training(worker.study, seed_number(trial), params, recipe)
        json.dumps(plan.to_payload())
    except (ClaimLost, DatabaseGone):
        raise
    except Exception as error:  # Of a user's own space anything may come; it ends this trial, not the worker.
        raise TrialFailed(f"the space failed: {error!r}", traceback.format_exc()) from error
    attributes = trial.user_attrs
    for name, value in {
        "params": dict(params),
        "parameters": parameters,
        "flops": flops,
        "seed": plan.seed,
        "worker": worker.claims.worker,
        # A trial that goes on keeps the count it began with: with another its curve would be another.
        "threads": attributes.get("threads", worker.threads),
    }.items():
        if attributes.get(name) != value:
            trial.set_user_attr(name, value)
    if flops > config.max_flops or parameters > config.max_parameters:
        raise TrialFailed("too large: over --max-cost or --max-parameters")
    return dataclasses.replace(
        plan,
        checkpoint=str(files.checkpoint),
        go_on_from=files.go_on_from(),
        checkpoint_seconds=worker.checkpoint_seconds,
        model=str(files.model),
        accumulate=2 if attributes.get(ACCUMULATE) else 1,
        gpu_memory=worker.gpu_memory,
    )


def _train(
    worker: Worker, claim: Claim, trial: optuna.Trial, plan: TrainingPlan, files: TrialFiles, heart: Heart
) -> tuple[float, Sequence[Sequence[int]]]:
    """Train once, or once a fold; what the kept weights score, or the folds' mean, and the confusion matrix of all."""

    def train(plan: TrainingPlan, before: Sequence[Run] = ()) -> Run:
        done, verdict = _train_in_child(worker, claim, trial, plan, files, heart)
        _record(trial, done, plan, [*before, done])
        if verdict:
            raise TrialPruned(verdict)
        return done

    with files.uploading():
        if not worker.study.config.folds:
            done = train(plan)
            return value_of(done, plan.value_name), matrix_of([done])
        in_folds = dataclasses.replace(plan, folds=worker.study.config.folds)
        finished = train_folds(trial, in_folds, worker.stop, train, files.forget_checkpoints)
        return mean_value(finished), matrix_of(finished)


def _train_in_child(
    worker: Worker, claim: Claim, trial: optuna.Trial, plan: TrainingPlan, files: TrialFiles, heart: Heart
) -> tuple[dict[str, Any], str]:
    """Train in a child; what it said at its end, and why its trial is pruned, if it is."""
    log = worker.study.paths.log(claim.number)
    threads = int(trial.user_attrs["threads"])
    job = "search.training.job:train"
    worker.clock.turn("starting")
    with (
        noted(trial, worker.clock),
        Reporter(claim, heart, worker.stop, trial, plan) as reporter,
        worker.server.start(job, plan.to_payload(), log, threads, worker.environment) as child,
    ):
        heart.shown["child"] = child.pid
        follower = Follower(
            reporter,
            worker.stop,
            heart.check,
            worker.clock,
            hang_seconds=worker.hang_seconds,
            stop_seconds=worker.stop_seconds,
            on_checkpoint=files.written,
        )
        done = follower.follow(child)
        if done["stopped"]:
            raise TrialInterrupted("stopped")
    return done, reporter.verdict


def _record(trial: optuna.Trial, done: dict[str, Any], plan: TrainingPlan, runs: Sequence[Run]) -> None:
    """Store what ``done`` says of a trial whose trainings so far are ``runs``: one, or one a fold."""
    seconds, seen = sum(sum(run["history"]["seconds"]) for run in runs), images_seen(runs)
    for name, value in {
        "history": mean_history(runs),
        "epochs": sum(run["epochs"] for run in runs),
        "kept_epoch": round(fmean(run["kept_epoch"] for run in runs)),
        "compute": 3.0 * trial.user_attrs["flops"] * seen,
        "seconds": round(seconds, 3),
        "images_per_second": round(seen / max(seconds, 1e-9), 1),
        "backend": done["backend"],
        "versions": done["versions"],
        "batch_size": done["batch_size"],
        "batch_that_fitted": max(1, done["batch_size"] // plan.accumulate),
    }.items():
        trial.set_user_attr(name, value)


def _keep(trial: optuna.Trial, claim: Claim, files: TrialFiles) -> str | None:
    """Say where the kept weights are, before the trial counts; the name of their artifact, if there is one."""
    trial.set_user_attr("token", claim.token)
    name = files.keep_model()
    if name is not None:
        trial.set_user_attr(MODEL, name)
    return name


def _once_more(worker: Worker, trial: optuna.Trial, claim: Claim, kind: str, failure: TrialFailed) -> bool:
    """The first failure of its kind gives the trial back; the second ends it."""
    if trial.user_attrs.get(kind):
        _fail(worker, trial, claim, failure)
        return False
    trial.set_user_attr(kind, 1)
    trial.set_user_attr("first_failure", failure.reason)
    claim.give_back()
    return True


def _fail(worker: Worker, trial: optuna.Trial, claim: Claim, failure: TrialFailed) -> None:
    trial.set_user_attr("reason", failure.reason)
    trial.set_user_attr("last_lines", failure.last_lines)
    feed_trial(worker.study, worker.server, trial, "failed", _sentence(failure))
    claim.tell(TrialState.FAIL)


def _sentence(words: object) -> str:
    text = str(words)
    return f"{text[:1].upper()}{text[1:]}."

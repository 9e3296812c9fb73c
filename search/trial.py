"""One trial's whole life, top to bottom, as its worker sees it."""

import dataclasses
import json
import traceback
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import TrialState

import spaces
from search.child import ForkServer
from search.config import StudyConfig
from search.errors import (
    TrialCrashed,
    TrialFailed,
    TrialInterrupted,
    TrialOutOfMemory,
    TrialPruned,
)
from search.follower import Follower
from search.sampling import make_pruner, make_sampler, trial_seed
from search.stopping import Stop
from search.study import LoadedStudy
from search.training.plan import TrainingPlan
from spaces.contract import Params, Space
from spaces.recipe import Recipe
from storage.claims import Claims

KEPT_MODELS = 3
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
        checkpoint_seconds: At most one checkpoint in so many seconds.
    """

    study: LoadedStudy
    server: ForkServer
    claims: Claims
    stop: Stop
    gpu_memory: float | None = None
    threads: int = 0
    checkpoint_seconds: float = 30.0


def run_trial(worker: Worker, trial_id: int) -> None:
    """Run the claimed trial to whatever end it comes to, and tell the study.

    Every way to end is one ``except``: the class of the exception decides (see ``search.errors``).
    """
    study = worker.study.optuna
    number = worker.study.storage.get_trial(trial_id).number
    study.sampler = make_sampler(worker.study.config, number)
    study.pruner = make_pruner(worker.study.config)
    trial = optuna.trial.Trial(study, trial_id)
    try:
        plan = _sample(worker, trial)
        value = _train(worker, trial, plan)
    except TrialPruned as pruned:
        trial.set_user_attr("reason", str(pruned))
        study.tell(number, state=TrialState.PRUNED)
    except TrialInterrupted:
        worker.claims.give_back(trial_id)
        return
    except TrialOutOfMemory as failure:
        # The checkpoint is of the same weights, but of a training whose batches were another size: begin again.
        _forget_checkpoint(worker.study, number)
        _once_more_or_fail(worker, trial, ACCUMULATE, failure)
        return
    except TrialCrashed as failure:
        _once_more_or_fail(worker, trial, CRASHES, failure)
        return
    except TrialFailed as failure:
        _fail(worker, trial, failure)
    else:
        study.tell(number, value, state=TrialState.COMPLETE)
    _forget_checkpoint(worker.study, number)
    _keep_best_models(worker.study)


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


def _sample(worker: Worker, trial: optuna.Trial) -> TrainingPlan:
    config, paths = worker.study.config, worker.study.paths
    space = spaces.load(config.space)
    try:
        params = space.sample(trial, config.input_spec)
        parameters, flops = map(int, space.cost(params, config.input_spec))
        recipe = recipe_of(space, params, config)
        plan = plan_training(worker.study, trial.number, params, recipe)
        json.dumps(plan.to_payload())
    except Exception as error:  # Of a user's own space anything may come; it ends this trial, not the worker.
        raise TrialFailed(f"the space failed: {error!r}", traceback.format_exc()) from error
    for name, value in {
        "params": dict(params),
        "parameters": parameters,
        "flops": flops,
        "seed": plan.seed,
        "worker": worker.claims.worker,
        "threads": worker.threads,
        "batch_size": recipe.batch_size,
    }.items():
        trial.set_user_attr(name, value)
    if flops > config.max_flops or parameters > config.max_parameters:
        raise TrialFailed("too large: over --max-cost or --max-parameters")
    paths.trial(trial.number).mkdir(parents=True, exist_ok=True)
    return dataclasses.replace(
        plan,
        checkpoint=str(paths.checkpoint(trial.number)),
        checkpoint_seconds=worker.checkpoint_seconds,
        model=str(paths.model(trial.number)),
        accumulate=2 if trial.user_attrs.get(ACCUMULATE) else 1,
        gpu_memory=worker.gpu_memory,
    )


def _train(worker: Worker, trial: optuna.Trial, plan: TrainingPlan) -> float:
    """Train in a child; the value of the weights that it kept."""
    log = worker.study.paths.log(trial.number)
    follower = Follower(worker.claims, worker.stop, trial, plan)
    with worker.server.start("search.training.job:train", plan.to_payload(), log, worker.threads) as child:
        done = follower.follow(child)
    if done["stopped"]:
        raise TrialInterrupted("stopped")
    _record(trial, done)
    if follower.verdict:
        raise TrialPruned(follower.verdict)
    return float(done["history"][plan.value_name][done["kept_epoch"] - 1])


def _record(trial: optuna.Trial, done: dict[str, Any]) -> None:
    history = done["history"]
    seconds = sum(history["seconds"])
    for name, value in {
        "history": history,
        "epochs": done["epochs"],
        "kept_epoch": done["kept_epoch"],
        "seconds": round(seconds, 3),
        "images_per_second": round(done["training_images"] * done["epochs"] / max(seconds, 1e-9), 1),
        "backend": done["backend"],
        "versions": done["versions"],
    }.items():
        trial.set_user_attr(name, value)


def _once_more_or_fail(worker: Worker, trial: optuna.Trial, kind: str, failure: TrialFailed) -> None:
    """The first failure of its kind gives the trial back; the second ends it."""
    if trial.user_attrs.get(kind):
        _fail(worker, trial, failure)
        _forget_checkpoint(worker.study, trial.number)
        return
    trial.set_user_attr(kind, 1)
    trial.set_user_attr("first_failure", failure.reason)
    worker.claims.give_back(trial._trial_id)


def _fail(worker: Worker, trial: optuna.Trial, failure: TrialFailed) -> None:
    trial.set_user_attr("reason", failure.reason)
    trial.set_user_attr("last_lines", failure.last_lines)
    worker.study.optuna.tell(trial.number, state=TrialState.FAIL)


def _forget_checkpoint(study: LoadedStudy, number: int) -> None:
    """Delete it, and what a writer that was killed left beside it."""
    checkpoint = study.paths.checkpoint(number)
    checkpoint.unlink(missing_ok=True)
    for left in checkpoint.parent.glob(".*"):
        left.unlink(missing_ok=True)


def _keep_best_models(study: LoadedStudy) -> None:
    """Delete the kept weights of all but the best few trials: disk use must not grow with the study."""
    for trial in study.ranked()[KEPT_MODELS:]:
        study.paths.model(trial.number).unlink(missing_ok=True)

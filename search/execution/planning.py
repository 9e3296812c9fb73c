"""From a claimed trial to its training: the configuration that is sampled, what of it is recorded, and the plan."""

import dataclasses
import traceback
from typing import cast

import optuna

import spaces
from search.errors import SpaceFailed, TrialFailed, TrialInterrupted, TrialRefused
from search.execution.pruning import Sparing
from search.execution.trial_files import TrialFiles
from search.execution.worker import Worker
from search.study.built_cost import is_to_compare
from search.study.length import set_length, violations
from search.study.prices import DEFAULT
from search.study.proposal import Proposal, default_configuration, propose
from search.study.seeds import seed_number, trial_seed
from search.study.served_model import ServedModel, proposal_of
from search.study.study import LoadedStudy
from search.study.sweep_cells import REPEAT
from search.training.plan import TrainingPlan
from spaces.contract import Params, Space
from spaces.recipe import Recipe

# An attribute of a trial whose memory ran out: its batches are halved, with gradients accumulated.
ACCUMULATE = "accumulate"
# The length of a trial that is not as long as the others: it is fitted exactly, at once.
PLANNED_EPOCHS = "planned_epochs"


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


def sample_trial(worker: Worker, trial: optuna.Trial, files: TrialFiles) -> TrainingPlan:
    """Sample a trial's configuration, record it on the trial, and plan its training.

    Raises:
        TrialRefused: The study does not train what is so large, or so long.
        TrialFailed: The space fails, or a sweep's cell is too large.
        TrialInterrupted: The worker was asked to stop while a user's model was made.
    """
    config = worker.study.config
    try:
        space = spaces.load(config.space)
        proposal = _propose(worker, trial, space)
    except SpaceFailed as failed:
        raise failed_space(failed) from failed
    is_default = trial.params == default_configuration(space, config)
    if is_default:  # It is never pruned: the others are compared with it.
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


def failed_space(failed: SpaceFailed) -> TrialFailed:
    """The end of a trial whose space has failed, with all that was raised."""
    return TrialFailed(str(failed), "".join(traceback.format_exception(failed)), raised=True)

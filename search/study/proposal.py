"""What a space answers when it is asked for a configuration: checked, and its failures in one form of words.

A space may be a user's, and of a user's code anything may come. Whoever asks one asks it through here.
"""

import dataclasses
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)

from search.config.study_config import StudyConfig
from search.errors import (
    DiskFull,
    SpaceFailed,
    StudyStopped,
    TrialFailed,
    TrialInterrupted,
    failure_words,
    is_disk_full,
)
from search.study.finding import quiet
from spaces.contract import Cost, InputSpec, Params, Space
from spaces.recipe import Recipe
from storage.claims import ClaimLost
from storage.errors import DatabaseGone

# They are about the trial or its database, whatever code they come through.
PASSED_ON = (
    ClaimLost,
    DatabaseGone,
    optuna.exceptions.StorageInternalError,
    optuna.exceptions.UpdateFinishedTrialError,
)


@dataclass(frozen=True)
class Proposal:
    """One configuration, with all that a space says of it without Keras.

    Attributes:
        params: Its values, plain.
        cost: What its net costs.
        recipe: How it is trained: the space's own recipe, or the default one.
    """

    params: dict[str, Any]
    cost: Cost
    recipe: Recipe


def propose(space: Space, trial: optuna.trial.BaseTrial, input_spec: InputSpec) -> Proposal:
    """Sample a configuration.

    Args:
        space: Whose it is.
        trial: Suggests the values.
        input_spec: Of the study.

    Raises:
        SpaceFailed: The space raises something, or returns what its contract does not allow.
        DiskFull: The suggested values could not be stored.
    """
    with asking_space():
        params = space.sample(trial, input_spec)
        _check_params(params, trial)
        cost = _checked_cost(space.cost(params, input_spec))
        return Proposal(dict(params), cost, recipe_of(space, params, input_spec))


def propose_some(
    space: Space, input_spec: InputSpec, count: int
) -> Iterator[tuple[optuna.Trial, Proposal | SpaceFailed]]:
    """Sample some configurations at random, the same ones always, aside from any study.

    Yields:
        The trial that suggested the values; and the configuration, or how the space failed.
    """
    aside = optuna.storages.InMemoryStorage()
    for seed in range(count):
        with quiet():
            aside.create_new_study([optuna.study.StudyDirection.MAXIMIZE], f"probe {seed}")
        trial = optuna.load_study(
            study_name=f"probe {seed}", storage=aside, sampler=optuna.samplers.RandomSampler(seed=seed)
        ).ask()
        try:
            yield trial, propose(space, trial, input_spec)
        except SpaceFailed as failed:
            yield trial, failed


@contextmanager
def asking_space() -> Iterator[None]:
    """Within the block, raise whatever a user's code raises as ``SpaceFailed``.

    Raises:
        SpaceFailed: In one line, with the place in the user's code.
        DiskFull: What the block stores finds no room.
    """
    try:
        yield
    except (*PASSED_ON, SpaceFailed, TrialInterrupted, TrialFailed, StudyStopped):
        raise
    except (Exception, SystemExit) as error:  # A user's code may end itself; Ctrl-C is the user's, though.
        if is_disk_full(error):
            raise DiskFull(error) from None
        raise SpaceFailed(failure_words(error), type(error).__name__) from error


def recipe_of(space: Space, params: Params, input_spec: InputSpec) -> Recipe:
    """The recipe of a configuration: the space's own where it has one, else the default.

    Raises:
        SpaceFailed: The space raises something, or returns no recipe.
    """
    if not hasattr(space, "recipe"):
        return Recipe()
    with asking_space():
        recipe = space.recipe(params, input_spec)
    if not isinstance(recipe, Recipe):
        raise SpaceFailed(f"recipe returned {recipe!r:.80}; expected a spaces.Recipe")
    return recipe


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a value is one of a parameter's."""
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except (ValueError, TypeError, OverflowError):
        return False


def range_words(distribution: BaseDistribution) -> str:
    """A parameter's values in words: ``a whole number from 16 to 96``, its bounds exact."""
    match distribution:
        case CategoricalDistribution(choices=choices):
            return f"one of {', '.join(map(repr, choices))}"
        case IntDistribution(low=low, high=high, step=step):
            words = f"a whole number from {low} to {high}"
        case FloatDistribution(low=low, high=high, step=step):
            words = f"a number from {low} to {high}"
        case _:
            return f"a value of {distribution}"
    return words if step in (None, 1) else f"{words} in steps of {step}"


def own_configurations(space: Space, config: StudyConfig) -> list[dict[str, Any]]:
    """The configurations that the space itself wants tried first, its default before the others; often none.

    Raises:
        SpaceFailed: ``first`` raises something, or returns no list of dicts.
    """
    if not hasattr(space, "first"):
        return []
    compute = config.length / config.training_images if config.sized else 0.0
    with asking_space():
        own = space.first(dataclasses.replace(config.input_spec, compute=compute))
    if not isinstance(own, list | tuple) or not all(isinstance(values, dict) for values in own):
        raise SpaceFailed(f"first returned {own!r:.80}; expected a list of dicts of values")
    return list(own)


def default_configuration(space: Space, config: StudyConfig) -> dict[str, Any] | None:
    """The space's default, the first of its own configurations; None where it has none, or fails when asked."""
    try:
        return next(iter(own_configurations(space, config)), None)
    except SpaceFailed:  # It worked when the study was created.
        return None


def _check_params(params: Any, trial: optuna.trial.BaseTrial) -> None:
    if not isinstance(params, dict):
        raise SpaceFailed(f"sample returned {params!r:.80}; expected a dict of values")
    try:
        read_again = json.loads(json.dumps(params))
    except (TypeError, ValueError) as error:
        raise SpaceFailed(f"sample returned what is not plain ({error}); expected text and numbers") from None
    for name, value in params.items():
        try:
            json.dumps(value, allow_nan=False)
        except ValueError:  # JSON has no NaN: strict parsers would refuse the summary of an export.
            raise SpaceFailed(
                f"sample returned {name!r}: {value!r:.60}, which is not finite; expected text and finite numbers"
            ) from None
        # Stored as JSON, a number as a name becomes text, and a tuple a list: ``build`` would be given another.
        if name not in read_again or read_again[name] != value:
            raise SpaceFailed(
                f"sample returned {name!r}: {value!r:.60}, which cannot be stored as it is; expected text for "
                "names, and text and numbers"
            )
    for name, distribution in trial.distributions.items():
        # What does not come back from the database as it was makes joint sampling fail, after some ten trials.
        if json_to_distribution(distribution_to_json(distribution)) != distribution:
            raise SpaceFailed(
                f"sample suggests {name} from {distribution}, which cannot be stored; expected choices that are text, "
                "numbers, true or false, or None"
            )


def _checked_cost(cost: Any) -> Cost:
    """The cost, in numbers that are not negative."""
    try:
        parameters, flops = cost
        sound = all(math.isfinite(number) and number >= 0 for number in (parameters, flops))
    except (TypeError, ValueError):
        sound = False
    if not sound:
        raise SpaceFailed(f"cost returned {cost!r:.80}; expected (parameters, operations of a forward pass)")
    return Cost(parameters, flops)

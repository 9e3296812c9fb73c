"""Optuna's samplers and pruners by our names, and the first trials of a study."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial

from search.config import StudyConfig
from search.errors import InputError
from spaces.contract import InputSpec, Space

RUNGS = 4
FIRST_TRY = "first_try"
REDUCTION = 3


def make_sampler(config: StudyConfig, number: int) -> optuna.samplers.BaseSampler:
    """The sampler for trial ``number``: seeded by study and number, so that workers never propose the same point."""
    seed = trial_seed(config, number)
    if config.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed)


def make_pruner(config: StudyConfig) -> optuna.pruners.BasePruner:
    """The pruner of a study.

    The default, ``halving``, is one bracket of asynchronous successive halving by epochs, which asks first after
    a quarter of them: Hyperband's brackets each keep a TPE history of their own and starve it at fifty trials
    (measured). Of a trial in folds each pruner counts these instead.
    """
    longest = config.folds or config.epochs
    shortest = max(1, longest // RUNGS)
    if config.pruner == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=shortest, reduction_factor=REDUCTION)
    if config.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=shortest, max_resource=longest)
    if config.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=shortest)
    return optuna.pruners.NopPruner()


def seed_number(trial: FrozenTrial | optuna.Trial) -> int:
    """The number whose seed a trial has: its own, or, of a sweep's cell that failed and is tried again, the first's."""
    return int(trial.user_attrs.get(FIRST_TRY, trial.number))


def trial_seed(config: StudyConfig, number: int) -> int:
    """The seed of everything in trial ``number``."""
    return (config.seed * 1_000_003 + number * 7919) % 2**31


def first_trials(
    space: Space, config: StudyConfig, try_first: Sequence[Path | Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The recipe's own default, then what the user wants tried; each checked.

    Raises:
        InputError: One is not fit to be tried.
    """
    spec = config.input_spec
    own = space.first(spec) if hasattr(space, "first") else []
    checked = [check_trial(space, values, spec, f"space {config.space}") for values in own]
    for item in try_first:
        checked.append(check_trial(space, read_trial(item), spec, f"--try {item}"))
    return checked


def read_trial(item: Path | Mapping[str, Any]) -> Mapping[str, Any]:
    """A configuration to try, from a TOML file or as it is.

    Raises:
        InputError: The file cannot be read.
    """
    if isinstance(item, Mapping):
        return item
    try:
        return tomllib.loads(Path(item).read_text())
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"--try {item}: cannot be read as TOML ({error}); expected lines such as filters = 32"
        ) from None


def check_trial(space: Space, values: Mapping[str, Any], input_spec: InputSpec, said: str) -> dict[str, Any]:
    """Check a configuration that somebody wants tried.

    Args:
        space: Where it is to be tried.
        values: One for every parameter that the space samples.
        input_spec: Of the study.
        said: Where it came from, for the message.

    Returns:
        The values.

    Raises:
        InputError: A parameter is missing, unknown, or out of its range.
    """
    trial = _Tried(dict(values))
    try:
        space.cost(space.sample(trial, input_spec), input_spec)
    except Exception as error:  # Of a user's own space anything may come.
        raise InputError(f"{said}: {error}") from None
    unknown = sorted(set(values) - set(trial.distributions))
    if unknown:
        known = ", ".join(sorted(trial.distributions))
        raise InputError(f"{said}: {', '.join(unknown)} is not sampled by this space; expected {known}")
    return dict(values)


class _Tried(optuna.trial.FixedTrial):
    """Gives out given values, each of which must be there and inside what is sampled."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self._given = values

    def _suggest(self, name: str, distribution: optuna.distributions.BaseDistribution) -> Any:
        if name not in self._given:
            raise ValueError(f"{name} is missing; expected a value of {distribution}")
        value = self._given[name]
        if not isinstance(distribution, CategoricalDistribution) and (
            isinstance(value, bool) or not isinstance(value, int | float)
        ):
            raise ValueError(f"{name} = {value!r} is no number; expected a value of {distribution}")
        try:
            inside = distribution._contains(distribution.to_internal_repr(value))
        except (ValueError, TypeError):
            inside = False
        if not inside:
            raise ValueError(f"{name} = {value!r} is outside what this space samples, {distribution}")
        return super()._suggest(name, distribution)


def enqueue(study: optuna.Study, configurations: Sequence[Mapping[str, Any]]) -> None:
    """Queue ``configurations`` ahead of any sampling; one already in the study is not queued again."""
    for values in configurations:
        study.enqueue_trial(dict(values), skip_if_exists=True)

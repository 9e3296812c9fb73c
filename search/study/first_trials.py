"""The configurations that a study tries before it samples: the space's own, and the user's."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution

from search.config.study_config import StudyConfig
from search.config.value_types import as_path
from search.errors import InputError, SpaceFailed
from search.study.proposal import contains, own_configurations, propose, range_words
from spaces.contract import InputSpec, Space


def first_trials(
    space: Space,
    config: StudyConfig,
    try_first: Sequence[Path | Mapping[str, Any]],
    trials: int | None = None,
) -> list[dict[str, Any]]:
    """The configurations to try first, each checked: the space's own, then those that the user asks for.

    Of the space's own beside its default those are left out that cost more than the study allows, and where it shall
    have so many ``trials``, they are cut to what is left of these.

    Raises:
        InputError: A configuration cannot be tried in this space.
    """
    spec = config.input_spec
    source = f"space {config.space}"
    try:
        own = own_configurations(space, config)
    except SpaceFailed as failed:
        raise InputError(f"{source}: {failed}") from None
    checked = [check_trial(space, values, spec, source) for values in own]
    # Others of its own that are too large for this study would be refused one by one.
    checked = [
        values for values in checked if values is checked[0] or _is_small_enough(space, values, config)
    ]
    if trials is not None:
        checked = checked[: max(1, trials - len(try_first))]
    for item in try_first:
        checked.append(check_trial(space, read_trial(item), spec, f"--try {item}"))
    return checked


def _is_small_enough(space: Space, values: dict[str, Any], config: StudyConfig) -> bool:
    cost = propose(space, optuna.trial.FixedTrial(values), config.input_spec).cost
    return cost.flops <= config.max_cost and cost.parameters <= config.max_parameters


def read_trial(item: Path | Mapping[str, Any]) -> Mapping[str, Any]:
    """Read a configuration to try from a TOML file, or take it as it is.

    Raises:
        InputError: The file cannot be read.
    """
    if isinstance(item, Mapping):
        return item
    try:
        return tomllib.loads(as_path("--try", item).read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            f"--try {item}: cannot be read as TOML ({error}); expected lines such as filters = 32"
        ) from None


def check_trial(
    space: Space, values: Mapping[str, Any], input_spec: InputSpec, source: str
) -> dict[str, Any]:
    """Check a configuration that somebody wants tried.

    Args:
        space: Where it is to be tried.
        values: One for every parameter that the space samples.
        input_spec: Of the study.
        source: Where it came from, for the message.

    Returns:
        The values.

    Raises:
        InputError: A parameter is missing, unknown, or out of its range.
    """
    trial = _Tried(dict(values))
    try:
        propose(space, trial, input_spec)
    except SpaceFailed as failed:
        wrong = failed.__cause__
        raise InputError(f"{source}: {wrong if isinstance(wrong, _Untried) else failed}") from None
    unknown = sorted(set(values) - set(trial.distributions))
    if unknown:
        known = ", ".join(sorted(trial.distributions))
        raise InputError(f"{source}: {', '.join(unknown)} is not sampled by this space; expected {known}")
    return dict(values)


class _Untried(ValueError):
    """A value is missing, or is none of its parameter."""


class _Tried(optuna.trial.FixedTrial):
    """A trial that suggests given values, each of which must be there and inside the range of its parameter."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self._given = values

    def _suggest(self, name: str, distribution: optuna.distributions.BaseDistribution) -> Any:
        expected = f"expected {range_words(distribution)}"
        if name not in self._given:
            raise _Untried(f"{name} is missing; {expected}")
        value = self._given[name]
        if not isinstance(distribution, CategoricalDistribution) and (
            isinstance(value, bool) or not isinstance(value, int | float)
        ):
            raise _Untried(f"{name} = {value!r} is no number; {expected}")
        if not contains(distribution, value):
            raise _Untried(f"{name} = {value!r} is outside what this space samples; {expected}")
        return super()._suggest(name, distribution)


def enqueue(study: optuna.Study, configurations: Sequence[Mapping[str, Any]]) -> None:
    """Queue configurations ahead of any sampling; one that the study has already is not queued again."""
    for values in configurations:
        study.enqueue_trial(dict(values), skip_if_exists=True)

"""Whole configurations: drawn aside from any study, listed where a space has few, and told apart.

A search tries no configuration twice, and ends where it has tried all that there are.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

import spaces
from search.formatting import count
from search.study.study import LoadedStudy
from search.study.sweep_cells import FIXED, SWEEP
from spaces.contract import InputSpec, Space

# A space with more configurations than this is not listed: no search comes to its end.
MOST_LISTED = 10_000
# A system attribute of a trial: its whole configuration, before its values have been asked for one by one.
DRAWN = "drawn"
# A configuration that failed is tried once more; by then the fault may have been mended.
MOST_TRIES = 2

Key = frozenset[tuple[str, Any]]


class Draw(optuna.trial.FixedTrial):
    """A trial aside from any study, which takes each value from a function.

    Args:
        give: Is given a parameter's name and distribution, and returns its value.
    """

    def __init__(self, give: Callable[[str, BaseDistribution], Any]) -> None:
        super().__init__({})
        self._give = give

    def _suggest(self, name: str, distribution: BaseDistribution) -> Any:
        if name not in self._params:
            self._params[name] = self._give(name, distribution)
        return super()._suggest(name, distribution)


class Endless(Exception):
    """A parameter has no list of values, or too long a one."""


def all_configurations(space: Space, input_spec: InputSpec) -> Sequence[Mapping[str, Any]]:
    """Every configuration that a space can sample; empty where they cannot be listed, or are over 10,000.

    The space is asked again and again, as an odometer counts: with the next value of the parameter that it asks for
    last, and, where that has had all of its values, with the next one of the parameter before. So a parameter that
    depends on another is met just where it is asked for.
    """
    if isinstance(space, spaces.UserModel):  # A child would have to build a net for each.
        return ()
    return _list(cast(Hashable, space), input_spec, spaces.code_of(space))


@lru_cache(maxsize=8)
def _list(module: Hashable, input_spec: InputSpec, code: str) -> Sequence[Mapping[str, Any]]:
    found: list[dict[str, Any]] = []
    chosen: list[int] = []
    while True:
        sizes: list[int] = []

        def give(name: str, distribution: BaseDistribution, sizes: list[int] = sizes) -> Any:
            values = values_of(distribution)
            if len(sizes) == len(chosen):
                chosen.append(0)
            sizes.append(len(values))
            return values[chosen[len(sizes) - 1]]

        draw = Draw(give)
        try:
            cast(Space, module).sample(draw, input_spec)
        except Endless:
            return ()
        except Exception:  # It fails with these values: so will the trial that has them, which says why.
            del chosen[len(sizes) :]
        found.append(draw.params)
        if len(found) > MOST_LISTED:
            return ()
        while chosen and chosen[-1] == sizes[len(chosen) - 1] - 1:
            chosen.pop()
        if not chosen:
            return found
        chosen[-1] += 1


def values_of(distribution: BaseDistribution) -> Sequence[Any]:
    """Every value of a parameter.

    Raises:
        Endless: There are too many.
    """
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    if isinstance(distribution, IntDistribution):
        return range(distribution.low, distribution.high + 1, distribution.step)
    if isinstance(distribution, FloatDistribution):
        if distribution.single():
            return (distribution.low,)
        if distribution.step is not None:
            steps = round((distribution.high - distribution.low) / distribution.step)
            if steps < MOST_LISTED:
                return [distribution.low + step * distribution.step for step in range(steps + 1)]
    raise Endless


def key_of(values: Mapping[str, Any]) -> Key:
    """What tells configurations apart, whatever the last digits of their numbers."""
    return frozenset(
        (name, float(f"{value:.12g}") if isinstance(value, float) else value)
        for name, value in values.items()
    )


def tried(trials: Iterable[FrozenTrial]) -> set[Key]:
    """The configurations that trials have, or have had; of those that failed, the ones that failed twice."""
    times: Counter[Key] = Counter()
    for trial in trials:
        times[_key_of_trial(trial)] += 1 if trial.state == TrialState.FAIL else MOST_TRIES
    return {key for key, tries in times.items() if tries >= MOST_TRIES}


def count_left(listed: Sequence[Mapping[str, Any]], trials: Iterable[FrozenTrial]) -> int:
    """How many of the listed configurations a new trial could still have.

    A trial that has been created and has not drawn its configuration yet will take one.
    """
    trials = list(trials)
    keys = {key_of(values) for values in listed}
    drawing = sum(not trial.state.is_finished() and _key_of_trial(trial) not in keys for trial in trials)
    return len(keys) - len(keys & tried(trials)) - drawing


def is_exhausted(listed: Sequence[Mapping[str, Any]], trials: Sequence[FrozenTrial]) -> bool:
    """Whether every listed configuration has been tried and every trial has ended; never where none is listed."""
    ended = all(trial.state.is_finished() for trial in trials)
    return bool(listed) and ended and count_left(listed, trials) <= 0


def listed_configurations(study: LoadedStudy) -> Sequence[Mapping[str, Any]]:
    """All configurations that a study's space can sample; see ``all_configurations``."""
    return all_configurations(spaces.load(study.config.space), study.config.input_spec)


def has_tried_all(study: LoadedStudy) -> bool:
    """Whether a search has tried every configuration of its space; never where these cannot be listed."""
    trials = study.optuna.get_trials(deepcopy=False)
    return SWEEP not in study.optuna.user_attrs and is_exhausted(listed_configurations(study), trials)


def end_exhausted(study: LoadedStudy) -> str:
    """Have a search end that has tried every configuration of its space, and say so; empty where there are more.

    It is to have as many trials from now on as it has.
    """
    finished, wanted = len(study.finished()), study.wanted
    if finished >= wanted or not has_tried_all(study):
        return ""
    study.want(finished)
    number = count(len(listed_configurations(study)), "configuration")
    return (
        f"space {study.config.space} has {number} for these images, and all have been tried: study "
        f"{study.config.study} ends with {count(finished, 'trial')} instead of {wanted}"
    )


def _key_of_trial(trial: FrozenTrial) -> Key:
    about = trial.system_attrs
    return key_of({**about.get(FIXED, {}), **about.get(DRAWN, {}), **trial.params})

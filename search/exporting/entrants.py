"""Who races at the end of a search, and how far; the rule of the race is in ``race_rule``, its course in ``confirm``.

In a study whose trials have equal compute the best few race against the default configuration, if they were not behind
it where both were last compared. ``search.study.ending`` says how many, and with how many seeds. Where trials count
epochs the best few race among themselves, for at most a quarter of the compute that the search has spent.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optuna.trial import FixedTrial, TrialState

from search.errors import SpaceFailed
from search.exporting.choice import candidates, was_trained
from search.exporting.preference import prefer as prefer_of
from search.exporting.race_rule import COMPUTE_SHARE, MOST_RACERS, MOST_ROUNDS, entrant_count
from search.exporting.race_runs import epoch_cost
from search.formatting import flops, percent
from search.metrics.preference import ACCURATE
from search.study import ending
from search.study.compute import compute_of
from search.study.ending import RACERS, plan_ending
from search.study.proposal import default_configuration, propose
from search.study.request import load_space
from search.study.study import LoadedStudy
from storage.claims import is_counted

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.config.study_config import StudyConfig


@dataclass(frozen=True)
class Course:
    """Who races, and how far.

    Attributes:
        trials: One of each configuration that races, best first; fewer than two for no race.
        rounds: The most rounds.
        allowed: FLOPs at which a race ends where trials count epochs; infinite at equal compute, where ``rounds`` does.
        takes: FLOPs of all rounds that were planned, at equal compute; else 0.
        default: Number of the trial of the default configuration; None where it does not race.
        why_none: Why there is no race; empty where there is one.
        prefer: What is to be exported of those that race.
        best: Number of the search's best trial, which may have been left out; None where none is complete.
        times: So many times as long as its trial's each training is.
    """

    trials: "Sequence[FrozenTrial]"
    rounds: int = MOST_ROUNDS
    allowed: float = 0.0
    takes: float = 0.0
    default: int | None = None
    why_none: str = ""
    prefer: str = ACCURATE
    best: int | None = None
    times: float = 1.0


@dataclass(frozen=True)
class Bounds:
    """What bounds the race and the final training of a study whose trials have equal compute, beside their own rules.

    Attributes:
        whole: FLOPs for search, race and final training; None where nobody has said.
        most: FLOPs that the race may take by the time that is left; None for any.
        grows: Whether the final training is given what is left of the whole, or of the time.
        final: FLOPs of the final training, by the plan or the time that is left; None for as it was stored.
        time_left: Returns FLOPs that there is time for; None where no time is to be kept, or it is not known.
    """

    whole: float | None = None
    most: float | None = None
    grows: bool = False
    final: float | None = None
    time_left: Callable[[], float] | None = None

    def left(self, spent: float) -> float:
        """FLOPs that there still are, of the whole after so many and of the time; infinite where neither is bounded."""
        compute = math.inf if self.whole is None else self.whole - spent
        return compute if self.time_left is None else min(compute, self.time_left())


UNBOUNDED = Bounds()


def plot_course(
    loaded: LoadedStudy,
    without: Sequence[int] = (),
    bounds: Bounds = UNBOUNDED,
    refit: bool = True,
    prefer: str = ACCURATE,
) -> Course:
    """Who races, and how far; see ``confirm_best``."""
    config, best = loaded.config, ranked_for_race(loaded, without, prefer)
    first = next((trial.number for trial in candidates(loaded)), None)
    if not ending.can_race(config):
        best, spent = best[:MOST_RACERS], searched(loaded)
        costs = [epoch_cost(trial) * config.epochs for trial in best]
        racers = entrant_count(costs, COMPUTE_SHARE * spent)
        why = "" if racers >= 2 else why_no_race(costs, spent)
        return Course(best[:racers], allowed=COMPUTE_SHARE * spent, why_none=why, best=first)
    default = default_trial(loaded, without)
    entrants = len(contenders(best, default, RACERS))
    planned = plan_ending(
        config,
        bounds.whole,
        loaded.wanted,
        race=True,
        refit=refit,
        configurations=entrants,
        most=bounds.most,
        planned=bounds.final,
        run_before=loaded.race,
        times_before=_times_before(loaded, contenders(best, default, RACERS), default),
    )
    trials = contenders(best, default, planned.racers)
    why = ""
    if entrants < 2:
        why = "fewer than two configurations have finished"
        if len(candidates(loaded, without)) > 1 or _pruned_late(loaded, without):
            why = "no other configuration was as good as the default where both were last compared"
    elif not planned.racers:
        why = f"it would take {flops(ending.least_race(config))} at least, more than its part of the whole"
    number = None if default is None else default.number
    return Course(
        trials, planned.rounds, math.inf, planned.race, number, why, prefer, first, times=planned.times
    )


def _times_before(
    loaded: LoadedStudy, racers: "Sequence[FrozenTrial]", default: "FrozenTrial | None"
) -> float:
    """How long the trainings are that an earlier race has made of others than the default; 0 where it has none."""
    rivals = {trial.number for trial in racers if default is None or trial.number != default.number}
    raced = {number for _, number in loaded.paths.race_files()}
    return loaded.race_times if rivals & raced else 0.0


def ranked_for_race(
    loaded: LoadedStudy, without: Sequence[int] = (), what: str = ACCURATE
) -> "list[FrozenTrial]":
    """The best trial of each configuration, best first; the second is what the search's values prefer to the best.

    Where fewer than two have finished, a study at equal compute also has those that were pruned late: the race trains
    all of them whole. It leaves out who was behind the default where both were last compared: these seldom beat it, and
    what their race takes is better spent on the final training.
    """
    best = distinct(candidates(loaded, without))
    if ending.can_race(loaded.config):
        if len(best) < 2:
            best = distinct([*best, *_pruned_late(loaded, without)])
        if what == ACCURATE:
            best = _not_behind(best, default_trial(loaded, without), loaded.config)
    found = prefer_of(loaded, best, what) if best else None
    if found is None or found.chosen is found.best:
        return best
    return sorted(best, key=lambda trial: (trial is not best[0], trial.number != found.chosen.number))


def _pruned_late(loaded: LoadedStudy, without: Sequence[int]) -> "list[FrozenTrial]":
    """The trials that were pruned in the second half of their length, those that came furthest first, then the best."""
    config = loaded.config
    sign = 1 if config.direction == "minimize" else -1
    found = [
        trial
        for trial in loaded.optuna.get_trials(deepcopy=False, states=(TrialState.PRUNED,))
        if is_counted(trial)
        and was_trained(trial)
        and trial.number not in without
        and trial.value is not None
        and 2 * (trial.last_step or 0) >= (config.folds or config.epochs)
    ]
    return sorted(found, key=lambda trial: (-(trial.last_step or 0), sign * float(trial.value or 0.0)))


def _not_behind(
    ranked: "Sequence[FrozenTrial]", default: "FrozenTrial | None", config: "StudyConfig"
) -> "list[FrozenTrial]":
    """The trials that were as good as the default, or better, at the last report that both have made."""
    if default is None:
        return list(ranked)
    sign = 1 if config.direction == "minimize" else -1

    def is_behind(trial: "FrozenTrial") -> bool:
        values = {trial.number: trial.value, default.number: default.value}
        if TrialState.PRUNED in (trial.state, default.state):
            common = set(trial.intermediate_values) & set(default.intermediate_values)
            values = {
                one.number: one.intermediate_values.get(max(common, default=0)) for one in (trial, default)
            }
        own, others = values[trial.number], values[default.number]
        return own is not None and others is not None and sign * own > sign * others

    return [trial for trial in ranked if not is_behind(trial)]


def contenders(
    best: "Sequence[FrozenTrial]", default: "FrozenTrial | None", count: int
) -> "list[FrozenTrial]":
    """The trials whose configurations race: the best, and in the place of the last of them the default."""
    first = list(best[:count])
    if default is None or count < 1 or any(trial.number == default.number for trial in first):
        return first
    return [*first[: count - 1], default]


def default_trial(loaded: LoadedStudy, without: Sequence[int] = ()) -> "FrozenTrial | None":
    """The trial of the space's default configuration, complete or pruned; None where none was trained."""
    config = loaded.config
    space = load_space(config.space)
    own = default_configuration(space, config)
    if own is None:
        return None
    try:
        params = propose(space, FixedTrial(own), config.input_spec).params
    except SpaceFailed:
        return None
    wanted = json.dumps(params, sort_keys=True)
    same = [
        trial
        for trial in loaded.optuna.get_trials(deepcopy=False)
        if is_counted(trial)
        and was_trained(trial)
        and trial.number not in without
        and json.dumps(trial.user_attrs["params"], sort_keys=True) == wanted
    ]
    # Of several that are complete the best is raced, as of any other configuration.
    ranked = {trial.number: place for place, trial in enumerate(candidates(loaded, without))}
    return min(same, key=lambda trial: ranked.get(trial.number, len(ranked) + trial.number), default=None)


def can_race(loaded: LoadedStudy, whole: float | None = None, refit: bool = True) -> bool:
    """Whether a study has two configurations to race, and the compute for it; see ``Bounds`` and ``confirm_best``."""
    return not plot_course(loaded, bounds=Bounds(whole), refit=refit).why_none


def searched(loaded: LoadedStudy) -> float:
    """FLOPs that the search has taken."""
    return compute_of(loaded.optuna.get_trials(deepcopy=False))


def distinct(ranked: Sequence["FrozenTrial"]) -> list["FrozenTrial"]:
    """The best trial of each configuration: a sweep has repeats, and a sampler may sample a point twice."""
    best: dict[str, FrozenTrial] = {}
    for trial in ranked:
        best.setdefault(json.dumps(trial.user_attrs["params"], sort_keys=True), trial)
    return list(best.values())


def why_no_race(costs: Sequence[float], spent: float) -> str:
    """Why ``entrant_count`` lets nobody race."""
    if len(costs) < 2:
        return "fewer than two configurations have finished"
    share = sum(costs[:2]) / max(spent, 1)
    return (
        f"training the best two again would take {percent(share)} of the search's compute, more than the "
        f"{percent(COMPUTE_SHARE)} that a race may; search on with more --trials"
    )

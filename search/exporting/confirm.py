"""The course of a race between the best configurations; its rule and an example are in ``race``.

The search's own values do not count, because they were selected for being high. The mean of fresh trainings keeps only
the much smaller luck of being the best of a few means.

In a study whose trials have equal compute the default configuration races, too, and is exported unless another leads by
more than the noise (``advantage``). The values are of images that no trial was ranked by: a part of those that the
study has set aside in each round; in folds, of one fold of another dealing. ``search.study.ending`` says how long it
is.

In a study whose trials count epochs (``--confirm``) the values are of the study's own validation images, as everything
else that chooses is there. A race takes at most a quarter of the compute that the search has spent.
"""

import functools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna.trial import FixedTrial, TrialState

from search.errors import SpaceFailed, StudyStopped
from search.exporting.choice import candidates, was_trained
from search.exporting.preference import prefer as prefer_of
from search.exporting.race import (
    COMPUTE_SHARE,
    MOST_RACERS,
    MOST_ROUNDS,
    Race,
    Racer,
    eliminations,
    entrant_count,
    nobody_ahead,
    values_of,
    why_over,
)
from search.exporting.race_runs import RaceRun, epoch_cost, race_seed, run_once
from search.formatting import percent
from search.metrics.classification import one_image
from search.metrics.preference import ACCURATE
from search.study import ending
from search.study.class_balance import split_counts
from search.study.creation import deal
from search.study.ending import PARTS_OF_IMAGES, RACERS, plan_ending
from search.study.proposal import default_configuration, propose
from search.study.request import load_space
from search.study.study import LoadedStudy, compute_of
from storage.claims import is_counted

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.config.study_config import StudyConfig
    from search.process.fork_server import ForkServer


@dataclass(frozen=True)
class Course:
    """Who races, and how far.

    Attributes:
        trials: One of each configuration that races, best first; fewer than two for no race.
        rounds: The most rounds.
        allowed: FLOPs that the race may take; infinite where the rounds were chosen by that.
        takes: FLOPs of all these rounds, where they were.
        default: Number of the trial of the default configuration; None where it does not race.
        why_none: Why there is no race; empty where there is one.
        prefer: What is to be exported of those that race.
    """

    trials: "Sequence[FrozenTrial]"
    rounds: int = MOST_ROUNDS
    allowed: float = 0.0
    takes: float = 0.0
    default: int | None = None
    why_none: str = ""
    prefer: str = ACCURATE


@dataclass(frozen=True)
class Bounds:
    """What bounds the race and the final training of a study whose trials have equal compute, beside their own rules.

    Attributes:
        whole: FLOPs for search, race and final training; None where nobody has said.
        most: FLOPs that the race may take by the time that is left; None for any.
        grows: Whether the final training is given what is left of the whole.
    """

    whole: float | None = None
    most: float | None = None
    grows: bool = False


UNBOUNDED = Bounds()


def confirm_best(
    loaded: LoadedStudy,
    server: "ForkServer",
    say: Callable[[str], None],
    gpu_memory: float | None = None,
    without: Sequence[int] = (),
    bounds: Bounds = UNBOUNDED,
    refit: bool = True,
    prefer: str = ACCURATE,
) -> Race | str:
    """Race the best configurations of a study.

    Called again, it trains nothing twice, and a training that was interrupted goes on.

    Args:
        loaded: The open study.
        server: Starts the children.
        say: Gets lines for a person.
        gpu_memory: GB to take of a GPU at most.
        without: Numbers of trials that do not take part.
        bounds: What bounds the race in a study whose trials have equal compute.
        refit: Whether a final training follows it.
        prefer: What is to be exported, see ``search.metrics.preference``; what the search's values prefer races, too.

    Returns:
        The race; or why there is none, which has been said: nothing to race, or too little compute for it.

    Raises:
        StudyStopped: A training failed, or every configuration diverged.
    """
    config = loaded.config
    course = plot_course(loaded, without, bounds, refit, prefer)
    if course.why_none:
        say(f"no race: {course.why_none}")
        return course.why_none
    forget_others(loaded, course.trials)
    racers = [Racer(trial) for trial in course.trials]
    default = "" if course.default is None else f" (trial {course.default} is the default)"
    share = f"{percent(COMPUTE_SHARE)} of the search's compute"
    if course.takes:
        share = f"{ending.flops(course.takes)}"
    say(
        f"confirm: a race of trials {', '.join(str(racer.trial.number) for racer in racers)}{default}, each trained "
        f"again with up to {course.rounds} seeds, for at most {share}"
    )
    images, counts = other_images(loaded)
    rounds = {race_seed(config, round_): round_ for round_ in range(course.rounds)}

    def train(trial: "FrozenTrial", seed: int, keep: bool) -> RaceRun:
        keep = keep and not config.folds
        apart = images(rounds[seed])
        return run_once(loaded, trial, seed, server, say, keep=keep, gpu_memory=gpu_memory, apart=apart)

    step = one_image(config.metric, counts, config.classes)
    return run_race(config, racers, _searched(loaded), step, train, say, course)


def other_images(loaded: LoadedStudy) -> tuple[Callable[[int], Mapping[str, Any]], Sequence[int]]:
    """What the plan of each round's trainings has of its own: the images that it validates on.

    Returns:
        Gives the fields of the plan by the number of the round; and how many images of each class there are in a round.
    """
    config, dataset = loaded.config, loaded.dataset()
    counts = split_counts(config, dataset)
    if not ending.can_race(config):
        return lambda round_: {}, counts["validation"]
    if not config.folds:
        part = [number // PARTS_OF_IMAGES for number in counts["race"]]
        return lambda round_: {"race_part": round_ % PARTS_OF_IMAGES, "race_parts": PARTS_OF_IMAGES}, part

    @functools.cache
    def dealt(again: int) -> str:
        return deal(dataset, config.folds, race_seed(config, again))

    def fold(round_: int) -> Mapping[str, Any]:
        again, which = divmod(round_, config.folds)
        return {"folds": config.folds, "fold": which, "fold_of": dealt(again)}

    return fold, counts["validation"]


def plot_course(
    loaded: LoadedStudy,
    without: Sequence[int] = (),
    bounds: Bounds = UNBOUNDED,
    refit: bool = True,
    prefer: str = ACCURATE,
) -> Course:
    """Who races, and how far; see ``confirm_best``."""
    config, best = loaded.config, ranked_for_race(loaded, without, prefer)
    if not ending.can_race(config):
        best, spent = best[:MOST_RACERS], _searched(loaded)
        costs = [epoch_cost(trial) * config.epochs for trial in best]
        racers = entrant_count(costs, COMPUTE_SHARE * spent)
        why = "" if racers >= 2 else why_no_race(costs, spent)
        return Course(best[:racers], allowed=COMPUTE_SHARE * spent, why_none=why)
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
    )
    trials = contenders(best, default, planned.racers)
    why = ""
    if entrants < 2:
        why = "fewer than two configurations have finished"
        if len(candidates(loaded, without)) > 1 or _pruned_late(loaded, without):
            why = "no other configuration was as good as the default where both were last compared"
    elif not planned.racers:
        least = 2 * ending.LEAST_SEEDS * max(1, config.folds) * ending.training_compute(config)
        why = f"it would take {ending.flops(least)} at least, more than was left for it"
    number = None if default is None else default.number
    return Course(trials, planned.rounds, math.inf, planned.race, number, why, prefer)


def ranked_for_race(
    loaded: LoadedStudy, without: Sequence[int] = (), what: str = ACCURATE
) -> "list[FrozenTrial]":
    """The best trial of each configuration, best first; the second is what the search's values prefer to the best.

    Where fewer than two have finished, a study at equal compute also has those that were pruned late: the race trains
    all of them whole. It leaves out who was behind the default where both were last compared: these seldom beat it by
    more than the noise, and what their race takes is better spent on the final training.
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


def _searched(loaded: LoadedStudy) -> float:
    """FLOPs that the search has taken."""
    return compute_of(loaded.optuna.get_trials(deepcopy=False))


def can_race(loaded: LoadedStudy, whole: float | None = None, refit: bool = True) -> bool:
    """Whether a study has two configurations to race, and the compute for it; see ``Bounds`` and ``confirm_best``."""
    return not plot_course(loaded, bounds=Bounds(whole), refit=refit).why_none


def run_race(
    config: "StudyConfig",
    racers: Sequence[Racer],
    search_compute: float,
    step: float,
    train: Callable[["FrozenTrial", int, bool], RaceRun],
    say: Callable[[str], None],
    course: Course | None = None,
) -> Race:
    """Run rounds until the race is over.

    Args:
        config: The study's settings.
        racers: Those that race, in the order of the search; they have not run yet.
        search_compute: FLOPs that the search has spent.
        step: What one validation image changes the metric by.
        train: Runs one training: of this trial's configuration, with this seed, keeping its weights or not.
        say: Gets lines for a person.
        course: How far they race; None for as far as in a study whose trials count epochs.

    Raises:
        StudyStopped: Every configuration diverged.
    """
    course = course or Course((), allowed=COMPUTE_SHARE * search_compute)
    seeds: list[int] = []
    while True:
        racing = [racer for racer in racers if not racer.eliminated]
        spent = sum(run.compute for racer in racers for run in racer.runs)
        next_round = sum(epoch_cost(racer.trial) * config.epochs for racer in racing)
        lower = config.metric == "loss"
        hopeless = course.prefer == ACCURATE and nobody_ahead(
            values_of(racing), course.default, lower_is_better=lower
        )
        reason = why_over(
            len(racing), len(seeds), spent, next_round, course.allowed, course.rounds, hopeless=hopeless
        )
        if reason:
            break
        seed = race_seed(config, len(seeds))
        for racer in racing:
            run = train(racer.trial, seed, not seeds)
            racer.runs.append(run)
            shown = "diverged" if run.value is None else f"validation {config.metric} {run.value:.4f}"
            say(f"confirm: round {len(seeds) + 1}, trial {racer.trial.number} with seed {seed}: {shown}")
        seeds.append(seed)
        eliminate(racing, config.metric, step, say)
    if not racing:
        raise StudyStopped(
            "--confirm: every configuration diverged when it was trained again (a loss became no number); nothing "
            "exported: export without --confirm, or search on"
        )
    return Race(config, racers, seeds, reason, search_compute, course.default, step, course.prefer)


def eliminate(racing: Sequence[Racer], metric: str, step: float, say: Callable[[str], None]) -> None:
    """Drop those that diverged in the last round, and those that are clearly behind the leader."""
    for racer in racing:
        if racer.runs[-1].value is None:
            racer.eliminated = f"its loss became NaN or infinite with seed {racer.runs[-1].seed}"
    left = {racer.trial.number: racer for racer in racing if not racer.eliminated}
    behind = eliminations(values_of(list(left.values())), step, lower_is_better=metric == "loss")
    for number, elimination in behind.items():
        left[number].eliminated = elimination.reason
    for racer in racing:
        if racer.eliminated:
            say(f"confirm: trial {racer.trial.number} drops out: {racer.eliminated}")


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


def forget_others(loaded: LoadedStudy, best: Sequence["FrozenTrial"]) -> None:
    """Delete what earlier races left of configurations that are no longer among the best."""
    numbers = {trial.number for trial in best}
    for path, number in loaded.paths.race_files():
        if number not in numbers:
            path.unlink(missing_ok=True)

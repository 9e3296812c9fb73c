"""``--confirm``: the course of a race between the best configurations; its rule and an example are in ``race``.

The search's own values do not count, because they were selected for being high. The mean of fresh trainings keeps only
the much smaller luck of being the best of a few means. It is of the study's own validation images, as everything else
that chooses is. A race takes at most a quarter of the compute that the search has spent.
"""

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from search.errors import StudyStopped
from search.exporting.choice import candidates
from search.exporting.race import (
    COMPUTE_SHARE,
    MOST_RACERS,
    MOST_ROUNDS,
    Race,
    Racer,
    eliminations,
    entrant_count,
    values_of,
    why_over,
)
from search.exporting.race_runs import RaceRun, epoch_cost, race_seed, run_once
from search.formatting import percent
from search.metrics.classification import one_image
from search.study.class_balance import split_counts
from search.study.study import LoadedStudy, compute_spent

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.config.study_config import StudyConfig
    from search.process.fork_server import ForkServer


def confirm_best(
    loaded: LoadedStudy,
    server: "ForkServer",
    say: Callable[[str], None],
    gpu_memory: float | None = None,
    without: Sequence[int] = (),
) -> Race | None:
    """Race the best configurations of a study.

    Called again, it trains nothing twice, and a training that was interrupted goes on.

    Args:
        loaded: The open study.
        server: Starts the children.
        say: Gets lines for a person.
        gpu_memory: GB to take of a GPU at most.
        without: Numbers of trials that do not take part.

    Returns:
        The race; None, with a line that says why, where there is nothing to race or too little compute for it.

    Raises:
        StudyStopped: A training failed, or every configuration diverged.
    """
    best, spent = distinct(candidates(loaded, without))[:MOST_RACERS], compute_spent(loaded)
    costs, count = _entrants(loaded, best, spent)
    if count < 2:
        say(f"no race (--confirm): {why_no_race(costs, spent)}; exported as without it")
        return None
    forget_others(loaded, best)
    racers = [Racer(trial) for trial in best[:count]]
    say(
        f"confirm: a race of trials {', '.join(str(racer.trial.number) for racer in racers)}, each trained again with "
        f"up to {MOST_ROUNDS} seeds, for at most {percent(COMPUTE_SHARE)} of the search's compute"
    )

    def train(trial: "FrozenTrial", seed: int, keep: bool) -> RaceRun:
        return run_once(loaded, trial, seed, server, say, keep=keep, gpu_memory=gpu_memory)

    config = loaded.config
    counts = split_counts(config, loaded.dataset())["validation"]
    return run_race(config, racers, spent, one_image(config.metric, counts, config.classes), train, say)


def can_race(loaded: LoadedStudy) -> bool:
    """Whether a study has two configurations to race, and the compute for it."""
    best = distinct(candidates(loaded))[:MOST_RACERS]
    return _entrants(loaded, best, compute_spent(loaded))[1] >= 2


def _entrants(loaded: LoadedStudy, best: "Sequence[FrozenTrial]", spent: float) -> tuple[list[float], int]:
    """What a run of each configuration costs, in FLOPs, and how many of them can be raced."""
    costs = [epoch_cost(trial) * loaded.config.epochs for trial in best]
    return costs, entrant_count(costs, COMPUTE_SHARE * spent)


def run_race(
    config: "StudyConfig",
    racers: Sequence[Racer],
    search_compute: float,
    step: float,
    train: Callable[["FrozenTrial", int, bool], RaceRun],
    say: Callable[[str], None],
) -> Race:
    """Run rounds until the race is over.

    Args:
        config: The study's settings.
        racers: Those that race, in the order of the search; they have not run yet.
        search_compute: FLOPs that the search has spent.
        step: What one validation image changes the metric by.
        train: Runs one training: of this trial's configuration, with this seed, keeping its weights or not.
        say: Gets lines for a person.

    Raises:
        StudyStopped: Every configuration diverged.
    """
    seeds: list[int] = []
    while True:
        racing = [racer for racer in racers if not racer.eliminated]
        spent = sum(run.compute for racer in racers for run in racer.runs)
        next_round = sum(epoch_cost(racer.trial) * config.epochs for racer in racing)
        reason = why_over(len(racing), len(seeds), spent, next_round, COMPUTE_SHARE * search_compute)
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
    return Race(config, racers, seeds, reason, search_compute)


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

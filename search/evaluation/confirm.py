"""``--confirm``: a race of the best few configurations over fresh seeds, for a winner that did not win by luck.

The search's own values do not count: they were selected for being high. The mean of fresh trainings keeps the much
smaller luck of being the best of a few means, and is of the study's own validation images, as everything else that
chooses is. What is spent is at most a quarter of what the search has spent.
"""

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from search.balance import split_counts
from search.errors import StudyStopped
from search.evaluation.confirm_runs import Run, epoch_cost, race_seed, run_anew
from search.evaluation.fit import percent
from search.evaluation.race import MOST, ROUNDS, SHARE, behind, entrants, over
from search.evaluation.racers import Race, Racer, values_of
from search.study import compute_spent

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.child import ForkServer
    from search.config import StudyConfig
    from search.study import LoadedStudy


def confirm_best(
    loaded: "LoadedStudy",
    server: "ForkServer",
    say: Callable[[str], None],
    gpu_memory: float | None = None,
) -> Race | None:
    """Race the best configurations of a study; None, said in a line, where there is nothing or too little to race with.

    Run again it trains nothing twice, and an interrupted training goes on.

    Args:
        loaded: The open study.
        server: Starts the children.
        say: Gets lines for a person.
        gpu_memory: GB to take of a GPU at most.

    Raises:
        StudyStopped: A training failed, or every configuration diverged.
    """
    best, spent = distinct(loaded.ranked())[:MOST], compute_spent(loaded)
    costs = [epoch_cost(trial) * loaded.config.epochs for trial in best]
    count = entrants(costs, SHARE * spent)
    if count < 2:
        say(f"no race (--confirm): {why_none(costs, spent)}; exported as without it")
        return None
    forget_others(loaded, best)
    racers = [Racer(trial) for trial in best[:count]]
    say(
        f"confirm: a race of trials {', '.join(str(racer.trial.number) for racer in racers)}, each trained anew with "
        f"up to {ROUNDS} seeds, for at most {percent(SHARE)} of the search's compute"
    )

    def train(trial: "FrozenTrial", seed: int, keep: bool) -> Run:
        return run_anew(loaded, trial, seed, server, say, keep=keep, gpu_memory=gpu_memory)

    images = sum(split_counts(loaded.config, loaded.dataset())["validation"])
    return run_race(loaded.config, racers, spent, images, train, say)


def run_race(
    config: "StudyConfig",
    racers: Sequence[Racer],
    search_compute: float,
    images: int,
    train: Callable[["FrozenTrial", int, bool], Run],
    say: Callable[[str], None],
) -> Race:
    """Race until it is over.

    Args:
        config: The study's.
        racers: That have not run yet, in the order of the search.
        search_compute: FLOPs that the search has spent.
        images: Number of validation images.
        train: One training: trial, seed, whether to keep the weights.
        say: Gets lines for a person.

    Raises:
        StudyStopped: Every configuration diverged.
    """
    seeds: list[int] = []
    while True:
        racing = [racer for racer in racers if not racer.dropped]
        spent = sum(run.compute for racer in racers for run in racer.runs)
        next_round = sum(epoch_cost(racer.trial) * config.epochs for racer in racing)
        if why := over(len(racing), len(seeds), spent, next_round, SHARE * search_compute):
            break
        seed = race_seed(config, len(seeds))
        for racer in racing:
            run = train(racer.trial, seed, not seeds)
            racer.runs.append(run)
            shown = "diverged" if run.value is None else f"validation {config.metric} {run.value:.4f}"
            say(f"confirm: round {len(seeds) + 1}, trial {racer.trial.number} with seed {seed}: {shown}")
        seeds.append(seed)
        drop(racing, config.metric, images, say)
    if not racing:
        raise StudyStopped(
            "--confirm: every configuration diverged when it was trained anew (a loss became no number); nothing "
            "exported: export without --confirm, or search on"
        )
    return Race(config, racers, seeds, why, search_compute)


def drop(racing: Sequence[Racer], metric: str, images: int, say: Callable[[str], None]) -> None:
    """Drop out, of those who race, who diverged in the last round, and who is clearly behind the leader."""
    for racer in racing:
        if racer.runs[-1].value is None:
            racer.dropped = f"its loss became NaN or infinite with seed {racer.runs[-1].seed}"
    left = [racer for racer in racing if not racer.dropped]
    # Accuracy comes in steps of one image, macro F1 in about such; a loss in none.
    step = 0.0 if metric == "loss" else 1 / images
    for number, found in behind(values_of(left), step, lower_is_better=metric == "loss").items():
        next(racer for racer in left if racer.trial.number == number).dropped = found.reason
    for racer in racing:
        if racer.dropped:
            say(f"confirm: trial {racer.trial.number} drops out: {racer.dropped}")


def distinct(ranked: Sequence["FrozenTrial"]) -> list["FrozenTrial"]:
    """The best trial of each configuration: a sweep has repeats, and a sampler may sample a point twice."""
    found: dict[str, FrozenTrial] = {}
    for trial in ranked:
        found.setdefault(json.dumps(trial.user_attrs["params"], sort_keys=True), trial)
    return list(found.values())


def why_none(costs: Sequence[float], spent: float) -> str:
    """Why there is no race."""
    if len(costs) < 2:
        return "fewer than two configurations have finished"
    share = sum(costs[:2]) / max(spent, 1)
    return (
        f"training the best two anew would take {percent(share)} of the search's compute, more than the "
        f"{percent(SHARE)} that a race may; search on with more --trials"
    )


def forget_others(loaded: "LoadedStudy", best: Sequence["FrozenTrial"]) -> None:
    """Delete what earlier races left of configurations that are none of the best any more."""
    numbers = {trial.number for trial in best}
    for path, number in loaded.paths.all_anew():
        if number not in numbers:
            path.unlink(missing_ok=True)

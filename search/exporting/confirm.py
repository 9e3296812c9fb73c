"""The course of a race between the best configurations; its rule and an example are in ``race_rule``.

The search's own values do not count, because they were selected for being high. The mean of fresh trainings keeps only
the much smaller luck of being the best of a few means.

In a study whose trials have equal compute the default configuration races, too; the words say how probable it is that
what is exported is better (``advantage``). The values are of images that no trial was ranked by: a part of those that
the study has set aside in each round; in folds, of one fold of another dealing. ``search.study.ending`` says how long
it is.

In a study whose trials count epochs (``--confirm``) the values are of the study's own validation images, as everything
else that chooses is there. A race takes at most a quarter of the compute that the search has spent.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from search.errors import StudyStopped
from search.exporting.entrants import UNBOUNDED, Bounds, Course, plot_course, searched
from search.exporting.race import Race, Racer, still_racing, values_of
from search.exporting.race_rule import COMPUTE_SHARE, eliminations, nobody_ahead, why_over
from search.exporting.race_runs import RaceRun, epoch_cost, race_seed, run_once
from search.formatting import flops, percent
from search.metrics.classification import one_image
from search.metrics.preference import ACCURATE
from search.study import ending
from search.study.class_balance import split_counts
from search.study.creation import deal
from search.study.ending import PARTS_OF_IMAGES
from search.study.study import LoadedStudy

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.config.study_config import StudyConfig
    from search.exporting.request import ExportRequest
    from search.process.fork_server import ForkServer


def confirm_best(request: "ExportRequest", server: "ForkServer", bounds: Bounds = UNBOUNDED) -> Race | str:
    """Race the best configurations of a study.

    Called again, it trains nothing twice, and a training that was interrupted goes on.

    Args:
        request: What is to be exported; what the search's values prefer races, too.
        server: Starts the children.
        bounds: What bounds the race in a study whose trials have equal compute.

    Returns:
        The race; or why there is none, which has been said: nothing to race, or too little compute for it.

    Raises:
        StudyStopped: A training failed, or every configuration diverged.
    """
    loaded, config, say = request.loaded, request.loaded.config, request.say
    course = plot_course(loaded, request.without, bounds, request.refit, request.options.prefer)
    if course.why_none:
        say(f"no race: {course.why_none}")
        return course.why_none
    forget_others(loaded, course.trials)
    loaded.begin_race(course.takes, course.times)
    racers = [Racer(trial) for trial in course.trials]
    default = "" if course.default is None else f" (trial {course.default} is the default)"
    share = f"{percent(COMPUTE_SHARE)} of the search's compute"
    if course.takes:
        share = flops(course.takes)
    long = f" and {course.times:.2g} times as long as a trial" if course.times > 1 else ""
    say(
        f"confirm: a race of trials {', '.join(str(racer.trial.number) for racer in racers)}{default}, each trained "
        f"again with up to {course.rounds} seeds{long}, for at most {share}"
    )
    images, counts = other_images(loaded)
    rounds = {race_seed(config, round_): round_ for round_ in range(course.rounds)}

    def train(trial: "FrozenTrial", seed: int, keep: bool) -> RaceRun:
        keep, memory = keep and not config.folds, request.options.gpu_memory
        apart, times = images(rounds[seed]), course.times
        return run_once(
            loaded, trial, seed, server, say, keep=keep, gpu_memory=memory, times=times, apart=apart
        )

    step = one_image(config.metric, counts, config.classes)
    return run_race(config, racers, searched(loaded), step, train, say, course)


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


def run_race(
    config: "StudyConfig",
    racers: Sequence[Racer],
    search_compute: float,
    step: float,
    train: Callable[["FrozenTrial", int, bool], RaceRun],
    say: Callable[[str], None],
    course: Course,
) -> Race:
    """Run rounds until the race is over.

    Args:
        config: The study's settings.
        racers: Those that race, in the order of the search; they have not run yet.
        search_compute: FLOPs that the search has spent.
        step: What one validation image changes the metric by.
        train: Runs one training: of this trial's configuration, with this seed, keeping its weights or not.
        say: Gets lines for a person.
        course: How far they race.

    Raises:
        StudyStopped: Every configuration diverged.
    """
    seeds: list[int] = []
    while not (reason := _why_over(config, racers, len(seeds), course)):
        racing, seed = still_racing(racers), race_seed(config, len(seeds))
        for racer in racing:
            run = train(racer.trial, seed, not seeds)
            racer.runs.append(run)
            shown = "diverged" if run.value is None else f"validation {config.metric} {run.value:.4f}"
            say(f"confirm: round {len(seeds) + 1}, trial {racer.trial.number} with seed {seed}: {shown}")
        seeds.append(seed)
        eliminate(racing, config.metric, step, say)
    if not still_racing(racers):
        raise StudyStopped(
            "--confirm: every configuration diverged when it was trained again (a loss or the metric became no "
            "number); nothing exported: export without --confirm, or search on"
        )
    return Race(config, racers, seeds, reason, search_compute, course, step)


def _why_over(config: "StudyConfig", racers: Sequence[Racer], rounds: int, course: Course) -> str:
    """Why the race ends before another round, as ``why_over`` has it; empty where it goes on."""
    racing = still_racing(racers)
    spent = sum(run.compute for racer in racers for run in racer.runs)
    next_round = sum(epoch_cost(racer.trial) * config.epochs for racer in racing)
    hopeless = course.prefer == ACCURATE and nobody_ahead(
        values_of(racing), course.default, lower_is_better=config.metric == "loss"
    )
    return why_over(len(racing), rounds, spent, next_round, course.allowed, course.rounds, hopeless=hopeless)


def eliminate(racing: Sequence[Racer], metric: str, step: float, say: Callable[[str], None]) -> None:
    """Drop those that diverged in the last round, and those that are clearly behind the leader."""
    what = "its loss" if metric == "loss" else f"its loss or {metric}"
    for racer in racing:
        if racer.runs[-1].value is None:
            racer.eliminated = f"{what} became NaN or infinite with seed {racer.runs[-1].seed}"
    left = {racer.trial.number: racer for racer in racing if not racer.eliminated}
    behind = eliminations(values_of(list(left.values())), step, lower_is_better=metric == "loss")
    for number, elimination in behind.items():
        left[number].eliminated = elimination.reason
    for racer in racing:
        if racer.eliminated:
            say(f"confirm: trial {racer.trial.number} drops out: {racer.eliminated}")


def forget_others(loaded: LoadedStudy, best: Sequence["FrozenTrial"]) -> None:
    """Delete what earlier races left of configurations that are no longer among the best."""
    numbers = {trial.number for trial in best}
    for path, number in loaded.paths.race_files():
        if number not in numbers:
            path.unlink(missing_ok=True)

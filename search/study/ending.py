"""What the end of a run takes, and how a whole is divided into search, race and final training.

The idea: the highest value of a search is that of its luckiest configuration, trained on a part of the images. So a run
ends with a race between the best few configurations and the default, on images that no trial was ranked by (see
``search.exporting.race_rule``), and with the winner's final training on all training images. Both are kept free before
the search begins: a budget or a time covers the whole, from the preparation of the images to the export.

The rule: with a trial's compute C, the final training's F, and the whole W (``--budget``; else what N trials, the race
and the final training would take):

    race <= 9 C, and <= 0.3 W
    search = W - F - race

A race of three configurations, the default among them, has three seeds; where that is too much it has two seeds, then
two configurations with three, and two with two. Where even those are too much there is none. Each training of the race
makes the passes of a trial, which are the passes of the final training. In K folds, whose trainings are 1 / K of a
trial, each seed takes K rounds, one a fold: so many values have a spread, and where two seeds are too much one does.
Where the final training is longer than a trial's passes take (``search.study.final_length``), so is each training of
the race, up to a quarter less; and where no race of that length is paid for, the smallest is as long as is.

An example: C = 0.04, F = 0.2 and W = 0.7 PFLOP. A race may take 0.3 x 0.7 = 0.21 PFLOP, which pays five trainings: it
has two configurations with two seeds, for 0.16. That leaves 0.34 PFLOP for the search. What is kept free for a race
that then takes less, or is not needed, goes to the final training.

What leads after 20 passes need not after 80: small nets have learnt by 20 all that they will. On 1,000 images of
Fashion-MNIST two nets of a third of the default's cost led it by 1.3 points after 20 passes, and were level with it
after 80; the best of nine after 80 leads it by 0.8 and was none of these (docs/measurements.md).
So the race is as long as the final training, as far as its share pays: two seeds of two configurations,
9 C in all, have 9 / 4 = 2.25 C each; in three folds one seed of three configurations, which are nine trainings of a
third of a trial, each 3 times as long. A third configuration is worth more than the last quarter of the length: made-up
races in three folds gain 0.78 points at 3 times, and 0.60 of two configurations at 4. More and shorter trainings would
gain a little more (four configurations at 2.25 times 0.81), with more exports that are clearly worse than the default
(3.6 for 2.3 %), and so with a part held out (``benchmarks/races.py``).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from search.config.study_config import StudyConfig
from search.data.splits import EARLY_IMAGES, STATISTICS_IMAGES
from search.errors import InputError
from search.formatting import count, flops
from search.study.final_length import MOST_LONGER, SHARE, longer_final, said_final, trial_compute

# At most so many configurations race, and each with so many seeds.
RACERS, SEEDS = 3, 3
# What else may be run, in this order, where those are too many. A comparison needs a spread: of two seeds, or of folds.
FEWER, FEWER_IN_FOLDS = ((3, 2), (2, 3), (2, 2)), ((3, 1), (2, 1))
# Into so many parts the race's images are dealt, one a seed: so the noise between rounds is that of images, too.
PARTS_OF_IMAGES = SEEDS
# The part of the final training's length that the race's trainings have at least, before a configuration or seed goes.
SHORTER = 0.75
# What sums of floating-point numbers may be apart.
ROUNDING = 1e-9


def can_race(config: StudyConfig) -> bool:
    """Whether a study has what its best configurations can be compared by: other images, or other folds."""
    return config.length > 0 and (config.race_images > 0 or config.folds > 0)


@dataclass(frozen=True)
class Ending:
    """What comes after a search.

    Attributes:
        racers: Number of configurations that race, the default among them; 0 for no race.
        rounds: Number of trainings of each.
        training: FLOPs of one of these trainings, validation included.
        final: FLOPs of the final training; 0 where there is none.
        times: So many times as long as a trial's each of the race's trainings is.
    """

    racers: int = 0
    rounds: int = 0
    training: float = 0.0
    final: float = 0.0
    times: float = 1.0

    @property
    def race(self) -> float:
        """FLOPs of the whole race."""
        return self.racers * self.rounds * self.training

    @property
    def compute(self) -> float:
        """FLOPs of race and final training."""
        return self.race + self.final


def plan_ending(
    config: StudyConfig,
    whole: float | None,
    trials: int,
    *,
    race: bool,
    refit: bool,
    configurations: int = RACERS,
    most: float | None = None,
    longer: bool = False,
    epochs: int | None = None,
    planned: float | None = None,
    run_before: float = 0.0,
    times_before: float = 0.0,
) -> Ending:
    """What the end of a run takes, by the rules at the heads of this module and of ``final_length``.

    Args:
        config: The study's.
        whole: FLOPs for all of it; None where nobody has said.
        trials: How many trials the study is to have, for a whole that nobody has said.
        race: Whether a race is wanted.
        refit: Whether the final training is.
        configurations: How many there are to race.
        most: A further bound of what the race takes, FLOPs, such as by the time that is left.
        longer: Whether the final training may be longer than the passes of a trial take.
        epochs: Its length, where somebody has said it in epochs.
        planned: FLOPs of it, where these are known.
        run_before: FLOPs of a race that was run before, whose trainings are there; where no time bounds it.
        times_before: How long trainings of its racers are that are there, in trainings of a trial; 0 where none are.
            It keeps that length, or is not run: of another, they would be made again.
    """
    final = said_final(config, epochs) if refit else 0.0
    whole = (trials * trial_compute(config) + final) / (1 - SHARE) if whole is None else whole
    if refit and longer:
        final = longer_final(config, whole)
    if refit and planned is not None:
        final = planned
    if not (race and can_race(config)):
        return Ending(final=final)
    allowed = min(RACERS * SEEDS * max(1, config.folds) * training_compute(config), SHARE * whole)
    allowed = max(allowed, run_before) if most is None else min(allowed, most)
    wanted = times_before or max(1.0, min(MOST_LONGER, final / (config.final or math.inf)))
    racers, rounds, times = _paid_for(config, allowed, configurations, wanted, keeps=times_before > 0)
    return Ending(racers, rounds, training_compute(config, times) if racers else 0.0, final, times)


def _paid_for(
    config: StudyConfig, allowed: float, configurations: int, wanted: float, *, keeps: bool
) -> tuple[int, int, float]:
    """The race that so much compute pays for: configurations, rounds, and how many times as long as a trial.

    Args:
        config: The study's.
        allowed: FLOPs.
        configurations: How many there are to race.
        wanted: How long its trainings are to be, in trainings of a trial.
        keeps: Whether they have that length or are not run.
    """
    courses = [course for course in _courses(config) if course[0] <= configurations]
    for racers, seeds in courses:
        rounds = seeds * max(1, config.folds)
        paid = 1.0 + (allowed / (racers * rounds) - training_compute(config)) / config.length
        shortest = wanted if keeps else max(1.0, SHORTER * wanted)
        if (racers, seeds) == courses[-1] and not keeps:
            shortest = 1.0
        if (times := paid * (1 + ROUNDING)) >= shortest:
            return racers, rounds, min(wanted, times)
    return 0, 0, 1.0


def least_race(config: StudyConfig) -> float:
    """FLOPs of the shortest race that there can be."""
    racers, seeds = _courses(config)[-1]
    return racers * seeds * max(1, config.folds) * training_compute(config)


def _courses(config: StudyConfig) -> Sequence[tuple[int, int]]:
    """The races that may be run, as configurations and seeds; the first that is paid for is."""
    return ((RACERS, SEEDS), *FEWER, *(FEWER_IN_FOLDS if config.folds else ()))


def training_compute(config: StudyConfig, times: float = 1.0) -> float:
    """FLOPs of one training of the race, so many times as long as a trial's.

    With all that its validation takes of a net of the default's size.
    """
    forward = config.length / (3 * config.final_epochs * config.training_images)
    a_fold = config.training_images / max(1, config.folds - 1)
    images = a_fold if config.folds else config.race_images / PARTS_OF_IMAGES
    early = config.epochs - 1
    validated = (2 if config.flip else 1) * (early * min(images, EARLY_IMAGES) + images)
    return times * config.length + forward * (
        validated + early * min(STATISTICS_IMAGES, config.training_images)
    )


def check_whole(config: StudyConfig, budget: float | None, refit: bool, epochs: int | None = None) -> None:
    """Refuse a budget that leaves nothing for a search beside the final training.

    Args:
        config: The study's.
        budget: FLOPs; None for no bound.
        refit: Whether there is a final training.
        epochs: Its length, where somebody has said it in epochs.

    Raises:
        InputError: It does not hold the final training and a trial.
    """
    if not (refit and config.length and budget is not None):
        return
    final, said_by = said_final(config, epochs), "--final" if epochs is None else "--refit-epochs"
    least = final + trial_compute(config)
    if budget < least:
        raise InputError(
            f"--budget {flops(budget)}: covers the final training, which takes {flops(final)} ({said_by}), and a "
            f"trial takes {flops(trial_compute(config))}; expected at least {flops(least)}; or pass --no-refit, to "
            "export the weights that scored in the search"
        )


def division(
    config: StudyConfig, ending: Ending, trials: int, budget: float | None, most: float = 0.0
) -> str:
    """How a run's whole is divided, in a sentence for its first screen.

    Args:
        config: The study's.
        ending: What comes after its search.
        trials: How many it is to have.
        budget: FLOPs of all together; None where nobody has said.
        most: FLOPs that the final training is given at most, of what is left.
    """
    search = f"{count(trials, 'trial')} of {flops(trial_compute(config))}"
    if budget is not None:
        search = f"at most {flops(budget - ending.compute)} for trials of {flops(trial_compute(config))}"
    parts = [search]
    if ending.racers:
        passes = " of one fold" if config.folds else ""
        passes += f", {ending.times:.2g} times as long as a trial's" if ending.times > 1 else ""
        parts.append(
            f"{'' if budget is not None else 'up to '}{flops(ending.race)} for a race of the best and the default, "
            f"{count(ending.racers * ending.rounds, 'training')}{passes}"
        )
    if ending.final:
        more = f" (up to {flops(most)}, where some is left)" if most > ending.final else ""
        parts.append(f"{flops(ending.final)} for the final training, on all training images{more}")
    whole = "" if budget is None else f" of {flops(budget)}"
    return f"compute{whole}: {'; '.join(parts)}"

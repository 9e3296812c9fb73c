"""How long the final training is, and what a whole must hold beside it: two trials, and the race's share.

C, F and W are a trial's compute, the final training's and the whole, as in ``search.study.ending``. What a budget or a
time keeps free for a race that then takes less, or is not needed, goes to the final training, which longer is better:
it takes

    min(2 F, W - what search and race have taken), and at least F.

Twice as many passes are so few more that what was best for the one is good for the other. An example: F = 0.2 and
W = 0.7 PFLOP, of which a search without a race has taken 0.34; then it is 0.36.

Of few images F itself is longer than the passes of a trial take. Twenty passes over 1,000 photographs are 20,000 looks,
and a net has not learnt by then what they hold: the default of ``photo_cnn`` had 56.8 % after 20 and 60.4 % after 80
passes over 1,000 images of CIFAR-10, 35.6 and 39.9 % over 200; over 2,000 it had 67.6 % after 40 and 69.8 after 80
(``benchmarks/passes.py``). So with P passes of the default, N images and W, or with ``--timeout`` as much as that time
pays at the pace so far, the F above is

    F = F of P passes times min(4, 160,000 / (P N)), at most 0.4 W, and at least F of P passes,

so far as two trials and all of the race's share are left beside it.

A trial in K folds takes as much as K - 1 final trainings, which of a small whole leaves little for that. So folds that
nobody has asked for give way to a part held out where two trials in them, the race's share and the longer F are more
than W. An example: 1,000 images, P = 20, three folds, W = 10 F of P passes. Two trials take 4, the final training
min(4, 0.4 x 10) = 4, the race 3: together 11, so that a part is held out.

A final training whose length somebody has said (``--final``, ``--refit-epochs``) has that length.
"""

import math

from search.config.study_config import StudyConfig
from search.study.pace import LEAST_TRIALS

# What a race may take of the whole.
SHARE = 0.3
# So many times as long as planned a final training may be, where there is compute left.
MOST_GROWTH = 2.0
# So many times the passes of a trial, so many looks at images, and such a part of the whole a final training of few
# images has at most.
MOST_LONGER, LOOKS, FINAL_SHARE = 4.0, 160_000, 0.4


def trial_compute(config: StudyConfig) -> float:
    """FLOPs of a trial that is not pruned."""
    return float(config.length) * max(1, config.folds)


def said_final(config: StudyConfig, epochs: int | None) -> float:
    """FLOPs of the final training, of so many epochs of the default where that is said, before it is made longer."""
    return float(config.final) if epochs is None else config.final * epochs / config.final_epochs


def longer_final(config: StudyConfig, whole: float, trial: float | None = None) -> float:
    """FLOPs of the final training as it is planned, of few images by the rule at the head of this module.

    Args:
        config: The study's.
        whole: FLOPs of all together.
        trial: What a trial takes of that, where it is more than its own.
    """
    looks = config.final_epochs * config.training_images * config.final / config.length
    beside = (1 - SHARE) * whole - LEAST_TRIALS * (trial_compute(config) if trial is None else trial)
    return max(float(config.final), min(_times_longer(looks) * config.final, FINAL_SHARE * whole, beside))


def fits(final: float, trial: float, whole: float, looks: float) -> bool:
    """Whether two trials, the race's share and the final training, of few images a longer one, fit in a whole.

    Args:
        final: What the final training takes before it is made longer, in FLOPs or seconds.
        trial: What a trial takes, in final trainings.
        whole: What there is for all of it, as ``final`` is counted.
        looks: At how many images that final training looks.
    """
    longer = max(final, min(_times_longer(looks) * final, FINAL_SHARE * whole))
    return LEAST_TRIALS * trial * final + longer <= (1 - SHARE) * whole


def _times_longer(looks: float) -> float:
    return max(1.0, min(MOST_LONGER, LOOKS / looks))


def grown_final(config: StudyConfig, planned: float, left: float) -> float:
    """FLOPs of the final training where ``left`` of the whole are left, by the rule at the head of this module."""
    return max(float(config.final), min(MOST_GROWTH * max(planned, config.final), left))


def most_final(config: StudyConfig, planned: float, *, longer: bool) -> float:
    """FLOPs that the final training takes at most, where it is given what is left.

    Args:
        config: The study's.
        planned: FLOPs that are planned for it.
        longer: Whether they may be more later, as far as the passes of a trial are not enough.
    """
    return MOST_GROWTH * max(planned, longer_final(config, math.inf) if longer else float(config.final))

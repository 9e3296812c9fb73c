"""What a search with photographs and no backbone can do on this machine: the size, the folds and the length that fit.

The idea: a search wants at least two trials beside the final training. What they take follows from the net's operations
and the machine's speed, before anything is trained.

The rule: with F seconds for the final training, a trial in K folds takes (K - 1) F. With a part held out, and as much
set aside for the race, it takes about 0.7 F, its validation included. The side of the images is the largest at which a
trial takes about a minute, and two trials, the race and the final training, which of few images is longer than F, fit
in ``--timeout`` and ``--budget`` (``search.study.final_length``). Where none does, the search does without folds; and
where the final training and one trial would be too long then, the final training is the longest that fits
(``search.study.speed``), down to ``LEAST_EPOCHS``. (Of 834 clothes of 96 pixels, the default has 81 % of others right
after 20 epochs, and 56 % after 7.)

An example: 800 images of 96 pixels, ``--timeout 2m``, of which 90 s are for training, and a final training of 20 epochs
that takes 72 s. Two trials in five folds alone would be 2 x 4 x 72 = 576 s. With a part held out, the final training
may take (0.6 x 120 - 30) / 1.1 = 38 s: it has 10 epochs.
"""

import math
from dataclasses import dataclass

from search.config.value_types import as_final
from search.presets import PRESETS
from search.study.final_length import fits
from search.study.request import load_space
from search.study.speed import longest_final, paid_compute, training_speed
from spaces.contract import InputSpec, sides

SIDES = (48, 64, 80, 96, 112, 128)
MINUTE = 75.0
# A trial with a part held out, in final trainings.
A_TRIAL = 0.7
EPOCHS = int(as_final("--final", str(PRESETS["folder_cnn"].final)).epochs)
LEAST_EPOCHS = 4


@dataclass(frozen=True)
class Fit:
    """What fits.

    Attributes:
        side: Of the images, in pixels, or ``HxW``.
        seconds: Of a trial, about; None on a GPU.
        folds: Whether there are folds, where that is open.
        epochs: Of the final training.
    """

    side: int | str
    seconds: float | None
    folds: bool
    epochs: int


def fit(
    images: int,
    classes: int,
    folds: int,
    *,
    size: int | str | None,
    open_folds: bool,
    timeout: float | None,
    budget: float | None = None,
    said: bool = False,
) -> Fit:
    """Choose by the rule at the head of this module.

    Args:
        images: Number of training images.
        classes: Number of classes.
        folds: The folds that the study is to have; 0 for a part held out.
        size: Of the images, where it is given; else it is chosen.
        open_folds: Whether the study may do without the folds.
        timeout: Seconds for all of it; None for as long as it takes.
        budget: FLOPs for all of it; None for as many as it takes.
        said: Whether somebody has said how long the final training is, which then is no longer where images are few.
    """
    speed, choices = training_speed(), SIDES if size is None else (size,)
    final = {one: final_flops(images, classes, one) for one in choices}
    looks = math.inf if said else EPOCHS * images
    for dealt in (folds, 0) if open_folds else (folds,):
        trial = max(1, dealt - 1) if dealt else A_TRIAL
        whole = paid_compute(timeout, budget, speed, in_folds=dealt > 0)
        fitting = [one for one in choices if fits(final[one], trial, whole, looks)]
        if fitting:
            break
    if speed is None:
        return Fit(fitting[-1] if fitting else choices[0], None, dealt > 0, EPOCHS)
    short = [one for one in fitting if trial * final[one] <= MINUTE * speed]
    side = short[-1] if short else choices[0]
    share = 1.0 if timeout is None else longest_final(timeout, trial, speed) / final[side]
    epochs = max(LEAST_EPOCHS, int(EPOCHS * min(1.0, share)))
    return Fit(side, trial * final[side] / speed * epochs / EPOCHS, dealt > 0, epochs)


def final_flops(images: int, classes: int, size: int | str) -> float:
    """Floating-point operations of the final training of ``photo_cnn``'s default configuration at this size."""
    spec = InputSpec(*sides(size), 3, max(2, classes))
    space = load_space("photo_cnn")
    return 3.0 * space.cost(space.first(spec)[0], spec).flops * EPOCHS * images

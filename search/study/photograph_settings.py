"""What a search with photographs and no backbone can do on this machine: the size, the folds and the length that fit.

The idea: a search wants at least two trials beside the final training. What they take follows from the net's operations
and the machine's speed, before anything is trained.

The rule: with F seconds for the final training, a trial in K folds takes (K - 1) F. With a part held out, and as much
set aside for the race, it takes about 0.7 F, its validation included. So a search takes at least

    F + 2 (K - 1) F  in folds,  or  F + 2 x 0.7 F = 2.4 F.

Without a ``--timeout`` the side of the images is the largest at which a trial takes about a minute. With one, it is the
largest of these at which the search fits, too. Where none does, or the size is given, the search does without folds.
Then the final training comes first: a second trial is done without where there is no time for it, since a good default
that is trained long is better than the better of two that are not. Where F and one trial take too long, 1.7 F, it is so
much shorter, down to ``LEAST_EPOCHS``. (Of 834 clothes of 96 pixels, the default has 81 % of others right after 20
epochs, and 56 % after 7.)

An example: 800 images of 96 pixels, ``--timeout 2m``, of which 90 s are for training, and a final training of 20 epochs
that takes 72 s. In five folds it would be 72 + 2 x 4 x 72 = 648 s; with a part held out 1.7 x 72 = 122 s, which is too
long as well. So the final training has 14 epochs.
"""

import time
from dataclasses import dataclass
from math import inf
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from search.config.value_types import as_final
from search.data.threads import cores
from search.presets import PRESETS
from search.study.pace import LEAST_TRIALS
from search.study.request import load_space
from spaces.contract import InputSpec, sides

SIDES = (48, 64, 80, 96, 112, 128)
MINUTE = 75.0
# Seconds of a ``--timeout`` that are not for training: the start, the images, the export.
OTHER = 30.0
# A trial with a part held out, in final trainings.
HELD_OUT = 0.7
EPOCHS = int(as_final("--final", str(PRESETS["folder_cnn"].final)).epochs)
LEAST_EPOCHS = 4
# Of what the cores can do in multiplying matrices, training reaches about so much.
EFFICIENCY = 0.5
# Any GPU trains such nets at the largest side in a minute.
GPU = Path("/dev/nvidiactl")
MATRIX, REPEATS = 1024, 12


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
    images: int, classes: int, folds: int, *, size: int | str | None, open_folds: bool, timeout: float | None
) -> Fit:
    """Choose by the rule at the head of this module.

    Args:
        images: Number of training images.
        classes: Number of classes.
        folds: The folds that the study is to have; 0 for a part held out.
        size: Of the images, where it is given; else it is chosen.
        open_folds: Whether the study may do without the folds.
        timeout: Seconds for all of it; None for as long as it takes.
    """
    speed = training_speed()
    left = inf if timeout is None else max(0.0, timeout - OTHER)
    choices = SIDES if size is None else (size,)
    final = {one: 0.0 if speed is None else final_flops(images, classes, one) / speed for one in choices}
    trial = max(1, folds - 1) if folds else HELD_OUT

    def whole(side: int | str, trials: int = LEAST_TRIALS) -> float:
        return (1 + trials * trial) * final[side]

    fitting = [one for one in choices if trial * final[one] <= MINUTE and whole(one) <= left]
    side = fitting[-1] if fitting else choices[0]
    if whole(side) > left and open_folds:
        folds, trial = 0, HELD_OUT
    least = whole(side, trials=1)
    epochs = EPOCHS if least <= left else max(LEAST_EPOCHS, int(EPOCHS * left / least))
    return Fit(side, None if speed is None else trial * final[side] * epochs / EPOCHS, folds > 0, epochs)


def final_flops(images: int, classes: int, size: int | str) -> float:
    """Floating-point operations of the final training of ``photo_cnn``'s default configuration at this size."""
    spec = InputSpec(*sides(size), 3, max(2, classes))
    space = load_space("photo_cnn")
    return 3.0 * space.cost(space.first(spec)[0], spec).flops * EPOCHS * images


def training_speed() -> float | None:
    """About how many floating-point operations a second a training does here; None on a GPU, which is fast enough.

    A product of two n x n matrices is 2 n^3 operations, which cores do at their best; a training reaches half of that.
    It is timed by CPU time, and on one core, so that a machine with other work to do gives the same answer: threads
    that wait for each other use time, too, and a framework is being imported meanwhile.
    """
    if GPU.exists():
        return None
    matrix, seconds = np.ones((MATRIX, MATRIX), "float32"), []
    with threadpool_limits(1, "blas"):
        for _ in range(REPEATS):
            began = time.process_time()
            np.matmul(matrix, matrix)
            seconds.append(time.process_time() - began)
    return EFFICIENCY * cores() * 2 * MATRIX**3 / min(seconds)

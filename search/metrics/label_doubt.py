"""Which labels a net's mistakes cast doubt on: only where the net is right often enough for that.

Idea: of an image that a net takes for another class, either the net or the label is wrong. In well-known test sets 3 %
of the labels are wrong (Northcutt, Athalye and Mueller, NeurIPS 2021, https://arxiv.org/abs/2103.14749). So where a net
is wrong much more often than that, a mistake says nothing of its label. As in confident learning (Northcutt, Jiang and
Chuang, JAIR 2021, https://arxiv.org/abs/1911.00068), what counts is not how good the net is as a whole, but how good it
is where it is as sure as of this image.

Rule: let r(c) be the share of the images of confidence c or more whose label the net predicts. The labels of the
mistakes of confidence c or more are doubted, for the least c at which r(c) is at least 95 %, by the lower end of its
95 % interval (Wilson). Images of the same confidence are trusted together or not at all, so that their order does not
matter. Where there is no such c, no label is doubted.

Example: a net is surest of 200 images and is wrong of the 150th and the 200th of them. Of 150 it has 149 right, with an
interval from 96.3 %; of 200 it has 198 right, from 96.4 %: both labels are doubted. A net that is wrong of the 5th and
right of 62 % as a whole reaches 95 % nowhere, and doubts none.
"""

import numpy as np
import numpy.typing as npt

from search.metrics.classification import Integers, Scores, wilson_low

# So many of the images that a net is as sure of it must have right.
LEAST_RIGHT = 0.95
# The quantile of the normal distribution at which a 95 % interval ends.
Z = 1.96


def doubted_labels(scores: Scores) -> Integers:
    """The numbers of the images whose labels are in doubt, ``(M,)``, the surest mistakes first; often none.

    Args:
        scores: What a net says of images that it has not seen.
    """
    order = np.argsort(-scores.confidence, kind="stable")
    right = (scores.predicted == scores.labels)[order]
    last_of_its_confidence = np.diff(scores.confidence[order], append=-np.inf) < 0
    trusted = np.flatnonzero((_lower_ends(np.cumsum(right)) >= LEAST_RIGHT) & last_of_its_confidence)
    surest = order[: trusted[-1] + 1 if len(trusted) else 0]
    doubted: Integers = surest[~right[: len(surest)]]
    return doubted


def _lower_ends(right: Integers) -> npt.NDArray[np.float64]:
    """The lower end of Wilson's interval for each of ``1, 2, ... N`` images, of which so many are right, ``(N,)``."""
    images = np.arange(1, len(right) + 1)
    ends: npt.NDArray[np.float64] = wilson_low(right / images, images, Z)
    return ends

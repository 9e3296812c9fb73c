"""Calibration: how far confidences can be taken for probabilities, and the one number that mends them.

Temperature scaling divides all logits by one positive number, fitted on validation images by their cross-entropy
(Guo et al. 2017, https://arxiv.org/abs/1706.04599). It changes confidences and no predicted class.
"""

from dataclasses import replace

import numpy as np

from search.evaluation.scores import Scores

BINS = 15
# A best temperature beyond these is none: a net that makes no mistake on few images could be ever more certain.
LOWEST, HIGHEST = 0.05, 20.0
# Twice the gain in log-likelihood that chance exceeds once in twenty times (chi-squared, one degree of freedom). Fitted
# regardless on 24 validation images of ants and bees, it doubled the calibration error on the test images.
CHANCE = 3.84


def calibration_error(scores: Scores, bins: int = BINS) -> float:
    """Expected calibration error, 0 to 1: the mean gap between confidence and accuracy, over bins of confidence.

    Args:
        scores: Of any images; their temperature counts.
        bins: Of equal width, from 0 to 1; each weighs as many images as fall into it.
    """
    place = np.minimum((scores.confidence * bins).astype(np.int64), bins - 1)
    surplus = scores.confidence - (scores.predicted == scores.labels)
    return float(np.abs(np.bincount(place, weights=surplus, minlength=bins)).sum() / len(scores.labels))


def fit_temperature(validation: Scores) -> float | None:
    """The temperature at which the cross-entropy of ``validation`` is least.

    Args:
        validation: Of images that the weights were not trained on, and that are no test images.

    Returns:
        It, or None where these images determine none: all are classified right, the least lies outside ``LOWEST``
        to ``HIGHEST``, or it is no better than 1 beyond chance.
    """
    from scipy.optimize import minimize_scalar

    if (validation.predicted == validation.labels).all():
        return None

    # The loss is convex in 1 / temperature, so that it has one minimum in the logarithm too.
    def loss(logarithm: float) -> float:
        return replace(validation, temperature=float(np.exp(logarithm))).loss

    bounds = (float(np.log(LOWEST)), float(np.log(HIGHEST)))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-5})
    if 2 * len(validation.labels) * (loss(0.0) - found.fun) < CHANCE:
        return None
    inside = bounds[0] + 1e-3 < found.x < bounds[1] - 1e-3
    return float(np.exp(found.x)) if inside else None

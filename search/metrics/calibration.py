"""Calibration: how far confidences can be taken for probabilities, and the temperature that corrects them.

A net that is 90 % sure should be right nine times in ten. Most nets are surer than they are right. Temperature scaling
corrects that with one number: all logits z are divided by a temperature T > 0 before the softmax, p = softmax(z / T). T
is the one with the least cross-entropy on validation images, L(T). It changes confidences, but no predicted class.

Three rules keep a temperature from being fitted to chance on n images:

* It is taken only if a likelihood-ratio test finds it better than T = 1: if 2 * n * (L(1) - L(T)) is at least 3.84,
  which chance exceeds once in twenty times (chi-squared with one degree of freedom).
* It is taken only if it lies between ``LOWEST`` and ``HIGHEST``.
* If all n images are classified right, there is no best T: the lower, the better. Yet these images may show that the
  net is surer to be right than it says, as one trained with smoothed labels is. If its confidences were probabilities,
  all n would be right with the probability of their product, exp(-n * L(1)). Under 5 %, that is refuted, and what is
  taken is the T nearest to 1 that is not, at which n * L(T) = 3. For no mistake among n images says that there are
  fewer than 3 in n, and no more (the "rule of three": J. A. Hanley and A. Lippman-Hand, JAMA 249, 1983). The
  confidences of a net for scikit-learn's digits were off by 12 % on other images, and by 1.8 % then (the mean of 200
  draws of 144 images that were all right).

An example: a net of two classes gives the logits (2, 0) for each of 100 images, which is a confidence of 88 %, and 76
of them are of the first class. The best T makes 76 % of it, 1 / (1 + exp(-2 / T)) = 0.76, so T = 2 / ln(0.76 / 0.24) =
1.74. The test gives 2 * 100 * (L(1) - L(T)) = 11.2, so that it is taken. With 19 right of 25 images T is the same, but
the test gives 2.8, and the temperature stays 1.

    >>> labels, logits = np.array([0] * 76 + [1] * 24), np.array([[2.0, 0.0]] * 100, np.float32)
    >>> round(fit_temperature(Scores(labels, logits)), 2)
    1.74
    >>> fit_temperature(Scores(labels[57:82], logits[57:82])) is None
    True

Source: C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On Calibration of Modern Neural Networks", 2017,
https://arxiv.org/abs/1706.04599.
"""

from dataclasses import replace

import numpy as np

from search.metrics.classification import Scores

BINS = 15
# The bounds of a temperature.
LOWEST, HIGHEST = 0.05, 20.0
# The threshold of the likelihood-ratio test. A temperature fitted without it on 24 validation images of ants and bees
# doubled the calibration error on the test images.
CHANCE = 3.84
# The sum of -log p over images with which all of them are right by chance once in twenty times: -log 0.05.
RULE_OF_THREE = 3.0


def calibration_error(scores: Scores, bins: int = BINS) -> float:
    """The expected calibration error, 0 to 1: the mean gap between confidence and accuracy.

    The images are sorted into bins by confidence, and in each the mean confidence is compared with the accuracy; a bin
    counts by its number of images. If a net is 90 % sure of each of 10 images and 8 are right, the error is 0.1.

    Args:
        scores: Labels and outputs for any images, with their temperature.
        bins: The number of bins, of equal width from 0 to 1.
    """
    bin_of = np.minimum((scores.confidence * bins).astype(np.int64), bins - 1)
    surplus = scores.confidence - (scores.predicted == scores.labels)
    return float(np.abs(np.bincount(bin_of, weights=surplus, minlength=bins)).sum() / len(scores.labels))


def least_loss(scores: Scores) -> float:
    """The mean cross-entropy at the temperature at which it is least, rounded to six digits.

    It ranks nets by how well they tell classes apart, and not by how sure they are of it.
    """
    return float(f"{replace(scores, temperature=best_temperature(scores)).loss:.6g}")


def best_temperature(scores: Scores) -> float:
    """The temperature at which the mean cross-entropy is least, within bounds, be that by chance.

    It is found by looking ever closer, in plain NumPy, for workers compute it.
    """
    low, high = np.log(LOWEST), np.log(HIGHEST)
    for _ in range(4):
        points = np.linspace(low, high, 13)
        losses = [replace(scores, temperature=float(np.exp(point))).loss for point in points]
        best = int(np.argmin(losses))
        low, high = points[max(0, best - 1)], points[min(12, best + 1)]
    return float(np.exp(points[best]))


def fit_temperature(validation: Scores) -> float | None:
    """Fit the temperature of a net; see above for the rules.

    Args:
        validation: Labels and outputs for images that the weights were not trained on, and that are no test images.

    Returns:
        The temperature; None if it is out of bounds, or not better than 1 beyond chance.
    """
    from scipy.optimize import brentq, minimize_scalar

    count = len(validation.labels)

    # The loss is convex in 1 / temperature, and so has only one minimum in its logarithm.
    def loss(logarithm: float) -> float:
        return replace(validation, temperature=float(np.exp(logarithm))).loss

    bounds = (float(np.log(LOWEST)), float(np.log(HIGHEST)))
    if (validation.predicted == validation.labels).all():
        if not count * loss(bounds[0]) < RULE_OF_THREE < count * loss(0.0):
            return None
        return float(np.exp(brentq(lambda x: count * loss(x) - RULE_OF_THREE, bounds[0], 0.0, xtol=1e-5)))
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-5})
    if 2 * count * (loss(0.0) - best.fun) < CHANCE:
        return None
    is_inside = bounds[0] + 1e-3 < best.x < bounds[1] - 1e-3
    return float(np.exp(best.x)) if is_inside else None

"""Whether a configuration beats the default: the difference of their means, shrunk by its noise.

Idea: of a few noisy means the highest owes a part of its lead to luck, and so does what is picked for it. If true
differences ``D`` are spread around zero with the standard deviation ``S``, and one is measured as ``d`` with the
standard error ``s``, the best guess of it is not ``d`` but ``B d`` with ``B = S^2 / (S^2 + s^2)``. ``S`` is not known;
with the one difference that there is in its place, this is the shrinkage of Thompson (JASA 63, 1968):

    B = d^2 / (d^2 + s^2)        shrunk = B d

What is known of ``D`` then has the standard deviation ``sqrt(B) s``, so that the configuration is better than the
default with the probability ``T(sqrt(B) t)``, with ``t = d / s`` and ``T`` the distribution of Student's t with the
degrees of freedom of ``s``. Of a lead of one standard error a half is left, of one of two four fifths. Something is
left of any lead: whoever leads is exported.

Each round has a seed of its own, the same for all, and images of its own. The noise of seeds and images is what remains
when the means of configurations and rounds are taken off, pooled over ``k`` configurations and ``r`` rounds:

    e[i, r] = x[i, r] - mean of i - mean of r + mean of all
    v       = sum of e[i, r]^2 / ((k - 1) (r - 1))        s = sqrt(2 v / r)

Example: the default, trial 0, and two others in three rounds, with the means 0.90, 0.92 and 0.91. v is 0.00013 with 4
degrees of freedom, s = 0.0094. Trial 4 leads by 0.02, of which 0.0164 is left; trial 7 by 0.01, of which 0.0053 is:

    >>> values = {0: [0.89, 0.90, 0.91], 4: [0.93, 0.91, 0.92], 7: [0.90, 0.92, 0.91]}
    >>> for number, one in advantages(values, 0, 0, lower_is_better=False).items():
    ...     print(number, f"{one.gap:.4f} {one.error:.4f} {one.shrunk:.4f} {one.probability:.2f}")
    4 0.0200 0.0094 0.0164 0.94
    7 0.0100 0.0094 0.0053 0.76
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# The values of each configuration, by the number of its trial: one for each round, in the order of the rounds.
Values = Mapping[int, Sequence[float]]


@dataclass(frozen=True)
class Advantage:
    """How much better a configuration is than the default.

    Attributes:
        gap: The difference of their means; above zero where it is better, whatever the metric.
        error: The standard error of that.
        shrunk: What is left of the gap when it is shrunk by its noise.
        probability: That the configuration is better at all.
    """

    gap: float
    error: float
    shrunk: float
    probability: float


def noise(values: Values, step: float) -> tuple[float, int]:
    """The variance of one value about the means of its configuration and its round, and its degrees of freedom.

    Args:
        values: At least two of each of at least two configurations, equally many of each.
        step: The difference that one validation image makes, where values come in such steps, else 0. A value that is
            rounded to a step has at least its variance.
    """
    table = np.array([list(row) for row in values.values()])
    residual = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    return max(float((residual**2).sum()) / freedom, step**2 / 12), freedom


def advantages(values: Values, default: int, step: float, *, lower_is_better: bool) -> dict[int, Advantage]:
    """How much better each other configuration is than the default, by the rule at the head of this module.

    Args:
        values: Finite, at least two of each, equally many of each.
        default: Which of them is the default.
        step: See ``noise``.
        lower_is_better: Whether the values are losses.
    """
    from scipy.stats import t

    variance, freedom = noise(values, step)
    means = {number: float(np.mean(row)) for number, row in values.items()}
    error = math.sqrt(2 * variance / len(values[default]))
    found = {}
    for number, mean in means.items():
        if number == default:
            continue
        gap = (means[default] - mean) if lower_is_better else (mean - means[default])
        ratio = gap / error if error else math.copysign(math.inf, gap) if gap else 0.0
        kept = 1 / (1 + 1 / ratio**2) if ratio else 0.0
        found[number] = Advantage(gap, error, kept * gap, float(t.cdf(math.sqrt(kept) * ratio, freedom)))
    return found

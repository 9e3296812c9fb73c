"""Which of several nets is preferred where accuracy is not all that counts, and which of them are worth their cost.

The highest of many noisy values is hardly better than those a little below it, but may cost many times as much. Two
rules take a cheaper net instead:

- ``balanced`` is the rule of one standard error: of all nets whose value is within one standard error of the best
  one's, the cheapest is taken (L. Breiman et al., "Classification and Regression Trees", 1984, section 3.4.3;
  T. Hastie, R. Tibshirani, J. Friedman, "The Elements of Statistical Learning", 2009, section 7.10). Chance alone
  explains such a difference.
- ``small`` takes the net with the fewest parameters of all that are within two points of the best, whatever the noise.

``accurate`` is the best value, as it is. Of equally cheap nets the one with the better value is taken.

The standard error of a share ``p`` of ``n`` images is about ``sqrt(p (1 - p) / n)``, which would be zero of a net that
is right about all of them. So it is the distance from ``p`` to the lower end of Wilson's interval of one standard
error,

    s = p - (p + 1 / (2 n) - sqrt(p (1 - p) / n + 1 / (4 n^2))) / (1 + 1 / n)

An example, on 400 images: net 4 has 95.0 % at 9 MFLOP, net 7 has 94.2 % at 2 MFLOP, net 2 has 93.1 % at 1 MFLOP and the
fewest parameters. One standard error of net 4 is 1.2 points: net 7 is balanced, net 2 is small.

    >>> nets = [Priced(4, 0.95, 9e6, 300_000), Priced(7, 0.942, 2e6, 90_000), Priced(2, 0.931, 1e6, 40_000)]
    >>> error = share_error(0.95, 400)
    >>> round(error, 4)
    0.0121
    >>> [preferred(nets, nets[0], what, error, lower_is_better=False).number for what in PREFERENCES]
    [4, 7, 2]
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import stdev

from search.config.request_settings import PREFERENCES
from search.metrics.classification import wilson_low

ACCURATE, BALANCED, SMALL = PREFERENCES
# How far from the best a small net may be.
POINTS = 0.02
# Sums of the same numbers in another order differ by less.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Priced:
    """A net with what it scores and costs.

    Attributes:
        number: Of its trial.
        value: What it scores.
        flops: Operations of one image's forward pass; None where they do not compare.
        parameters: How many it has.
        milliseconds: What it took an image, measured; None where it was not.
        error: One standard error of the value; None where that is not known.
    """

    number: int
    value: float
    flops: float | None
    parameters: int
    milliseconds: float | None = None
    error: float | None = None

    @property
    def cost(self) -> tuple[float, int]:
        """What the cheapest is chosen by: operations, else parameters."""
        return (self.parameters if self.flops is None else self.flops), self.parameters


def preferred(
    nets: Sequence[Priced], best: Priced, what: str, error: float | None, *, lower_is_better: bool
) -> Priced:
    """The net that is preferred, by the rules at the head of this module.

    Args:
        nets: All that may be taken.
        best: The one with the best value.
        what: One of ``PREFERENCES``.
        error: One standard error of the best one's value; None where it is not known, so that nothing is balanced.
        lower_is_better: Whether the values are losses.
    """
    near = within_reach(nets, best, what, error, lower_is_better=lower_is_better)
    sign = 1 if lower_is_better else -1
    cost: Callable[[Priced], tuple[float, ...]] = {
        SMALL: lambda net: (net.parameters, *net.cost),
        BALANCED: lambda net: net.cost,
    }.get(what, lambda net: (net is not best,))
    return min([best, *near], key=lambda net: (*cost(net), sign * net.value))


def within_reach(
    nets: Sequence[Priced], best: Priced, what: str, error: float | None, *, lower_is_better: bool
) -> list[Priced]:
    """The nets that are near enough to the best for a preference, it among them."""
    reach = {ACCURATE: 0.0, BALANCED: error or 0.0, SMALL: POINTS}[what]
    sign = 1 if lower_is_better else -1
    return [net for net in nets if sign * (net.value - best.value) <= reach + ROUNDING]


def front(nets: Sequence[Priced], cost: Callable[[Priced], float], *, lower_is_better: bool) -> list[Priced]:
    """The nets that are worth their cost: no other is as good and costs less, or is better and costs no more.

    Returns:
        By rising cost, and so by rising quality.
    """
    sign = 1 if lower_is_better else -1
    found: list[Priced] = []
    for net in sorted(nets, key=lambda net: (cost(net), sign * net.value)):
        if not found or sign * net.value < sign * found[-1].value:
            found.append(net)
    return found


def share_error(share: float, images: int) -> float:
    """One standard error of a share of so many images; see the head of this module."""
    return share - float(wilson_low(share, images, 1.0))


def mean_error(values: Sequence[float]) -> float | None:
    """One standard error of the mean of some values, such as those of folds; None of fewer than two."""
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None

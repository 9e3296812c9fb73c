"""What a search's best trial is worth, and whether the search has decided anything, from what all trials predict.

**What the best is worth.** The best of many trials has a better score than it deserves: where ten nets are equally
good, the one with the luckiest score is chosen, and its luck does not last. All trials have predicted the same images,
each by a net that had not seen it, so that this can be measured and taken off (BBC-CV: bootstrap bias corrected
cross-validation).

The rule: draw N of the N images with replacement, choose the trial that is best on them, and score it on the images
that were not drawn, which are about 37 %. The mean score over many draws is what the chosen trial is worth.

An example: of 100 images two trials are right on 90 each, but not on the same. On one draw the first has 92 and the
second 88 %: the first is chosen. What was drawn more than its share of times is missing among the others, on which it
has less than 90 %. So the mean over all draws is under 90 %, by the luck that a choice between these two has.

**Whether the trials differ** at all is told by Cochran's Q, a test for k nets that answer the same N images. Let C_j be
how many images net j has right, R_i how many nets have image i right, and T the sum of either. Then

    Q = (k - 1) * (k * sum(C_j^2) - T^2) / (k * T - sum(R_i^2))

follows, where all nets are equally good, a chi-square distribution of k - 1 degrees of freedom. For the two nets above,
with 5 images that the first alone has right and 5 that the second alone has, Q = 0 and p = 1. Were it 12 and 2, it
would be (12 - 2)^2 / 14 = 7.1, as in McNemar's test, and p = 0.008.

    >>> right = np.array([[True] * 12 + [False] * 2 + [True] * 86, [False] * 12 + [True] * 2 + [True] * 86])
    >>> round(chance_of_such_differences(right), 3)
    0.008

**Whether the best beats the default** is another question: trials differ where a single one is bad, and the best of
many leads by luck. Let d_j be how far trial j is ahead of the default on all images, and d_j(b) the same on draw b. Of
a trial that is just as good as the default, d_j(b) - d_j is a lead that chance might have given it, so that the best of
so many such trials might lead by

    luck(b) = max over all trials j of (d_j(b) - d_j)

The lead of the search's best is believed if the luck of fewer than one draw in twenty is as large (White's reality
check). What is hard for all trials cancels out, since each draw has the same images for all.

An example: of 200 images the default has 160 right, and a second trial these and six more. Were it the only one, chance
would give it as much in one draw of fifty. But there are eighteen more trials, each of which has eight images right
that the default has wrong, and eight wrong that the default has right. Of nineteen trials that are no better than the
default the best leads by as much in two draws of three, so the six images say nothing:

    >>> labels, random = np.zeros(200, int), np.random.default_rng(0)
    >>> default, second = np.arange(200) < 160, np.arange(200) < 166
    >>> def other():
    ...     changed = [*random.choice(160, 8, replace=False), *random.choice(range(160, 200), 8, replace=False)]
    ...     return default ^ np.isin(np.arange(200), changed)
    >>> right = [default, second, *(other() for _ in range(18))]
    >>> trials = [Scores(labels, np.stack([one, ~one], axis=1).astype(np.float32)) for one in right]
    >>> for some in (trials[:2], trials):
    ...     lead = lead_over_default(some, best=1, default=0, metric="accuracy", classes=("a", "b"))
    ...     print(f"{lead.gap:.3f} {lead.chance:.3f}")
    0.030 0.021
    0.030 0.658

Sources: I. Tsamardinos, E. Greasidou, G. Borboudakis, "Bootstrapping the out-of-sample predictions for efficient and
accurate cross-validation", Machine Learning 107, 2018; W. G. Cochran, "The comparison of percentages in matched
samples", Biometrika 37, 1950; H. White, "A reality check for data snooping", Econometrica 68, 2000.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from search.metrics.class_figures import mean_of_defined
from search.metrics.classification import Floats, Scores, log_probabilities

DRAWS, DRAWS_OF_OTHER_METRICS = 1000, 200
LEVEL = 0.05
ROUNDING = 1e-12


def corrected_accuracy(
    trials: Sequence[Scores],
    metric: str,
    classes: Sequence[str],
    together: npt.NDArray[Any] | None = None,
    seed: int = 0,
) -> float:
    """The accuracy of the best of some trials, corrected for its having been chosen; see above.

    Args:
        trials: What each trial predicts of the same images; each at the temperature at which its cross-entropy is
            least, by which equal trials are told apart.
        metric: What the trials are ranked by.
        classes: Names, in label order.
        together: Each image's group ``(N,)``, of which whole ones are drawn; None draws single images.
        seed: Of the draws.
    """
    if len(trials) == 1:  # Nothing was chosen.
        return trials[0].accuracy
    right = np.stack([trial.predicted == trial.labels for trial in trials]).astype(np.float64)
    times = _draws(right.shape[1], metric, together, seed)
    # Of equal ones the one whose cross-entropy is less. Sums of whole numbers are equal to the bit.
    values, ties = _values(trials, times, metric, classes), times @ _losses(trials).T
    best = values == values.max(axis=1, keepdims=True)
    chosen = np.where(best, ties, np.inf).argmin(axis=1)
    left = (times == 0).astype(np.float64)
    scores = (left * right[chosen]).sum(axis=1) / np.maximum(left.sum(axis=1), 1)
    return float(scores[left.any(axis=1)].mean()) if left.any() else float(right.mean(axis=1).max())


@dataclass(frozen=True)
class Lead:
    """How far the best of some trials is ahead of the default.

    Attributes:
        gap: The difference of their metric; above zero where the best is better, whatever the metric.
        chance: The probability that the best of so many trials leads by as much if none is better than the default.
    """

    gap: float
    chance: float

    @property
    def is_believed(self) -> bool:
        """Whether it is more than the best of so many trials has by luck."""
        return self.chance < LEVEL


def lead_over_default(
    trials: Sequence[Scores],
    best: int,
    default: int,
    metric: str,
    classes: Sequence[str],
    together: npt.NDArray[Any] | None = None,
    seed: int = 0,
) -> Lead:
    """Whether the best of some trials beats the default by more than luck; see above.

    Args:
        trials: As in ``corrected_accuracy``.
        best: Which of them is the search's best.
        default: Which of them is the default.
        metric: What the trials are ranked by.
        classes: Names, in label order.
        together: As in ``corrected_accuracy``.
        seed: Of the draws.
    """
    count = len(trials[0].labels)
    (whole,) = _values(trials, np.ones((1, count), np.int64), metric, classes)
    drawn = _values(trials, _draws(count, metric, together, seed), metric, classes)
    drawn = drawn[np.isfinite(drawn).all(axis=1)]  # A draw may lack a class, and so its recall.
    ahead = whole - whole[default]
    luck = (drawn - drawn[:, [default]] - ahead).max(axis=1)
    as_large = np.count_nonzero(~(luck < ahead[best] - ROUNDING))
    return Lead(float(ahead[best]), (1 + as_large) / (1 + len(luck)))


def _draws(count: int, metric: str, together: npt.NDArray[Any] | None, seed: int) -> npt.NDArray[np.int64]:
    """How often each image is in each draw, ``(draws, N)``; those of a group are drawn together."""
    groups = np.arange(count) if together is None else np.unique(together, return_inverse=True)[1]
    size = int(groups.max()) + 1
    draws = DRAWS if metric in ("accuracy", "loss") else DRAWS_OF_OTHER_METRICS
    return np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), size=draws)[:, groups]


def _values(
    trials: Sequence[Scores], times: npt.NDArray[np.int64], metric: str, classes: Sequence[str]
) -> Floats:
    """The metric of each trial on each draw, ``(draws, trials)``, of which more is better."""
    if metric == "accuracy":
        right = np.stack([trial.predicted == trial.labels for trial in trials]).astype(np.float64)
        return np.asarray(times @ right.T / times.sum(axis=1, keepdims=True), np.float64)
    if metric == "loss":
        return np.asarray(-(times @ _losses(trials).T) / times.sum(axis=1, keepdims=True), np.float64)
    return _figures(trials, times, metric, classes)


def _losses(trials: Sequence[Scores]) -> Floats:
    """The cross-entropy of each image by each trial, ``(trials, N)``."""
    rows = np.arange(len(trials[0].labels))
    return np.stack(
        [-log_probabilities(trial.logits, trial.temperature)[rows, trial.labels] for trial in trials]
    )


def _figures(
    trials: Sequence[Scores], times: npt.NDArray[np.int64], metric: str, classes: Sequence[str]
) -> Floats:
    """The metric of each trial on each draw, ``(draws, trials)``; what has no value there is the worst."""
    if metric == "auc":
        areas = np.stack([_areas(trial, times) for trial in trials], axis=1)
        return np.where(np.isfinite(areas), areas, -np.inf)
    found = np.full((len(times), len(trials)), -np.inf)
    for draw, drawn in enumerate(times):
        which = np.repeat(np.arange(len(drawn)), drawn)
        for number, trial in enumerate(trials):
            value = Scores(trial.labels[which], trial.logits[which], trial.temperature).figure(
                metric, classes
            )
            found[draw, number] = value if np.isfinite(value) else -np.inf
    return found


def _areas(trial: Scores, times: npt.NDArray[np.int64]) -> Floats:
    """The AUC of a trial on each draw, ``(draws,)``, as ``Scores.auc`` has it; NaN where a draw has one class alone.

    To sort each draw would take minutes. So the images are sorted once, and each image of the class counts as often as
    it is drawn, with as many drawn others as lie below it, or (counted half) beside it. Those of its own class among
    them are half of all their pairs.
    """
    found, drawn = [], np.ascontiguousarray(times.T)
    for one in np.unique(trial.labels):
        values, own = trial.probabilities[:, one], trial.labels == one
        order = np.argsort(values)
        below = np.pad(drawn[order].cumsum(axis=0), ((1, 0), (0, 0)))
        first, last = (np.searchsorted(values[order], values[own], side) for side in ("left", "right"))
        inside = drawn[own].sum(axis=0)
        wins = (drawn[own] * (below[first] + below[last])).sum(axis=0) - inside**2
        with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN that is meant.
            found.append(wins / (2 * inside * (below[-1] - inside)))
    return mean_of_defined(np.stack(found, axis=1))


def undecided_words(trials: int, images: int, chance: float) -> str:
    """That trials cannot be told apart, for people.

    Args:
        trials: Their number.
        images: The number of images that they have predicted.
        chance: See ``chance_of_such_differences``.
    """
    return (
        f"This search decided nothing: its {trials} complete trials differ by no more than chance on these {images:,} "
        f"images (Cochran's Q, p = {chance:.2f}), so that which of them is better, and which parameters mattered, "
        "cannot be told. The model is none the worse for that: any of them would do as well."
    )


def chance_of_such_differences(right: npt.NDArray[np.bool_]) -> float:
    """The p-value of Cochran's Q test: how likely such differences are where all nets are equally good.

    Args:
        right: Whether each net is right about each image, ``(nets, N)``.
    """
    from scipy.stats import chi2

    nets = len(right)
    columns, rows, total = right.sum(axis=1), right.sum(axis=0), right.sum()
    spread = nets * total - (rows**2).sum()
    if nets < 2 or spread == 0:  # All are right and wrong about the same images.
        return 1.0
    return float(chi2.sf((nets - 1) * (nets * (columns**2).sum() - total**2) / spread, nets - 1))

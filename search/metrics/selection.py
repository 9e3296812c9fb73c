"""What a search's best trial is worth, and whether the search has decided anything, from what all trials predict.

The best of many trials has a better score than it deserves: where ten nets are equally good, the one with the luckiest
score is chosen, and its luck does not last. All trials have predicted the same images, each by a net that had not seen
it, so that this can be measured and taken off (BBC-CV: bootstrap bias corrected cross-validation).

The rule: draw N of the N images with replacement, choose the trial that is best on them, and score it on the images
that were not drawn, which are about 37 %. The mean score over many draws is what the chosen trial is worth.

An example: of 100 images two trials are right on 90 each, but not on the same. On one draw the first has 92 and the
second 88 %: the first is chosen. What was drawn more than its share of times is missing among the others, on which it
has less than 90 %. So the mean over all draws is under 90 %, by the luck that a choice between these two has.

Whether trials differ at all is told by Cochran's Q, a test for k nets that answer the same N images. Let C_j be how
many images net j has right, R_i how many nets have image i right, and T the sum of either. Then

    Q = (k - 1) * (k * sum(C_j^2) - T^2) / (k * T - sum(R_i^2))

follows, where all nets are equally good, a chi-square distribution of k - 1 degrees of freedom. For the two nets above,
with 5 images that the first alone has right and 5 that the second alone has, Q = 0 and p = 1. Were it 12 and 2, it
would be (12 - 2)^2 / 14 = 7.1, as in McNemar's test, and p = 0.008.

    >>> right = np.array([[True] * 12 + [False] * 2 + [True] * 86, [False] * 12 + [True] * 2 + [True] * 86])
    >>> round(chance_of_such_differences(right), 3)
    0.008

Sources: I. Tsamardinos, E. Greasidou, G. Borboudakis, "Bootstrapping the out-of-sample predictions for efficient and
accurate cross-validation", Machine Learning 107, 2018; W. G. Cochran, "The comparison of percentages in matched
samples", Biometrika 37, 1950.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from search.metrics.classification import Floats, Scores, log_probabilities

DRAWS, DRAWS_OF_OTHER_METRICS = 1000, 200
LEVEL = 0.05


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
    count = right.shape[1]
    losses = np.stack([_losses(trial) for trial in trials])
    groups = np.arange(count) if together is None else np.unique(together, return_inverse=True)[1]
    size = int(groups.max()) + 1
    draws = DRAWS if metric in ("accuracy", "loss") else DRAWS_OF_OTHER_METRICS
    times = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), size=draws)[:, groups]
    ranked: Callable[[npt.NDArray[np.int64]], Floats] = {
        "accuracy": lambda drawn: drawn @ right.T,
        "loss": lambda drawn: -(drawn @ losses.T),
    }.get(metric, lambda drawn: _figures(trials, drawn, metric, classes))
    # Of equal ones the one whose cross-entropy is less. Sums of whole numbers are equal to the bit.
    values, ties = ranked(times), times @ losses.T
    best = values == values.max(axis=1, keepdims=True)
    chosen = np.where(best, ties, np.inf).argmin(axis=1)
    left = (times == 0).astype(np.float64)
    scores = (left * right[chosen]).sum(axis=1) / np.maximum(left.sum(axis=1), 1)
    return float(scores[left.any(axis=1)].mean()) if left.any() else float(right.mean(axis=1).max())


def _losses(scores: Scores) -> Floats:
    """The cross-entropy of each image ``(N,)``."""
    logarithms = log_probabilities(scores.logits, scores.temperature)
    return np.asarray(-logarithms[np.arange(len(scores.labels)), scores.labels], np.float64)


def _figures(
    trials: Sequence[Scores], times: npt.NDArray[np.int64], metric: str, classes: Sequence[str]
) -> Floats:
    """The metric of each trial on each draw, ``(draws, trials)``; what has no value there is the worst."""
    found = np.full((len(times), len(trials)), -np.inf)
    for draw, drawn in enumerate(times):
        which = np.repeat(np.arange(len(drawn)), drawn)
        for number, trial in enumerate(trials):
            value = Scores(trial.labels[which], trial.logits[which], trial.temperature).figure(
                metric, classes
            )
            found[draw, number] = value if np.isfinite(value) else -np.inf
    return found


def undecided_words(trials: int, images: int, chance: float) -> str:
    """That trials cannot be told apart, for people.

    Args:
        trials: Their number.
        images: The number of images that they have predicted.
        chance: See ``chance_of_such_differences``.
    """
    return (
        f"This search decided nothing: its {trials} complete trials differ by no more than chance on these {images:,} "
        f"images (Cochran's Q, p = {chance:.2f}), so that the best is as good as any, and which parameters mattered "
        "cannot be told."
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

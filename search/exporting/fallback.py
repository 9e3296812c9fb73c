"""Whether the search's best configuration is exported, or the default, where no race is run.

The best of some twenty trials owes a part of its lead to luck. The default configuration, which was fixed before the
search, owes nothing to it. In folds all trials have predicted the same images, which answers two questions, by the
tests that ``search.metrics.selection`` explains:

1. Do the trials differ by more than chance (Cochran's Q)? If not, the search decided nothing.
2. Is the best ahead of the default by more than the best of so many trials would be by luck (White's reality check)?

The best is exported where both are so, and the default where one is not.

An example, on 1,192 images: the best of ten trials has twelve images more than the default. If Q's p is 0.80, ten nets
that are equally good differ as much in four searches of five, and the default is exported. If p is 0.001 because one of
the ten is bad, the second question remains: the best of nine trials that are no better than the default might lead it
by twelve images in every third search, and the default is exported again. By forty images it would not: then the best
is.

Where a part is held out, only the values are known. There the best has to lead by twice the standard error of the
difference of two accuracies v on n images, 2 sqrt(2 v (1 - v) / n), since by luck the best of some twenty leads by
about that: where v is 80 %, by 9 points on 167 images, and by 1.6 on 5,000.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from optuna.trial import TrialState

from search.exporting.entrants import default_trial
from search.exporting.preference import gap_words
from search.metrics.selection import LEVEL, Lead, chance_of_such_differences, lead_over_default
from search.study.class_balance import split_counts
from search.study.ending import can_race
from search.study.out_of_fold import read_all_out_of_fold
from search.study.study import LoadedStudy

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.exporting.request import ExportRequest

# Metrics that vary about as the accuracy of as many images does.
PROPORTIONS = ("accuracy", "macro_f1", "balanced_accuracy")


def unless_default(
    loaded: LoadedStudy, best: "FrozenTrial", without: Sequence[int] = ()
) -> "tuple[FrozenTrial, str]":
    """The best trial, or that of the default configuration, by the rule at the head of this module.

    Args:
        loaded: The open study.
        best: Its best trial.
        without: Numbers of trials that are left out of the choice.

    Returns:
        The trial, and a sentence on the choice; the best and no sentence where nothing is compared: where trials that
        count epochs are validated on a part that is held out, or where there is no trial of the default.
    """
    config = loaded.config
    default = default_trial(loaded, without) if config.folds or can_race(config) else None
    if default is None:
        return best, ""
    name = f"the default configuration (trial {default.number})"
    if default.number == best.number:
        return best, "" if can_race(config) else f"Exported is {name}, which is the search's best, too."
    if not config.folds:
        return _by_values(loaded, best, default)
    found = read_all_out_of_fold(loaded, without)
    if not {best.number, default.number} <= found.keys():
        return best, (
            f"Trial {best.number} was not compared with {name}: what the folds of both predicted is not known here."
        )
    numbers, trials = list(found), list(found.values())
    lead = lead_over_default(
        trials,
        numbers.index(best.number),
        numbers.index(default.number),
        config.metric,
        config.classes,
        loaded.dataset().rule().groups,
        config.seed,
    )
    differ = chance_of_such_differences(np.stack([one.predicted == one.labels for one in trials])) < LEVEL
    ahead = f"{_ahead(config.metric, lead.gap)} {{}} on these {len(trials[0].labels):,} images"
    if differ and lead.is_believed:
        said = f"Trial {best.number} is {ahead.format(name)}, more than {_by_luck(len(trials) - 1, lead)}."
        return best, said
    why = f", as {_by_luck(len(trials) - 1, lead)}" if differ else ""
    since = "" if differ else ", since the trials cannot be told apart"
    return default, (f"Exported is {name}{since}: {passed_over(best.number)} is {ahead.format('it')}{why}.")


def default_unless_ahead(request: "ExportRequest") -> "ExportRequest":
    """The request for the best trial, or for the default in its place, with the sentence on that; no race is run."""
    trial, why = unless_default(request.loaded, request.trial, request.without)
    if trial is not request.trial:  # The preference is of the best.
        request = replace(request, trial=trial, passed_over=request.trial.number, preference=None)
    return replace(request, remark=" ".join(filter(None, (request.remark, why))))


def _by_values(loaded: LoadedStudy, best: "FrozenTrial", default: "FrozenTrial") -> "tuple[FrozenTrial, str]":
    """The same, by the values of two trials on the images that are held out."""
    metric, values = loaded.config.metric, (best.value, default.value)
    if metric not in PROPORTIONS or None in values or default.state != TrialState.COMPLETE:
        return best, ""
    own, others = (float(value or 0.0) for value in values)
    images = sum(split_counts(loaded.config, loaded.dataset())["validation"])
    mean = (own + others) / 2
    luck = 2 * math.sqrt(2 * mean * (1 - mean) / images)
    ahead = (
        f"{_ahead(metric, own - others)} the default configuration (trial {default.number}) on {images:,} validation "
        "images"
    )
    if own == others:
        return default, f"T{passed_over(best.number)[1:]} is {ahead}."
    by_luck = f"than the best of some twenty would be by luck ({gap_words(metric, luck)})"
    if own - others > luck:
        return best, f"Trial {best.number} is {ahead}, more {by_luck}."
    return default, f"T{passed_over(best.number)[1:]} is {ahead}, no more {by_luck}."


def _ahead(metric: str, gap: float) -> str:
    """How a trial stands to another, such as ``1.2 points ahead of``."""
    if not gap:
        return "as good as"
    return f"{gap_words(metric, abs(gap))} {'ahead of' if gap > 0 else 'behind'}"


def passed_over(best: int) -> str:
    """What the search's best trial is called where the default is exported in its place."""
    return f"trial {best}, the search's best,"


def _by_luck(rivals: int, lead: Lead) -> str:
    who = "a trial that is" if rivals == 1 else f"the best of {rivals} trials that are"
    return f"{who} no better would be by luck (White's reality check, p = {lead.chance:.2g})"

"""Whether the search's best configuration is exported, or the default: what the folds say, where no race is run.

The best of some twenty trials owes a part of its lead to luck. The default configuration, which was fixed before the
search, owes nothing to it. All trials have predicted the same images out of fold, which answers two questions, by the
tests that ``search.metrics.selection`` explains:

1. Do the trials differ by more than chance (Cochran's Q)? If not, the search decided nothing.
2. Is the best ahead of the default by more than the best of so many trials would be by luck (White's reality check)?

The best is exported where both are so, and the default where one is not.

An example, on 1,192 images: the best of ten trials has twelve images more than the default. If Q's p is 0.80, ten nets
that are equally good differ as much in four searches of five, and the default is exported. If p is 0.001 because one of
the ten is bad, the second question remains: the best of nine trials that are no better than the default might lead it
by twelve images in every third search, and the default is exported again. By forty images it would not: then the best
is.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from search.exporting.entrants import default_trial
from search.exporting.preference import gap_words
from search.metrics.selection import LEVEL, Lead, chance_of_such_differences, lead_over_default
from search.study.ending import can_race
from search.study.out_of_fold import read_all_out_of_fold
from search.study.study import LoadedStudy

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


def unless_default(
    loaded: LoadedStudy, best: "FrozenTrial", without: Sequence[int] = ()
) -> "tuple[FrozenTrial, str]":
    """The best trial, or that of the default configuration, by the rule at the head of this module.

    Args:
        loaded: The open study.
        best: Its best trial.
        without: Numbers of trials that are left out of the choice.

    Returns:
        The trial, and a sentence on the choice; the best and no sentence where nothing is compared: without folds,
        without a trial of the default, or where a race compares more.
    """
    config = loaded.config
    default = default_trial(loaded, without) if config.folds and not can_race(config) else None
    if default is None:
        return best, ""
    name = f"the default configuration (trial {default.number})"
    if default.number == best.number:
        return best, f"Exported is {name}, which is the search's best, too."
    found = read_all_out_of_fold(loaded)
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
    ahead = (
        f"{gap_words(config.metric, abs(lead.gap))} {'ahead of' if lead.gap >= 0 else 'behind'} {{}} on these "
        f"{len(trials[0].labels):,} images"
    )
    if differ and lead.is_believed:
        said = f"Trial {best.number} is {ahead.format(name)}, more than {_by_luck(len(trials) - 1, lead)}."
        return best, said
    why = f", as {_by_luck(len(trials) - 1, lead)}" if differ else ""
    since = "" if differ else ", since the trials cannot be told apart"
    return default, (f"Exported is {name}{since}: {passed_over(best.number)} is {ahead.format('it')}{why}.")


def passed_over(best: int) -> str:
    """What the search's best trial is called where the default is exported in its place."""
    return f"trial {best}, the search's best,"


def _by_luck(rivals: int, lead: Lead) -> str:
    who = "a trial that is" if rivals == 1 else f"the best of {rivals} trials that are"
    return f"{who} no better would be by luck (White's reality check, p = {lead.chance:.2g})"

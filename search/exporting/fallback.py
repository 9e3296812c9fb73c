"""Whether the search's best configuration is exported, or the default: what the folds say, where no race is run.

Of some twenty trials in folds the best owes a part of its lead to luck. All trials have the same folds, so that each
fold is a round of a race that has been run already: by the rule of ``search.exporting.advantage``, a lead over the
default of less than its standard error is nothing.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from search.exporting.advantage import advantages
from search.exporting.confirm import default_trial, other_images
from search.exporting.sentences import fold_values
from search.metrics.classification import one_image
from search.study.ending import can_race
from search.study.study import LoadedStudy

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


def unless_default(
    loaded: LoadedStudy, best: "FrozenTrial", without: Sequence[int] = ()
) -> "tuple[FrozenTrial, str]":
    """The best trial, or that of the default configuration where the best does not lead it by more than the noise.

    Args:
        loaded: The open study.
        best: Its best trial.
        without: Numbers of trials that are left out of the choice.

    Returns:
        The trial, and a sentence on the choice; the best and no sentence where nothing is compared: without folds, or
        where a race compares more.
    """
    config = loaded.config
    if not config.folds or can_race(config):
        return best, ""
    default = default_trial(loaded, without)
    if default is None or default.number == best.number:
        return best, ""
    values = {trial.number: fold_values(trial) for trial in (default, best)}
    if {len(each) for each in values.values()} != {config.folds}:
        return best, ""
    step = one_image(config.metric, other_images(loaded)[1], config.classes)
    lead = advantages(values, default.number, step, lower_is_better=config.metric == "loss")[best.number]
    beside = f"{lead.gap:.4f} over its folds, with a standard error of {lead.error:.4f}"
    if lead.shrunk > 0:
        return (
            best,
            f"Trial {best.number} leads the default configuration (trial {default.number}) by {beside}.",
        )
    return default, (
        f"Exported is the default configuration, trial {default.number}: the search's best, trial {best.number}, leads "
        f"it by {beside}, which is no more than noise."
    )

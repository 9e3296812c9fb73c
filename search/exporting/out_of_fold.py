"""What an export learns from the out-of-fold predictions of a cross-validated search.

A refit has no image left to validate or to calibrate on. But nets made as it was, on all folds but one, have predicted
every training image without having seen it: that gives a temperature, a confusion matrix, the training images that are
taken for another class, and an accuracy that is corrected for the trial's having been chosen. The default configuration
(``search.exporting.fallback``) was fixed before the search, so that there is nothing to correct.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from search.data.image_names import read_names
from search.formatting import accuracy_words, percent
from search.metrics.calibration import fit_temperature
from search.metrics.classification import MOST_MISTAKES, Scores, wilson
from search.metrics.label_doubt import LEAST_RIGHT, doubted_labels
from search.metrics.selection import LEVEL, chance_of_such_differences, corrected_accuracy, undecided_words
from search.study.fold_results import FOLDS
from search.study.out_of_fold import read_all_out_of_fold, read_out_of_fold
from search.study.prices import DEFAULT

if TYPE_CHECKING:
    from search.exporting.request import ExportRequest

# Named in a sentence.
SHOWN = 5


@dataclass(frozen=True)
class OutOfFold:
    """What the out-of-fold predictions say of an exported trial, and of the search that chose it.

    Attributes:
        scores: What the trial's folds predict of all training images, at the temperature if there is one.
        temperature: Fitted on these; None where none is needed beyond chance.
        corrected: The accuracy, less what the best of ``trials`` has by luck; of the default configuration, which the
            search has not chosen, the accuracy as it is.
        trials: The number of complete trials whose predictions are known, this one included.
        chance: The probability of differences as large as those between these trials, were all equally good.
        names: What a person knows each training image by; empty where they have numbers alone.
        chosen: Whether the search has chosen the trial; else it is the default configuration.
    """

    scores: Scores
    temperature: float | None
    corrected: float
    trials: int
    chance: float
    names: Sequence[str]
    chosen: bool = True

    @property
    def decided(self) -> bool | None:
        """Whether the trials differ by more than chance; None of one trial, of which there is nothing to decide."""
        return None if self.trials == 1 else self.chance < LEVEL

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of ``corrected``."""
        count = len(self.scores.labels)
        return wilson(round(self.corrected * count), count)

    def name(self, index: int) -> str:
        """What a person knows a training image by: the path of its file, or its number."""
        return self.names[index] if self.names else str(index)

    def figures(self, classes: Sequence[str]) -> dict[str, Any]:
        """The entry ``out_of_fold`` of ``summary.json``."""
        scores = self.scores
        return {
            "images": len(scores.labels),
            "accuracy": scores.accuracy,
            "corrected_accuracy": self.corrected,
            "corrected_accuracy_interval": list(self.interval),
            "macro_f1": scores.macro_f1,
            "loss": scores.loss,
            "trials_compared": self.trials,
            "chance_of_such_differences": self.chance,
            "decided": self.decided,
            "labels_in_doubt": len(doubted_labels(self.scores)),
            "confusion_matrix": scores.confusion_matrix.tolist(),
            "mistakes": scores.described(scores.mistaken[:MOST_MISTAKES], self.name, classes),
        }

    def sentences(self, classes: Sequence[str]) -> list[str]:
        """The same for people."""
        return [self._accuracy(), *self._verdict(), *self._mistakes(classes)]

    def headline(self, classes: Sequence[str]) -> list[str]:
        """What of it nobody should miss: the accuracy, and labels that may be wrong."""
        return [self._accuracy(), *(self._mistakes(classes) if doubted_labels(self.scores).size else ())]

    def _accuracy(self) -> str:
        scores, count = self.scores, len(self.scores.labels)
        said = f"Out of fold: {accuracy_words(self.corrected, self.interval, count)}"
        if self.trials > 1 and self.chosen:
            said += (
                f"; the chosen trial has {percent(scores.accuracy)}, from which is taken what the best of "
                f"{self.trials} trials has by luck"
            )
        return f"{said}."

    def _verdict(self) -> list[str]:
        if self.decided is not False:
            return []
        return [undecided_words(self.trials, len(self.scores.labels), self.chance)]

    def _mistakes(self, classes: Sequence[str]) -> list[str]:
        mistaken = self.scores.mistaken.tolist()
        if not mistaken:
            return []
        said = f"Training images that the folds took for another class: {len(mistaken):,} (out_of_fold.csv has them)."
        least, doubted = percent(LEAST_RIGHT), doubted_labels(self.scores).tolist()
        if not doubted:
            return [
                f"{said} None of their labels is doubted: only where at least {least} of the answers are right, by the "
                "lower end of Wilson's interval, would a wrong label be likelier than a wrong answer, and where the "
                "folds are as sure as they were of these, they are not that good."
            ]
        shown = ", ".join(
            f"{self.name(index)} ({classes[self.scores.labels[index]]}, taken for "
            f"{classes[self.scores.predicted[index]]})"
            for index in doubted[:SHOWN]
        )
        some = "all" if len(doubted) == len(mistaken) else f"{len(doubted):,}"
        which = "Look at one of them:" if len(doubted) == 1 else f"Look at {some} of them, most surely"
        return [
            f"{said} {which} {shown}: where the folds were as sure, at least {least} of their answers are "
            "right, so that the label may be wrong."
        ]


def look_out_of_fold(request: "ExportRequest") -> OutOfFold | None:
    """Read the out-of-fold predictions of a search's complete trials that were not left out of the choice.

    Returns:
        None where those of the exported trial are not known, as of a study without folds.
    """
    study, exported, config = request.loaded, request.trial, request.loaded.config
    own = read_out_of_fold(study, exported.number, exported.user_attrs.get(FOLDS, ()))
    if own is None:
        return None
    trials = list(read_all_out_of_fold(study, request.without).values()) or [own]
    luck = 0.0
    if DEFAULT not in exported.user_attrs:
        rule = study.dataset().rule()
        worth = corrected_accuracy(trials, config.metric, config.classes, rule.groups, config.seed)
        luck = max(0.0, trials[0].accuracy - worth)
    temperature = fit_temperature(own)
    return OutOfFold(
        replace(own, temperature=temperature or 1.0),
        temperature,
        own.accuracy - luck,
        len(trials),
        chance_of_such_differences(np.stack([one.predicted == one.labels for one in trials])),
        read_names(study.dataset().folder, config.data, len(own.labels)).images,
        chosen=DEFAULT not in exported.user_attrs,
    )

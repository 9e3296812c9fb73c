"""What the trials of a study score and cost: accuracy beside operations, parameters and time."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from search.errors import InputError
from search.formatting import is_share
from search.metrics.classification import one_image
from search.metrics.preference import BALANCED, SMALL, Priced, front, mean_error, share_error, within_reach
from search.study.class_balance import split_counts
from search.study.fold_results import FOLDS
from search.study.sweep_cells import REPEAT
from spaces import is_model

# Attribute of the trials whose configuration is the space's default.
DEFAULT = "default"

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.config.study_config import StudyConfig
    from search.study.study import LoadedStudy


class Prices:
    """Prices the trials of one study.

    Args:
        study: The open study.
    """

    def __init__(self, study: "LoadedStudy") -> None:
        self._study, self._config = study, study.config

    @property
    def lower_is_better(self) -> bool:
        """Whether the trials' values are losses."""
        return self._config.direction == "minimize"

    def of(self, trials: "Sequence[FrozenTrial]") -> list[Priced]:
        """Each trial with a value that a worker of ours has trained, in the given order."""
        found = [
            None if trial.value is None else price(self._config, trial, trial.value, self.error(trial))
            for trial in trials
        ]
        return [one for one in found if one is not None]

    def error(self, trial: "FrozenTrial") -> float | None:
        """One standard error of a trial's value; None where it is not known.

        Of a share of images it is that of drawing them; of another metric that of its folds' mean.
        """
        metric, runs = self._config.metric, trial.user_attrs.get(FOLDS, ())
        if is_share(metric) or metric == "macro_f1":
            images = self._images_of(trial.user_attrs, runs)
            return share_error(float(trial.value), images) if images and trial.value is not None else None
        return mean_error([float(run["value"]) for run in runs])

    def worth_keeping(self, ranked: "Sequence[FrozenTrial]") -> set[int]:
        """Numbers of the trials that a preference may still choose, of all that are complete, the best first.

        These are the ones on a front within reach of the best: what is not on it now never will be.
        """
        nets = self.of(ranked)
        if not nets:
            return set()
        lower, best = self.lower_is_better, nets[0]
        small = within_reach(nets, best, SMALL, None, lower_is_better=lower)
        balanced = within_reach(nets, best, BALANCED, best.error, lower_is_better=lower)
        kept = front(balanced, lambda net: net.cost[0], lower_is_better=lower)
        if has_points(self._config.metric):
            kept += front(small, lambda net: net.parameters, lower_is_better=lower)
        return {net.number for net in kept}

    def _images_of(self, known: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> int:
        """How many images a share is of, about; 0 where that is not known."""
        recorded = sum(int(run["validation_images"]) for run in runs) or int(
            known.get("validation_images") or 0
        )
        if recorded and self._config.metric in ("accuracy", "macro_f1"):
            return recorded
        counts = self._counts  # A class or the smallest one says what an image does to other metrics.
        return round(1 / one_image(self._config.metric, counts, self._config.classes)) if any(counts) else 0

    @cached_property
    def _counts(self) -> Sequence[int]:
        """The validation images of each class, in all folds together; empty where they are not on this host."""
        try:
            counts = split_counts(self._config, self._study.dataset())["validation"]
        except InputError:
            return ()
        return [max(1, self._config.folds) * number for number in counts]


def price(
    config: "StudyConfig", trial: "FrozenTrial", value: float, error: float | None = None
) -> Priced | None:
    """What a trial's net costs beside what it scores; None where its costs are not known.

    Operations and time are those of what a trial trains. Of a head on a backbone they do not compare with those of
    another backbone's, so that they are left out where a study has several.

    Args:
        config: The study's settings.
        trial: The trial.
        value: What its net scores, in the search or in a race.
        error: One standard error of that.
    """
    known = trial.user_attrs
    if not {"flops", "parameters", "params"} <= known.keys():
        return None
    below = [one.parameters for one in config.backbones if one.name == known["params"].get("backbone")]
    several, measured = len(config.backbones) > 1, known.get("milliseconds")
    return Priced(
        trial.number,
        float(value),
        None if several else float(known["flops"]),
        int(known["parameters"]) + sum(below),
        None if several or measured is None else float(measured),
        error,
    )


def default_number(trials: "Sequence[FrozenTrial]") -> int | None:
    """Number of the first trial of the space's own default, which it was marked as; None where there is none.

    Args:
        trials: All of the study, in order of number. Those of a sweep are its cells, of which none is marked.
    """
    found = (trial for trial in trials if DEFAULT in trial.user_attrs and REPEAT not in trial.user_attrs)
    return next((trial.number for trial in found), None)


def has_points(metric: str) -> bool:
    """Whether two values of a metric can be some points apart: of a loss they cannot."""
    return metric != "loss"


def operations_words(config: "StudyConfig") -> str:
    """The head of a column with the operations of a study's trials: ``operations an image``."""
    return " ".join(filter(None, ("operations", of_what(config), "an image"))) + in_one_view(config)


def in_one_view(config: "StudyConfig") -> str:
    """``, in one view`` where an exported net may look at an image twice, of which a trial's operations count one.

    Such a net answers for the image and for its mirror image, see ``both_views`` of ``spaces.recipe.Recipe``; what is
    measured in milliseconds is all of it.
    """
    return ", in one view" if config.flip and not config.backbones and not is_model(config.space) else ""


def in_views(summary: Mapping[str, Any]) -> str:
    """``, in two views`` of an export whose operations are of an image and of its mirror image."""
    return ", in two views" if summary.get("views") == 2 else ""


def of_what(config: "StudyConfig") -> str:
    """What the operations of a study's nets are of, where not of the whole: over a backbone a trial costs its head."""
    return "of the head" if config.backbones else ""

"""What the report knows of a study: its database, read once, and its images where they are on this host."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from search.errors import InputError
from search.exporting.fallback import passed_over
from search.metrics.preference import Priced
from search.metrics.selection import LEVEL, chance_of_such_differences, undecided_words
from search.reporting.trial_facts import TrialFacts, trial_facts
from search.study.class_balance import split_counts
from search.study.compatibility import VERSIONS
from search.study.fold_results import FOLDS
from search.study.out_of_fold import read_out_of_fold
from search.study.prices import Prices, default_number
from search.study.scorings import times_images_scored
from search.study.study import WANTED, LoadedStudy
from search.study.sweep_cells import SWEEP
from storage.ledger import KEY as LEDGER
from storage.ledger import times_scored

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

    from search.config.study_config import StudyConfig
    from search.data import Dataset
    from search.reporting.export_reader import ExportReader


@dataclass(frozen=True)
class Facts:
    """All that a report is made of.

    Attributes:
        loaded: The open study.
        trials: Its trials, in order of number.
        frozen: The same trials as Optuna has them.
        attributes: The study's own attributes.
        requested_trials: How many finished trials were requested; None where that is not known.
        exported: Its export; None where there is none.
        scored_by_others: How often other studies of the same images have scored the test images.
        made_at: When the database was read, in seconds since the epoch.
    """

    loaded: LoadedStudy
    trials: Sequence[TrialFacts]
    frozen: "Sequence[FrozenTrial]"
    attributes: Mapping[str, Any]
    requested_trials: int | None
    exported: "ExportReader | None"
    scored_by_others: int
    made_at: float

    @property
    def config(self) -> "StudyConfig":
        """The study's settings."""
        return self.loaded.config

    @property
    def sweep(self) -> Mapping[str, Any] | None:
        """The description of its sweep; None for a search."""
        sweep: Mapping[str, Any] | None = self.attributes.get(SWEEP)
        return sweep

    @property
    def minimize(self) -> bool:
        """Whether less is better."""
        return self.config.direction == "minimize"

    @property
    def summary(self) -> Mapping[str, Any]:
        """What its export says of itself; empty where there is none."""
        return {} if self.exported is None else self.exported.summary

    @property
    def versions(self) -> Mapping[str, str]:
        """The versions of the libraries that the study was begun with."""
        return dict(self.attributes.get(VERSIONS, {}))

    @property
    def scorings(self) -> Sequence[Mapping[str, Any]]:
        """The ledger: every scoring of the test images by this study."""
        return list(self.attributes.get(LEDGER, []))

    def in_state(self, *states: str) -> list[TrialFacts]:
        """The trials in these states."""
        return [trial for trial in self.trials if trial.state in states]

    @cached_property
    def ranked(self) -> list[TrialFacts]:
        """The finished trials, best first; see ``LoadedStudy.ranked``."""
        scored = [trial for trial in self.in_state("finished") if trial.value is not None]
        sign = 1 if self.minimize else -1
        return sorted(
            scored, key=lambda trial: (sign * float(trial.value or 0.0), trial.tie_break, trial.number)
        )

    @cached_property
    def undecided(self) -> str:
        """That the complete trials differ by no more than chance, in words; empty where they do or it is not known."""
        if len(self.ranked) < 2:
            return ""
        try:
            complete = {trial.number for trial in self.ranked}
            found = [
                read_out_of_fold(self.loaded, trial.number, trial.user_attrs.get(FOLDS, ()))
                for trial in self.frozen
                if trial.number in complete
            ]
        except InputError:  # The images are not on this host.
            return ""
        right = [one.predicted == one.labels for one in found if one is not None]
        if len(right) < len(found):
            return ""
        chance = chance_of_such_differences(np.stack(right))
        return "" if chance < LEVEL else undecided_words(len(right), len(right[0]), chance)

    @cached_property
    def passed_over(self) -> int | None:
        """Number of the trial in whose place the default was exported, as the export says; None where none was."""
        if "passed_over" in self.summary:
            return int(self.summary["passed_over"])
        words = " ".join(self.summary.get("words", ())).lower()  # Older exports say it in words alone.
        return next((trial.number for trial in self.trials if passed_over(trial.number) in words), None)

    @cached_property
    def priced(self) -> list[Priced]:
        """The finished trials with what they cost, the best first."""
        frozen = {trial.number: trial for trial in self.frozen}
        return Prices(self.loaded).of([frozen[trial.number] for trial in self.ranked])

    @property
    def default(self) -> int | None:
        """Number of the trial of the space's default configuration; None where none is known to be."""
        return default_number(self.frozen)

    @property
    def known(self) -> dict[str, Any]:
        """What is known of the subject's net: what its trial recorded and, if it is exported, what its export says."""
        known: dict[str, Any] = {} if self.subject is None else dict(self.subject.recorded)
        for one in self.config.backbones:
            if one.name == known.get("params", {}).get("backbone"):
                known["backbone"] = {"name": one.name, "parameters": one.parameters}
        return known | {key: value for key, value in self.summary.items() if value is not None}

    @property
    def subject(self) -> TrialFacts | None:
        """The trial that the report is about: the exported one, else the best."""
        if self.exported is not None:
            number = self.exported.summary.get("trial")
            for trial in self.trials:
                if trial.number == number:
                    return trial
        return self.ranked[0] if self.ranked else None

    @cached_property
    def distributions(self) -> "Mapping[str, BaseDistribution]":
        """What each sampled parameter was last drawn from, in the order of their first use."""
        distributions: dict[str, BaseDistribution] = {}
        for trial in self.frozen:
            distributions.update(trial.distributions)
        return distributions

    @cached_property
    def dataset(self) -> "Dataset | None":
        """The prepared images, of which the training part may be opened; None where they are not on this host."""
        try:
            return self.loaded.dataset()
        except InputError:
            return None

    @cached_property
    def counts(self) -> Mapping[str, Sequence[int]]:
        """Number of images of each class in every split; empty where the images are not on this host."""
        try:
            return split_counts(self.config, self.dataset) if self.dataset is not None else {}
        except InputError:  # The images are half deleted.
            return {}


def read_facts(loaded: LoadedStudy, exported: "ExportReader | None" = None) -> Facts:
    """Read the database once; nothing is written.

    Args:
        loaded: The open study.
        exported: Its export, where that is known already.
    """
    frozen = loaded.view.get_trials(deepcopy=False)
    attributes = loaded.view.user_attrs
    return Facts(
        loaded,
        [trial_facts(trial) for trial in frozen],
        frozen,
        attributes,
        attributes.get(WANTED) or None,
        exported,
        times_images_scored(loaded, loaded.view._storage) - times_scored(loaded.view),
        time.time(),
    )

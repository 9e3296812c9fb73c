"""What the report knows of a study: its database, looked at once, and its images where they are at hand."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from search.balance import split_counts
from search.cells import SWEEP
from search.errors import InputError
from search.joining import VERSIONS
from search.snapshot import WORDS
from storage.ledger import KEY as LEDGER

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

    from search.config import StudyConfig
    from search.data import Dataset
    from search.reporting.exported import Exported
    from search.study import LoadedStudy

OTHERS = {"RUNNING": "running", "WAITING": "waiting"}


@dataclass(frozen=True)
class Trial:
    """A trial as it is drawn and listed.

    Attributes:
        number: Its number.
        state: ``finished``, ``pruned``, ``failed``, ``running`` or ``waiting``.
        value: What it scored; of a pruned or running one what it reported last; None where nothing is known.
        params: What was sampled.
        reports: The metric on validation images by epoch.
        said: All else that its worker noted.
        seconds: From the last time that it was begun to its end; None where that is not known.
    """

    number: int
    state: str
    value: float | None
    params: Mapping[str, Any]
    reports: Mapping[int, float]
    said: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None

    @property
    def epochs(self) -> int:
        """Epochs that it has run."""
        return int(self.said.get("epochs", max(self.reports, default=0)))


@dataclass(frozen=True)
class Facts:
    """All that a report is made of.

    Attributes:
        loaded: The open study.
        trials: In order of number.
        frozen: The same as Optuna has them.
        attributes: The study's own.
        wanted: How many finished trials it shall have; None where nobody said.
        exported: Its export; None where there is none.
        time: When it was looked at, seconds since the epoch.
    """

    loaded: "LoadedStudy"
    trials: Sequence[Trial]
    frozen: "Sequence[FrozenTrial]"
    attributes: Mapping[str, Any]
    wanted: int | None
    exported: "Exported | None"
    time: float

    @property
    def config(self) -> "StudyConfig":
        """What defines the study."""
        return self.loaded.config

    @property
    def sweep(self) -> Mapping[str, Any] | None:
        """What it holds of a sweep; None for a search."""
        found: Mapping[str, Any] | None = self.attributes.get(SWEEP)
        return found

    @property
    def minimize(self) -> bool:
        """Whether less is better."""
        return self.config.direction == "minimize"

    @property
    def versions(self) -> Mapping[str, str]:
        """Of the libraries that the study was begun with."""
        return dict(self.attributes.get(VERSIONS, {}))

    @property
    def scorings(self) -> Sequence[Mapping[str, Any]]:
        """Every scoring of the test images."""
        return list(self.attributes.get(LEDGER, []))

    def of_state(self, *states: str) -> list[Trial]:
        """The trials in these states."""
        return [trial for trial in self.trials if trial.state in states]

    @cached_property
    def ranked(self) -> list[Trial]:
        """The finished trials, best first."""
        scored = [trial for trial in self.of_state("finished") if trial.value is not None]
        sign = 1 if self.minimize else -1
        return sorted(scored, key=lambda trial: (sign * float(trial.value or 0.0), trial.number))

    @property
    def shown(self) -> Trial | None:
        """The trial that the report is about: the exported one, else the best."""
        if self.exported is not None:
            number = self.exported.summary.get("trial")
            for trial in self.trials:
                if trial.number == number:
                    return trial
        return self.ranked[0] if self.ranked else None

    @cached_property
    def distributions(self) -> "Mapping[str, BaseDistribution]":
        """Of each sampled parameter what it was last drawn from, in the order of their first use."""
        found: dict[str, BaseDistribution] = {}
        for trial in self.frozen:
            found.update(trial.distributions)
        return found

    @cached_property
    def dataset(self) -> "Dataset | None":
        """The prepared images, whose training part may be looked at; None where they are not on this host."""
        try:
            return self.loaded.dataset()
        except InputError:
            return None

    @cached_property
    def counts(self) -> Mapping[str, Sequence[int]]:
        """Images of each class in every split; empty where the images are not on this host."""
        try:
            return split_counts(self.config, self.dataset) if self.dataset is not None else {}
        except InputError:  # Half deleted.
            return {}


def read_facts(loaded: "LoadedStudy", exported: "Exported | None" = None) -> Facts:
    """Look at the database once; nothing is written.

    Args:
        loaded: The open study.
        exported: Its export, if that is known before.
    """
    from search.study import WANTED

    frozen = loaded.view.get_trials(deepcopy=False)
    attributes = loaded.view.user_attrs
    return Facts(
        loaded,
        [_trial(trial) for trial in frozen],
        frozen,
        attributes,
        attributes.get(WANTED) or None,
        exported,
        time.time(),
    )


def _trial(trial: "FrozenTrial") -> Trial:
    state = {**WORDS, **OTHERS}[trial.state.name]
    reports = {step: value for step, value in trial.intermediate_values.items() if math.isfinite(value)}
    value = trial.value if state == "finished" else (reports[max(reports)] if reports else None)
    begun, ended = trial.datetime_start, trial.datetime_complete
    return Trial(
        trial.number,
        state,
        value if value is not None and math.isfinite(value) else None,
        trial.params or trial.user_attrs.get("params", {}),
        reports,
        trial.user_attrs,
        (ended - begun).total_seconds() if begun and ended else None,
    )

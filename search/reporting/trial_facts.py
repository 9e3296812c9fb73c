"""A trial as the report draws and lists it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from search.formatting import REFUSED, WORDS
from search.study.fold_results import tie_break
from storage.claims import is_refused

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


STATES = {**WORDS, "RUNNING": "running", "WAITING": "waiting"}


@dataclass(frozen=True)
class TrialFacts:
    """A trial as the report draws and lists it.

    Attributes:
        number: Its number.
        state: ``finished``, ``pruned``, ``failed``, ``refused``, ``running`` or ``waiting``.
        value: What it scored, or, if it was pruned or is running, what it reported last; None where nothing is known.
        params: Its sampled parameters.
        reports: The metric on validation images by epoch.
        recorded: All else that its worker recorded.
        seconds: From the last time that it was begun to its end; None where that is not known.
    """

    number: int
    state: str
    value: float | None
    params: Mapping[str, Any]
    reports: Mapping[int, float]
    recorded: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None

    @property
    def epochs(self) -> int:
        """Number of epochs that it has run."""
        return int(self.recorded.get("epochs", max(self.reports, default=0)))

    @property
    def tie_break(self) -> float:
        """What ranks it among trials of the same value, less being better."""
        return tie_break(self.recorded)


def in_utc(moment: datetime | None) -> datetime | None:
    """A time of Optuna's, which is local and without a zone, in UTC: between two of these no clock is changed."""
    return None if moment is None else moment.astimezone(UTC)


def trial_facts(trial: "FrozenTrial") -> TrialFacts:
    """A trial of Optuna in the words of the report."""
    state = REFUSED if is_refused(trial) else STATES[trial.state.name]
    reports = {step: value for step, value in trial.intermediate_values.items() if math.isfinite(value)}
    value = trial.value if state == "finished" else (reports[max(reports)] if reports else None)
    begun, ended = in_utc(trial.datetime_start), in_utc(trial.datetime_complete)
    return TrialFacts(
        trial.number,
        state,
        value if value is not None and math.isfinite(value) else None,
        trial.params or trial.user_attrs.get("params", {}),
        reports,
        trial.user_attrs,
        (ended - begun).total_seconds() if begun and ended else None,
    )

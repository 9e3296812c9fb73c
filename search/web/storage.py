"""A study's database as the dashboard sees it: one try a call, and no writes unless they are allowed."""

import abc
import copy
import re
from collections import defaultdict
from collections.abc import Callable, ItemsView, Sequence
from functools import cached_property
from typing import Any

from bottle import HTTPError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.web.guard import READ_ONLY
from storage.database import Database
from storage.retry import is_outage, reason

READS = ("get_", "check_", "remove_session")
OF_A_TRIAL = re.compile(r"dashboard:(?:artifacts:)?(\d+):")
# What optuna-dashboard (0.21) asks without knowing what to say where there is no such thing.
UNKNOWN = {
    "get_trial": "there is no such trial",
    "get_trial_system_attrs": "there is no such trial",
    "get_study_system_attrs": "there is no such study",
}
# Of each trial optuna-dashboard (0.21) draws the curve, with an entry in the legend: of 1,000 that takes a browser five
# seconds, again at every refresh.
MOST_CURVES = 100


class ShownStorage(BaseStorage):
    """Optuna's storage for a web page: where the database gives no answer, an HTTP error does.

    Every call may raise ``HTTPError``: 503 where the database is away, 403 where it would write and may not, 404 where
    there is no such trial or study and optuna-dashboard would not say so itself.

    Args:
        database: The study's database.
        allow_changes: Whether to write.
    """

    def __init__(self, database: Database, allow_changes: bool) -> None:
        self._once = database.unretried
        self._allow_changes = allow_changes


class NotedAttributes(dict[str, Any]):
    """A study's attributes, of which those about one trial are found without a look at all the others.

    For each trial optuna-dashboard (0.21) asks whether there is a note and then goes through all attributes, twice:
    with a note on each of 1,000 trials that is seconds a page. After the question only that trial's are gone through.
    """

    _asked: str | None = None

    def __contains__(self, name: object) -> bool:
        """Whether there is such an attribute; what it is about is what ``items`` gives from now on."""
        found = OF_A_TRIAL.match(str(name))
        self._asked = found[1] if found else None
        return super().__contains__(name)

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        """All, or those about the trial that was asked for last."""
        return super().items() if self._asked is None else self._by_trial[self._asked].items()

    @cached_property
    def _by_trial(self) -> dict[str, dict[str, Any]]:
        sorted_by: dict[str, dict[str, Any]] = defaultdict(dict)
        for name, value in super().items():
            if found := OF_A_TRIAL.match(name):
                sorted_by[found[1]][name] = value
        return sorted_by


def with_few_curves(trials: Sequence[FrozenTrial], direction: StudyDirection) -> list[FrozenTrial]:
    """The trials, of which no more than can be told apart keep their intermediate values.

    Those are the unfinished ones and, of more than ``MOST_CURVES``, the best and the newest, half of each. What the
    others reported is in their attribute ``history``; trials without it, which are not ours or trained nothing, are
    left as they are. A page that stays open keeps what it was given when a trial was new.
    """
    if len(trials) <= MOST_CURVES:
        return list(trials)
    sign = 1 if direction == StudyDirection.MINIMIZE else -1
    finished = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    best = sorted(finished, key=lambda trial: sign * (trial.values or [0.0])[0])[: MOST_CURVES // 2]
    kept = {trial.number for trial in (*best, *trials[-MOST_CURVES // 2 :])}
    return [trial if trial.number in kept else _without_curve(trial) for trial in trials]


def _without_curve(trial: FrozenTrial) -> FrozenTrial:
    if not trial.state.is_finished() or "history" not in trial.user_attrs:
        return trial
    light = copy.copy(trial)  # The storage keeps the other.
    light.intermediate_values = {}
    return light


def _passed_on(name: str) -> Callable[..., Any]:
    reads = name.startswith(READS)

    def call(self: ShownStorage, *arguments: Any, **named: Any) -> Any:
        if not reads and not self._allow_changes:
            raise HTTPError(403, READ_ONLY)
        try:
            found = getattr(self._once, name)(*arguments, **named)
        except KeyError:
            if name in UNKNOWN:
                raise HTTPError(404, UNKNOWN[name]) from None
            raise
        except Exception as error:
            if is_outage(error):
                message = f"the database does not answer ({reason(error)}); this page comes back with it"
                raise HTTPError(503, message) from None
            raise
        if name == "get_all_studies":
            for study in found:
                study.system_attrs = NotedAttributes(study.system_attrs)
        elif name == "get_all_trials":
            return with_few_curves(found, self.get_study_directions(arguments[0])[0])
        return found

    call.__name__ = name
    return call


for _name in [name for name in vars(BaseStorage) if not name.startswith("_")]:
    setattr(ShownStorage, _name, _passed_on(_name))
abc.update_abstractmethods(ShownStorage)  # type: ignore[type-abstract]

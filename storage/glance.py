"""A study's trials at a glance: what a screen shows of them, without Optuna's objects for all the rest.

Optuna takes a second for a thousand trials, most of it for learning curves and distributions that nobody looks at.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, String, bindparam, text

from storage.claims import LIFE
from storage.database import Database

TRIALS = text("SELECT trial_id, number, state FROM trials WHERE study_id = :study ORDER BY number")
OF_THEM = "JOIN trials USING (trial_id) WHERE study_id = :study"
VALUES = text(f"SELECT trial_id, value, value_type FROM trial_values {OF_THEM} AND objective = 0")
REPORTS = text(
    "SELECT trial_id, step, intermediate_value, intermediate_value_type "
    f"FROM trial_intermediate_values {OF_THEM}"
)
PARAMS = text(
    f"SELECT trial_id, param_name, param_value, distribution_json FROM trial_params {OF_THEM} ORDER BY param_id"
)
ATTRIBUTES = text(
    f"SELECT trial_id, key, value_json FROM trial_user_attributes {OF_THEM} AND key IN :keys"
).bindparams(bindparam("keys", type_=String, expanding=True))
LIVES = text(f"SELECT trial_id, key, value_json FROM trial_system_attributes {OF_THEM} AND key = '{LIFE}'")
NUMBERS = {"INF": math.inf, "INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}


def glance(database: Database, study_id: int, keys: Sequence[str]) -> list[FrozenTrial]:
    """The trials by number, with state, params, values, reports, sign of life and these user attributes: no more.

    Args:
        database: Of the study; one try.
        study_id: Optuna's key of the study.
        keys: Of the user attributes that are wanted.
    """
    with database.connect() as connection:
        return list(_read(connection, study_id, keys))


def _read(connection: Connection, study_id: int, keys: Sequence[str]) -> Iterator[FrozenTrial]:
    one = {"study": study_id}
    trials = connection.execute(TRIALS, one).all()
    values = {key: _number(value, kind) for key, value, kind in connection.execute(VALUES, one)}
    reports: dict[int, dict[int, float]] = defaultdict(dict)
    for key, step, value, kind in connection.execute(REPORTS, one):
        reports[key][step] = _number(value, kind)
    params: dict[int, dict[str, Any]] = defaultdict(dict)
    for key, name, value, distribution in connection.execute(PARAMS, one):
        params[key][name] = _distribution(distribution).to_external_repr(value)
    attributes: dict[int, dict[str, Any]] = defaultdict(dict)
    for key, name, value in connection.execute(ATTRIBUTES, {**one, "keys": list(keys)}):
        attributes[key][name] = json.loads(value)
    lives = {key: {name: json.loads(value)} for key, name, value in connection.execute(LIVES, one)}
    for key, number, state in trials:
        trial = FrozenTrial(
            number=number,
            state=TrialState[state],
            value=values.get(key),
            datetime_start=None,
            datetime_complete=None,
            params={},
            distributions={},
            user_attrs=attributes[key],
            system_attrs=lives.get(key, {}),
            intermediate_values=reports[key],
            trial_id=key,
        )
        trial.params = params[key]
        yield trial


@cache
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)


def _number(value: float | None, kind: str) -> float:
    """Databases keep neither NaN nor infinity among numbers."""
    return NUMBERS.get(kind, math.nan) if value is None else value

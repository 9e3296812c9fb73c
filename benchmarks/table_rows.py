"""A table of configurations that were all trained for the same compute, as ``simulate.py`` reads it.

Its columns: ``row`` (a configuration's name), ``seed`` (a configuration may be there with several), ``param.NAME`` for
each parameter of the space, ``flops`` and ``parameters`` of the net, ``batch``, ``steps``; for each eighth k of the
compute ``plain.k`` (validation accuracy), ``averaged.k`` (that of averaged weights) and ``decayed.k`` (that of a copy
whose rate was decayed to zero from there), of which the last two may be empty; ``decay_share`` (what such a copy costs,
as a share of the whole training; only where there are copies); ``true`` (accuracy on images that no search ranks by).
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution, CategoricalDistribution

import spaces
from search.study.configurations import Draw
from search.study.proposal import contains
from spaces.contract import InputSpec

PARTS = 8
VALUES = ("plain", "averaged", "decayed")
PARAM = "param."


class TableError(ValueError):
    """The table, or what is asked of it, is wrong; in one line."""


@dataclass(frozen=True)
class Run:
    """One training of a configuration.

    Attributes:
        seed: Its seed.
        curves: The values after each eighth, by what they are of; only those that the table has whole.
        true: What is not to be ranked by.
    """

    seed: str
    curves: Mapping[str, Sequence[float]]
    true: float


@dataclass(frozen=True)
class Row:
    """One configuration.

    Attributes:
        name: As the table has it.
        params: A value for each parameter.
        flops: Operations of an image's forward pass.
        decay_share: What a copy that is decayed costs, as a share of the whole training.
        runs: At least one.
    """

    name: str
    params: Mapping[str, Any]
    flops: float
    decay_share: float
    runs: Sequence[Run]

    @cached_property
    def true(self) -> float:
        """The mean over its seeds."""
        return fmean(run.true for run in self.runs)


@dataclass(frozen=True)
class Table:
    """The configurations of a table, and where they lie in their space.

    Attributes:
        rows: The configurations.
        distributions: Of all parameters.
        default: The space's default configuration; None where it names none.
    """

    rows: Sequence[Row]
    distributions: Mapping[str, BaseDistribution]
    default: Mapping[str, Any] | None

    def values(self) -> list[str]:
        """What can be ranked by: the plain values, and the others if every training has them."""
        return [name for name in VALUES if all(name in run.curves for row in self.rows for run in row.runs)]

    def place(self, params: Mapping[str, Any]) -> np.ndarray:
        """Where a configuration lies, each parameter from 0 to 1 as its distribution lays it out, ``(D,)``."""
        return np.asarray(self._transform.transform(dict(params)))

    @cached_property
    def places(self) -> np.ndarray:
        """Where the rows lie, ``(N, D)``."""
        return np.stack([self.place(row.params) for row in self.rows])

    @cached_property
    def default_row(self) -> int | None:
        """The number of the row that is the default configuration, or the nearest to it; None without a default."""
        return None if self.default is None else self.nearest(self.default, range(len(self.rows)))

    @property
    def has_default(self) -> bool:
        """Whether the default configuration itself is a row."""
        return self.default_row is not None and bool(
            np.allclose(self.places[self.default_row], self.place(self.default or {}), atol=1e-9)
        )

    def nearest(self, params: Mapping[str, Any], among: Sequence[int]) -> int:
        """The number of the row, of some of them, that lies nearest to a configuration."""
        distances = np.linalg.norm(self.places[list(among)] - self.place(params), axis=1)
        return int(among[int(distances.argmin())])

    @cached_property
    def _transform(self) -> _SearchSpaceTransform:
        return _SearchSpaceTransform(dict(self.distributions), transform_0_1=True)


def read_table(path: Path, space_name: str, input_spec: InputSpec) -> Table:
    """Read a table, and check it.

    Raises:
        TableError: It cannot be read, or is no table of this space.
    """
    try:
        space = spaces.load(space_name)
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
    except (OSError, ValueError) as error:
        raise TableError(f"{path}: {error}") from None
    if not lines:
        raise TableError(f"{path}: has no rows")
    by_row: dict[str, list[tuple[dict[str, Any], dict[str, str], Run]]] = {}
    distributions: dict[str, BaseDistribution] = {}
    for number, line in enumerate(lines, start=2):
        where = f"{path}, line {number}"
        draw = _draw(space, input_spec, line, where)
        distributions |= draw.distributions
        run = Run(line["seed"], _curves(line, where), _number(line, "true", where))
        by_row.setdefault(line["row"], []).append((draw.params, line, run))
    rows = []
    for name, entries in by_row.items():
        params, line, _ = entries[0]
        if any(other != params for other, _, _ in entries):
            raise TableError(f"{path}: row {name} has other parameters with another seed")
        flops, share = _number(line, "flops", f"row {name}"), line.get("decay_share") or 0.0
        rows.append(Row(name, params, flops, float(share), [run for _, _, run in entries]))
    if any(set(row.params) != set(distributions) for row in rows):
        raise TableError(
            f"{path}: some rows lack a parameter; expected a space whose parameters are always active"
        )
    first = space.first(input_spec) if hasattr(space, "first") else []
    return Table(rows, distributions, first[0] if first else None)


def _draw(space: Any, input_spec: InputSpec, line: Mapping[str, str], where: str) -> Draw:
    """The configuration of a line, as its space samples it."""

    def give(name: str, distribution: BaseDistribution) -> Any:
        text = line.get(PARAM + name)
        if text is None:
            raise TableError(f"{where}: has no column {PARAM}{name}, which space {space.__name__} samples")
        value: Any = None
        if isinstance(distribution, CategoricalDistribution):
            value = {str(choice): choice for choice in distribution.choices}.get(text)
        elif (number := _as_number(text)) is not None:
            value = distribution.to_external_repr(number)
        if not contains(distribution, value):
            raise TableError(f"{where}: {PARAM}{name} = {text!r}; expected a value of {distribution}")
        return value

    draw = Draw(give)
    space.sample(draw, input_spec)
    if unknown := {name for name in line if name.startswith(PARAM)} - {PARAM + name for name in draw.params}:
        raise TableError(f"{where}: {', '.join(sorted(unknown))}: not sampled by space {space.__name__}")
    return draw


def _curves(line: Mapping[str, str], where: str) -> dict[str, list[float]]:
    """The values after each eighth, of what the line has them whole."""
    curves = {}
    for name in VALUES:
        # What is at the end has been decayed already.
        last = f"plain.{PARTS}" if name == "decayed" else f"{name}.{PARTS}"
        columns = [*(f"{name}.{part}" for part in range(1, PARTS)), last]
        if name == "plain" or all(line.get(column) for column in columns):
            curves[name] = [_number(line, column, where) for column in columns]
    return curves


def _number(line: Mapping[str, str], column: str, where: str) -> float:
    number = _as_number(line.get(column))
    if number is None:
        raise TableError(f"{where}: {column} = {line.get(column)!r}; expected a number")
    return number


def _as_number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None

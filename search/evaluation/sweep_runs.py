"""The runs of a sweep as its study has them, and ``sweep.csv``."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.cells import FIXED, REPEAT, describe

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

STATES = {"COMPLETE": "finished", "PRUNED": "diverged", "FAIL": "failed"}


@dataclass(frozen=True)
class Run:
    """One trial of a sweep that has ended.

    Attributes:
        trial: Its number.
        state: ``finished``, ``diverged`` or ``failed``.
        values: Of the varied parameters.
        repeat: Which run of its cell it is, from 0.
        history: Of a finished one: one entry an epoch for ``accuracy``, ``val_accuracy`` and others.
        said: All else that its worker noted.
    """

    trial: int
    state: str
    values: Mapping[str, Any]
    repeat: int
    history: Mapping[str, Sequence[float]]
    said: Mapping[str, Any]

    @property
    def best(self) -> float:
        """The best validation accuracy of its epochs, 0 to 1."""
        return max(self.history["val_accuracy"])

    @property
    def best_epoch(self) -> int:
        """The first epoch, from 1, that has it."""
        return list(self.history["val_accuracy"]).index(self.best) + 1


Cells = Mapping[str, Sequence[Run]]


def read_runs(trials: "Sequence[FrozenTrial]", varied: Sequence[str]) -> list[Run]:
    """The ended trials of a sweep, by cell and repeat, cells in the order of their values."""
    runs = [
        Run(
            trial.number,
            STATES[trial.state.name],
            {name: trial.system_attrs[FIXED][name] for name in varied},
            trial.user_attrs[REPEAT],
            trial.user_attrs.get("history", {}),
            trial.user_attrs,
        )
        for trial in trials
        if REPEAT in trial.user_attrs and trial.state.name in STATES
    ]
    return sorted(runs, key=lambda run: ([rank(value) for value in run.values.values()], run.repeat))


def finished_cells(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The finished runs of each cell, by its values in words."""
    cells: dict[str, list[Run]] = {}
    for run in runs:
        if run.state == "finished":
            cells.setdefault(describe(run.values), []).append(run)
    return cells


def write_runs(path: Path, runs: Sequence[Run], varied: Sequence[str]) -> None:
    """One row a trial; what a failed one has not is left empty."""
    noted = ("seed", "epochs", "seconds", "parameters", "flops", "reason")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        head = ("trial", "state", *varied, "repeat", "best_validation_accuracy", "best_epoch", *noted)
        writer.writerow(head)
        for run in runs:
            best = (run.best, run.best_epoch) if run.state == "finished" else ("", "")
            rest = (run.said.get(name, "") for name in noted)
            writer.writerow((run.trial, run.state, *run.values.values(), run.repeat, *best, *rest))


def rank(value: Any) -> tuple[int, float, str]:
    """Numbers by size, then words by letter."""
    return (0, float(value), "") if isinstance(value, int | float) else (1, 0.0, str(value))

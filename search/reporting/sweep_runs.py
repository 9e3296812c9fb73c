"""The runs of a sweep as its study has them, and ``sweep.csv``."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.formatting import count, describe, rank, shorten
from search.study.sweep_cells import FIXED, REPEAT

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


STATES = {"COMPLETE": "finished", "PRUNED": "diverged", "FAIL": "failed"}
# Columns of ``sweep.csv`` that are what the trial recorded.
RECORDED = ("seed", "epochs", "seconds", "parameters", "flops", "reason")


@dataclass(frozen=True)
class SweepRun:
    """One trial of a sweep that has ended.

    Attributes:
        trial: Its number.
        state: ``finished``, ``diverged`` or ``failed``.
        values: The varied parameters.
        repeat: Which run of its cell it is, from 0.
        history: If it has finished: ``accuracy``, ``val_accuracy`` and others, one entry an epoch.
        recorded: All else that its worker recorded.
    """

    trial: int
    state: str
    values: Mapping[str, Any]
    repeat: int
    history: Mapping[str, Sequence[float]]
    recorded: Mapping[str, Any]

    @property
    def accuracy(self) -> float:
        """The validation accuracy of the kept weights, 0 to 1: the largest of many epochs would be partly luck."""
        return self.history["val_accuracy"][self.kept_epoch - 1]

    @property
    def kept_epoch(self) -> int:
        """The epoch, from 1, whose weights were kept."""
        return int(self.recorded["kept_epoch"])

    @property
    def seconds(self) -> float:
        """The time of its training."""
        return float(self.recorded["seconds"])

    @property
    def parameters(self) -> int:
        """The number of parameters of its net."""
        return int(self.recorded["parameters"])


def read_runs(trials: "Sequence[FrozenTrial]", varied: Sequence[str]) -> list[SweepRun]:
    """The ended trials of a sweep by cell and repeat, cells in the order of their values.

    Args:
        trials: The study's.
        varied: The varied parameters.
    """
    runs = [
        SweepRun(
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


def finished_cells(runs: Sequence[SweepRun]) -> dict[str, list[SweepRun]]:
    """The finished runs of each cell, by the cell's values in words."""
    cells: dict[str, list[SweepRun]] = {}
    for run in runs:
        if run.state == "finished":
            cells.setdefault(describe(run.values), []).append(run)
    return cells


def failed_sentence(runs: Sequence[SweepRun], wanted: int) -> str:
    """How many runs have only failed, of which cells and why; empty where none has.

    Args:
        runs: Of the sweep.
        wanted: How many finished runs it shall have.
    """
    tried = [(describe(run.values), run) for run in runs]
    ended = {(cell, run.repeat) for cell, run in tried if run.state != "failed"}
    failed = {(cell, run.repeat): run for cell, run in tried if (cell, run.repeat) not in ended}
    if not failed:
        return ""
    reasons = {cell: shorten(str(run.recorded.get("reason", "")), 200) for (cell, _), run in failed.items()}
    which = "; ".join(f"{cell}: {reason}" for cell, reason in reasons.items())
    return f"{len(failed)} of {count(wanted, 'run')} failed ({which}); the same command tries them again."


def write_runs(path: Path, runs: Sequence[SweepRun], varied: Sequence[str]) -> None:
    """Write ``sweep.csv``: a row for each trial; what a failed one does not have is left empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        head = ("trial", "state", *varied, "repeat", "validation_accuracy", "kept_epoch", *RECORDED)
        writer.writerow(head)
        for run in runs:
            kept = (run.accuracy, run.kept_epoch) if run.state == "finished" else ("", "")
            recorded = (run.recorded.get(name, "") for name in RECORDED)
            writer.writerow((run.trial, run.state, *run.values.values(), run.repeat, *kept, *recorded))

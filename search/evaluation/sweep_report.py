"""What a sweep came to, in one folder: a table, two pictures, and a sentence."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from search.balance import split_counts
from search.cells import SWEEP, owed
from search.evaluation.folder import written_aside
from search.evaluation.sweep_pictures import write_sweep_curves, write_sweep_values
from search.evaluation.sweep_runs import Run, finished_cells, read_runs, write_runs
from search.evaluation.sweep_verdict import judge
from search.study import LoadedStudy


def report_sweep(study: LoadedStudy, target: Path) -> dict[str, Any]:
    """Write the files of a sweep, as far as it is, in one step.

    Args:
        study: The open study, a sweep.
        target: The folder; see ``check_target``.

    Returns:
        What ``sweep.json`` holds.
    """
    sweep = study.optuna.user_attrs[SWEEP]
    varied = list(sweep["vary"])
    trials = study.optuna.get_trials(deepcopy=False)
    runs = read_runs(trials, varied)
    cells = finished_cells(runs)
    images = sum(split_counts(study.config, study.dataset())["validation"])
    verdict = judge({name: [run.best for run in of_cell] for name, of_cell in cells.items()}, images)
    summary = {
        "study": study.config.study,
        "sentence": verdict.sentence,
        "differ": verdict.differ,
        "p": verdict.p,
        "validation_images": images,
        "epochs": study.config.epochs,
        "base": sweep["base"],
        "fixed": {name: value for name, value in sweep["params"].items() if name not in varied},
        "vary": sweep["vary"],
        "runs_finished": sum(map(len, cells.values())),
        "runs_owed": owed(trials),
        "cells": [_cell(of_cell) for of_cell in cells.values()],
        "not_finished": [
            {"trial": run.trial, **run.values, "state": run.state, "reason": run.said.get("reason", "")}
            for run in runs
            if run.state != "finished"
        ],
        "left_out": sweep["left_out"],
    }
    with written_aside(target) as folder:
        write_runs(folder / "sweep.csv", runs, varied)
        if cells:
            write_sweep_curves(folder / "sweep_curves.png", cells, study.config.study)
            write_sweep_values(folder / "sweep.png", cells, varied, study.config.study)
        (folder / "sweep.json").write_text(json.dumps(summary, indent=2) + "\n")
    return summary


def _cell(runs: Sequence[Run]) -> Mapping[str, Any]:
    best = [run.best for run in runs]
    return {
        **runs[0].values,
        "runs": len(runs),
        "best_validation_accuracy": best,
        "mean": sum(best) / len(best),
        "best_epochs": [run.best_epoch for run in runs],
        "seconds": [run.said["seconds"] for run in runs],
        "parameters": runs[0].said["parameters"],
        "flops": runs[0].said["flops"],
    }

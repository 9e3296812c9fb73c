"""The files of a sweep in one folder: a table, two pictures, and whether its cells differ."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from search.exporting.folder import SWEEP_FILES, atomic_folder, check_target, reserved
from search.exporting.writers import write_json
from search.metrics.significance import compare_cells
from search.plotting.sweep import write_sweep_curves, write_sweep_values
from search.reporting.sweep_runs import SweepRun, failed_sentence, finished_cells, read_runs, write_runs
from search.study.class_balance import split_counts
from search.study.prices import of_what
from search.study.study import LoadedStudy
from search.study.sweep_cells import SWEEP

logger = logging.getLogger(__name__)


def report_sweep(study: LoadedStudy, target: Path) -> dict[str, Any]:
    """Write the files of a sweep as far as it has run, in one step.

    Args:
        study: The open study of the sweep.
        target: The folder; see ``search.exporting.folder.check_target``.

    Returns:
        What ``sweep.json`` holds.
    """
    sweep = study.optuna.user_attrs[SWEEP]
    varied = list(sweep["vary"])
    runs = read_runs(study.optuna.get_trials(deepcopy=False), varied)
    cells = finished_cells(runs)
    images = sum(split_counts(study.config, study.dataset())["validation"])
    verdict = compare_cells(
        {name: [run.accuracy for run in of_cell] for name, of_cell in cells.items()}, images
    )
    summary = {
        "study": study.config.study,
        "sentence": " ".join(filter(None, (verdict.sentence, failed_sentence(runs, study.wanted)))),
        "differ": verdict.differ,
        "p": verdict.p,
        "validation_images": images,
        "epochs": study.config.epochs,
        "base": sweep["base"],
        "fixed": {name: value for name, value in sweep["params"].items() if name not in varied},
        "vary": sweep["vary"],
        "runs_finished": sum(map(len, cells.values())),
        "runs_owed": study.wanted,
        "cells": [_cell(of_cell) for of_cell in cells.values()],
        "not_finished": [
            {"trial": run.trial, **run.values, "state": run.state, "reason": run.recorded.get("reason", "")}
            for run in runs
            if run.state != "finished"
        ],
        "left_out": sweep["left_out"],
    }
    with reserved(target, logger.info), atomic_folder(target) as folder:
        check_target(target, SWEEP_FILES)  # An export may have taken it meanwhile.
        write_runs(folder / "sweep.csv", runs, varied)
        if cells:
            write_sweep_curves(folder / "sweep_curves.png", cells, study.config.study)
            write_sweep_values(folder / "sweep.png", cells, varied, study.config.study, of_what(study.config))
        write_json(folder / "sweep.json", summary)
    return summary


def _cell(runs: Sequence[SweepRun]) -> Mapping[str, Any]:
    accuracies = [run.accuracy for run in runs]
    return {
        **runs[0].values,
        "runs": len(runs),
        "validation_accuracy": accuracies,
        "mean": sum(accuracies) / len(accuracies),
        "kept_epochs": [run.kept_epoch for run in runs],
        "seconds": [run.recorded["seconds"] for run in runs],
        "parameters": runs[0].recorded["parameters"],
        "flops": runs[0].recorded["flops"],
    }

"""An export that is there already and is the one that would be made: it is not made, and nothing scored, again."""

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import is_zipfile

from search.data.examples import FILE as EXAMPLES
from search.exporting.choice import candidates, choose_preferred
from search.exporting.entrants import can_race, contenders, default_trial, ranked_for_race
from search.exporting.export import Export
from search.exporting.fallback import unless_default
from search.exporting.folder import FILES
from search.exporting.training_plans import refit_epochs
from search.formatting import EPOCH
from search.metrics.preference import ACCURATE
from search.study import ending
from search.study.request import refits

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.config.settings import RunOptions
    from search.study.study import LoadedStudy


def earlier_export(target: Path, loaded: "LoadedStudy", options: "RunOptions") -> Export | None:
    """Read the export at ``target``, if it is the one that a search of this study would make now.

    Args:
        target: Its folder.
        loaded: The open study.
        options: What is asked of the search and its export.

    Returns:
        The export; None where there is none, where it is another, or where a file of it is missing or cannot be read.
    """
    try:
        summary: dict[str, Any] = json.loads((target / "summary.json").read_text(encoding="utf-8"))
        if options.with_examples and not (target / EXAMPLES).is_file():
            return None
        is_whole = all((target / name).is_file() for name in FILES) and is_zipfile(target / "model.keras")
        if not is_whole or not _is_same(summary, loaded, options):
            return None
        report = (target / "classification_report.txt").read_text(encoding="utf-8")
        labels = json.loads((target / "labels.json").read_text(encoding="utf-8"))
        with (target / "confusion_matrix.csv").open(encoding="utf-8", newline="") as file:
            rows = [[int(cell) for cell in row[1:]] for row in list(csv.reader(file))[1:]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    import numpy as np

    return Export(target, summary, report, np.array(rows, dtype=np.int64), labels)


def _is_same(summary: dict[str, Any], loaded: "LoadedStudy", options: "RunOptions") -> bool:
    config = loaded.config
    refit = refits(options, config.length > 0, config.folds)
    # A deleted study's name may be used again, and another folder of studies has its own; older versions wrote no key.
    if summary.get("study_uid", loaded.paths.uid) != loaded.paths.uid:
        return False
    if refit and config.length and loaded.final < config.final and options.timeout is None:
        return False  # A final training that a time has cut short is made whole where there is no such bound.
    exported = _exported_now(summary, loaded, options, refit)
    if exported is None or summary.get("without"):
        return False
    return _asked_for(summary, loaded, options, refit, exported) == _there(summary)


def _exported_now(
    summary: dict[str, Any], loaded: "LoadedStudy", options: "RunOptions", refit: bool
) -> "FrozenTrial | None":
    """The trial of the export that is there, where an export would be of it now, too; else None."""
    config = loaded.config
    if "confirm" in summary:  # The same race, if the same configurations had been the best.
        raced = {one["trial"]: one["search_value"] for one in summary["confirm"]["configurations"]}
        entered = ranked_for_race(loaded, (), options.prefer)[: len(raced)]
        if ending.can_race(config):
            entered = contenders(entered, default_trial(loaded), len(raced))
        if list(raced) != [trial.number for trial in entered]:
            return None
        chosen = next((trial for trial in entered if trial.number == summary["trial"]), None)
        value = raced.get(summary["trial"])
    else:
        chosen = choose_preferred(loaded, None, (), options.prefer)[0] if candidates(loaded) else None
        unraced = (refit and "no_race" in summary) or not ending.can_race(config)
        if chosen is not None and options.prefer == ACCURATE and unraced:
            chosen, _ = unless_default(loaded, chosen)
        value = summary["value"]
    if chosen is None:
        return None
    is_there = (summary["trial"], value, summary["params"])
    return chosen if is_there == (chosen.number, chosen.value, chosen.user_attrs["params"]) else None


def _asked_for(
    summary: dict[str, Any],
    loaded: "LoadedStudy",
    options: "RunOptions",
    refit: bool,
    exported: "FrozenTrial",
) -> tuple[object, ...]:
    """What the options make of an export; the rest of what is there is as it would be."""
    config, epochs = loaded.config, _epochs_of(summary)
    # Early stopping in the race's own runs has decided on the length.
    raced = "confirm" in summary and config.early_stopping and options.refit_epochs is None
    has_time = options.timeout is None or "no_race" not in summary
    confirm = options.confirm or (refit and ending.can_race(config))
    return (
        config.study,
        config.fingerprint,
        refit,
        refit_epochs(config, exported, options.refit_epochs) if refit and not raced else epochs,
        (EPOCH if options.refit_epochs else config.unit) if refit else summary.get("unit"),
        options.fine_tune,
        options.prefer,
        options.calibrated,
        # Where there is nothing to race, it is exported as without it.
        confirm and ("confirm" in summary or (has_time and can_race(loaded, options.budget, refit))),
    )


def _there(summary: dict[str, Any]) -> tuple[object, ...]:
    """The same of the export that is there."""
    backbone = summary.get("backbone") or {}
    tuned = backbone.get("fine_tuned") or {}
    return (
        summary["study"],
        summary["data_fingerprint"],
        summary["refit"],
        _epochs_of(summary),
        summary.get("unit", EPOCH if summary["refit"] else None),
        tuned.get("epochs") or backbone.get("fine_tuned_in_vain"),
        summary.get("prefer", ACCURATE),
        bool(summary.get("calibrated")),
        "confirm" in summary,
    )


def _epochs_of(summary: dict[str, Any]) -> int:
    """The epochs of an export's training; of a head that was tuned, those before that."""
    tuned = (summary.get("backbone") or {}).get("fine_tuned") or {}
    return int(tuned.get("head_epochs") or summary["epochs"])

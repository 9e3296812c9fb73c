"""What of an export can be refused before it begins, or before its study is searched; and which trial it is of."""

from pathlib import Path
from typing import TYPE_CHECKING

import spaces
from search.config import check_number, check_study_name
from search.errors import InputError
from search.evaluation.folder import check_target

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.study import LoadedStudy


def check_export(study: str, refit: bool, refit_epochs: int | None, out: Path | None) -> Path:
    """The folder of an export, looked at together with all else that can be checked before there is a trial.

    Raises:
        InputError: Something said is wrong, or the folder holds what no export wrote.
    """
    check_study_name(study)
    if refit_epochs is not None:
        check_number("--refit-epochs", refit_epochs, 1, 10_000)
        if not refit:
            raise InputError(
                f"--refit-epochs {refit_epochs} says nothing without --refit: give both or neither"
            )
    return check_target(out or Path("exports") / study)


def check_confirm(study: str, folds: int, confirm: bool) -> None:
    """Refuse a race where there is nothing to confirm.

    Raises:
        InputError: The study is searched in folds.
    """
    if confirm and folds:
        raise InputError(
            f"--confirm: study {study} is searched in {folds} folds, so each value is a mean of as many trainings "
            "already; leave the flag out"
        )


def check_fine_tune(study: str, space: str, epochs: int | None) -> None:
    """Refuse to fine-tune where there is nothing to tune.

    Raises:
        InputError: The space has no backbone that can be.
    """
    if epochs is not None and not hasattr(spaces.load(space), "tune"):
        raise InputError(
            f"--fine-tune {epochs}: space {space} of study {study} has no backbone; leave the flag out"
        )


def choose_trial(loaded: "LoadedStudy", number: int | None) -> "FrozenTrial":
    """The trial ``number``, or the best of the finished ones.

    Raises:
        InputError: No such trial, one that has not finished, or none that has.
    """
    study = loaded.config.study
    if number is None:
        ranked = loaded.ranked()
        if not ranked:
            raise InputError(
                f"study {study}: no trial has finished yet, so there is nothing to export; run "
                f"python -m search.run --study {study} first"
            )
        return ranked[0]
    trials = loaded.optuna.get_trials(deepcopy=False)
    if not 0 <= number < len(trials):
        last = f"0 to {len(trials) - 1}" if trials else "none yet"
        raise InputError(f"--trial {number}: study {study} has no such trial; its trials: {last}")
    trial = trials[number]
    if trial.state.name not in ("COMPLETE", "PRUNED"):
        state = {"RUNNING": "is still running", "WAITING": "has not run yet", "FAIL": "failed"}[
            trial.state.name
        ]
        raise InputError(f"--trial {number}: it {state}; only a trial that has finished can be exported")
    return trial

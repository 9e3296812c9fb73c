"""Which trial is exported: the best of those that may be, or the one that was named."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from search.errors import InputError
from search.exporting.preference import Preference, prefer
from search.metrics.preference import ACCURATE
from search.study.outcome import why_none_complete
from storage.claims import is_refused

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.config.settings import ExportOptions
    from search.study.study import LoadedStudy

# What a worker of ours records of a training. A trial without it was added, or ended by hand, from elsewhere: nothing
# is known of how it was trained, so that it can neither be exported nor be trained again.
OF_A_TRAINING = frozenset({"params", "history", "epochs", "kept_epoch", "compute"})


def was_trained(trial: "FrozenTrial") -> bool:
    """Whether a worker of this program has trained the trial to its recorded end."""
    return trial.user_attrs.keys() >= OF_A_TRAINING


def check_selection(options: "ExportOptions") -> None:
    """Refuse options that choose a trial in two ways at once, or in none.

    Raises:
        InputError: They do.
    """
    if options.confirm and options.trial is not None:
        raise InputError(
            f"--trial {options.trial} names what to export and --confirm finds it by a race: leave one of the two out"
        )
    if options.trial is not None and options.prefer != ACCURATE:
        raise InputError(
            f"--trial {options.trial} names what to export and --prefer {options.prefer} chooses it: leave one of the "
            "two out"
        )
    if "without" in options.requested and not options.without:
        raise InputError("--without: names no trial; expected numbers such as 7 or 7,9, or leave it out")
    if options.trial is not None and options.without:
        raise InputError(
            f"--trial {options.trial} names what to export and --without narrows a choice: leave one of the two out"
        )


def parse_without(loaded: "LoadedStudy", without: Sequence[str | int]) -> tuple[int, ...]:
    """The numbers of the trials that are left out of the choice, each checked.

    Raises:
        InputError: One is no trial of the study.
    """
    count = len(loaded.optuna.get_trials(deepcopy=False))
    numbers = []
    for one in without:
        text = str(one).strip()
        if not text.isascii() or not text.isdigit() or int(text) >= count:
            trials = f"0 to {count - 1}" if count else "one that has run, and none has yet"
            raise InputError(
                f"--without {one}: study {loaded.config.study} has no such trial; expected {trials}"
            )
        numbers.append(int(text))
    return tuple(sorted(set(numbers)))


def candidates(loaded: "LoadedStudy", without: Sequence[int] = ()) -> "list[FrozenTrial]":
    """The complete trials that may be exported or raced, best first."""
    return [trial for trial in loaded.ranked() if was_trained(trial) and trial.number not in without]


def choose_preferred(
    loaded: "LoadedStudy", number: int | None, without: Sequence[int], what: str
) -> "tuple[FrozenTrial, Preference | None]":
    """The trial to export, see ``choose_trial``, and for no number what of all trials is preferred.

    Args:
        loaded: The open study.
        number: The trial's number; None for the one that is preferred.
        without: Numbers of trials that are left out of the choice.
        what: One of ``search.metrics.preference.PREFERENCES``.

    Raises:
        InputError: There is no such trial, it has not finished, or none has.
    """
    trial = choose_trial(loaded, number, without)
    found = None if number is not None else prefer(loaded, candidates(loaded, without), what)
    if found is None:
        return trial, None
    return loaded.optuna.get_trials(deepcopy=False)[found.chosen.number], found


def choose_trial(loaded: "LoadedStudy", number: int | None, without: Sequence[int] = ()) -> "FrozenTrial":
    """The trial to export: the one of this number, or for None the best of the finished ones.

    Args:
        loaded: The open study.
        number: The trial's number; None for the best.
        without: Numbers of trials that are left out of the choice.

    Raises:
        InputError: There is no such trial, it has not finished, or none has.
    """
    study = loaded.config.study
    if number is None:
        if best := candidates(loaded, without):
            return best[0]
        raise InputError(_why_no_candidate(loaded, without))
    trials = loaded.optuna.get_trials(deepcopy=False)
    if not 0 <= number < len(trials):
        last = f"0 to {len(trials) - 1}" if trials else "one that has run, and none has yet"
        raise InputError(f"--trial {number}: study {study} has no such trial; expected {last}")
    trial = trials[number]
    if trial.state.name not in ("COMPLETE", "PRUNED"):
        state = {"RUNNING": "is still running", "WAITING": "has not run yet", "FAIL": "failed"}[
            trial.state.name
        ]
        raise InputError(f"--trial {number}: it {state}; only a trial that has finished can be exported")
    if is_refused(trial):
        raise InputError(
            f"--trial {number}: it was refused and never trained ({trial.user_attrs.get('reason', '')}); choose another"
        )
    if not was_trained(trial):
        raise InputError(
            f"--trial {number}: search.run did not train it (its values came from elsewhere, such as a dashboard), so "
            "that it cannot be exported; choose another"
        )
    return trial


def _why_no_candidate(loaded: "LoadedStudy", without: Sequence[int]) -> str:
    study, complete = loaded.config.study, loaded.ranked()
    left = [trial for trial in complete if trial.number not in without]
    if left:
        numbers = ", ".join(str(trial.number) for trial in left[:5])
        return (
            f"study {study}: search.run did not train any of its complete trials ({numbers}; their values came from "
            f"elsewhere, such as a dashboard), so that none can be exported; search with {loaded.command('run')}"
        )
    if complete:
        return f"--without {','.join(map(str, without))}: leaves no complete trial of study {study} to export"
    return why_none_complete(loaded) or (
        f"study {study}: no trial has finished yet, so there is nothing to export; run {loaded.command('run')} first"
    )

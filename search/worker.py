"""A worker: claims trials and runs them, one after another, until none is owed."""

import itertools

from optuna.trial import FrozenTrial, TrialState

from search.errors import StudyStopped
from search.trial import Worker, run_trial

SAME_REASON = 10
LEAST_TRIALS = 12


def work(worker: Worker, wanted: int) -> None:
    """Run trials until the study has ``wanted`` finished ones, or the worker is asked to stop.

    Raises:
        StudyStopped: Trials keep failing; the message says of what.
    """
    before = {trial.number for trial in _ended(worker)}  # Failures of an earlier run may have been mended.
    while not worker.stop.requested:
        worker.stop.check_budget()
        if worker.stop.requested:
            return
        trial_id = worker.claims.claim(wanted)
        if trial_id is None:
            return
        run_trial(worker, trial_id)
        check_failures([trial for trial in _ended(worker) if trial.number not in before])


def check_failures(trials: list[FrozenTrial]) -> None:
    """Stop a study that fails ten times in a row for one reason, or on more than a third of its trials.

    Args:
        trials: Those that have ended in this run; the second rule waits for twelve.

    Raises:
        StudyStopped: With the reason of the last failure and its last line.
    """
    ended = sorted(
        (trial for trial in trials if trial.state.is_finished()),
        key=lambda trial: trial.datetime_complete.timestamp() if trial.datetime_complete else 0.0,
    )
    failed = [trial for trial in ended if trial.state == TrialState.FAIL]
    if not failed:
        return
    reasons = [_reason(trial) for trial in ended]
    streak = len(list(itertools.takewhile(lambda reason: reason == reasons[-1] != "", reversed(reasons))))
    last = f"the last one, trial {failed[-1].number}: {_reason(failed[-1])}"
    if streak >= SAME_REASON:
        raise StudyStopped(f"{streak} trials in a row failed for one reason; {last}")
    if len(ended) >= LEAST_TRIALS and len(failed) > len(ended) / 3:
        raise StudyStopped(f"{len(failed)} of {len(ended)} trials failed; {last}")


def _ended(worker: Worker) -> list[FrozenTrial]:
    trials = worker.study.optuna.get_trials(deepcopy=False)
    return [trial for trial in trials if trial.state.is_finished()]


def _reason(trial: FrozenTrial) -> str:
    return str(trial.user_attrs.get("reason", "")) if trial.state == TrialState.FAIL else ""

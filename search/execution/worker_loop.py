"""A worker's loop: claim a trial, run it, and so on, until the study has all its trials."""

import itertools
from collections.abc import Callable

from optuna.trial import FrozenTrial, TrialState

from search.errors import InputError, StudyStopped
from search.execution.trial import Worker, run_trial
from storage.claims import ENDED, SecondHost
from storage.errors import DatabaseGone, DatabaseRemoved

SAME_REASON = 10
LEAST_TRIALS = 12


def work(worker: Worker, wanted: Callable[[], int]) -> None:
    """Run trials until the study has all its finished ones, or the worker is asked to stop.

    While other workers run the last trials it waits: should they die, it goes on with their trials.

    Args:
        worker: This worker.
        wanted: Returns how many finished trials the study shall have; asked before each claim.

    Raises:
        StudyStopped: Trials keep failing, or the database or the study is gone; the message says which.
        InputError: The database is a file, and another host works on it.
        ServerGone: The server of child processes is another process's, and has ended or does not answer.
    """
    try:
        _work(worker, wanted)
    except DatabaseRemoved as removed:
        raise StudyStopped(str(removed)) from None
    except DatabaseGone as gone:
        if not worker.stop.requested:  # Else it was given little time, and the next worker finds the trial.
            raise StudyStopped(
                f"{gone}; nothing that was finished is lost: run the same command again"
            ) from None
    except SecondHost as second:
        raise InputError(f"--storage: {second}") from None
    except KeyError:
        _check_there(worker)
        raise


def _work(worker: Worker, wanted: Callable[[], int]) -> None:
    claims = worker.claims
    before = {trial.number for trial in _ended(worker)}  # Failures of an earlier run may have been mended.
    idle = False
    while not worker.stop.requested:
        worker.stop.check_budget()
        if worker.stop.requested:
            return
        worker.clock.switch("waiting")
        _check_there(worker)
        n = wanted()
        # One who waits looks without the lock: many who do would keep it from those who work. And a claim says that
        # somebody works on the trial: without a server for its child there is none.
        may = not idle or claims.has_work(n)
        claim = claims.claim(n) if may and worker.server.revive() else None
        idle = claim is None
        if claim is not None:
            run_trial(worker, claim)
            check_failures([trial for trial in _ended(worker) if trial.number not in before])
        elif claims.finished() >= n:
            return
        else:
            worker.stop.wait(claims.database.timeouts.poll)


def _check_there(worker: Worker) -> None:
    if not worker.study.still_there():
        raise StudyStopped(
            f"study {worker.study.config.study} is not in the database any more: somebody has deleted it"
        ) from None


def check_failures(trials: list[FrozenTrial]) -> None:
    """Stop a study that fails ten times in a row for one reason, or on more than a third of its trials.

    Args:
        trials: Those that have ended in this run; the second rule waits for twelve.

    Raises:
        StudyStopped: With the reason and the last line of the last failure.
    """
    ended = sorted(
        (trial for trial in trials if trial.state.is_finished()),
        key=lambda trial: (trial.system_attrs.get(ENDED, 0.0), trial.number),
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

"""A worker's loop: claim a trial, run it, and so on, until the study has all its trials."""

import itertools
import re
from collections.abc import Callable, Sequence

from optuna.trial import FrozenTrial, TrialState

import spaces
from search.errors import InputError, SpaceChanged, StudyStopped
from search.execution.trial import run_trial
from search.execution.worker import Worker
from search.study.proposal import default_configuration
from search.study.request import load_space
from search.study.space_version import RAISED, check_code, has_trained
from search.study.sweep_cells import FIXED, REPEAT
from spaces.contract import ContractBroken, Params, Space
from storage.claims import ENDED, SecondHost, is_counted, is_refused
from storage.errors import DatabaseGone, DatabaseRemoved

SAME_REASON = 10
LEAST_TRIALS = 12
MOST_REFUSED = 100


def work(worker: Worker, wanted: Callable[[], int]) -> None:
    """Run trials until the study has all its finished ones, or the worker is asked to stop.

    While other workers run the last trials it waits: should they die, it goes on with their trials.

    Args:
        worker: This worker.
        wanted: Returns how many finished trials the study shall have; asked at each claim, under the study's lock.

    Raises:
        StudyStopped: Trials keep failing, or the database or the study is gone; the message says which.
        InputError: The database is a file, and another host works on it; or the space is not the study's.
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
        worker.study.check_there()
        raise
    finally:
        worker.finish_drawing()


def _work(worker: Worker, wanted: Callable[[], int]) -> None:
    claims = worker.claims
    before = {trial.number for trial in _ended(worker)}  # Failures of an earlier run may have been mended.
    space = load_space(worker.study.config.space)
    check_code(worker.study, space)
    default = default_configuration(space, worker.study.config)
    idle = False
    while not worker.stop.requested:
        worker.stop.check_budget()
        if worker.stop.requested:
            return
        worker.clock.switch("waiting")
        worker.study.check_there()
        _check_code(space)
        n = wanted()
        # One who waits looks without the lock: many who do would keep it from those who work. And a claim says that
        # somebody works on the trial: without a server for its child there is none.
        may = not idle or claims.has_work(n)
        claim = claims.claim(wanted) if may and worker.server.revive() else None
        idle = claim is None
        if claim is not None:
            run_trial(worker, claim)
            new = [trial for trial in _ended(worker) if trial.number not in before]
            trials = worker.study.optuna.get_trials(deepcopy=False)
            about = {"worked": any(map(is_counted, trials)), "trained": has_trained(trials)}
            check_default(new, worker.study.config.space, default, **about)
            check_failures(new)
            check_refusals(new)
        elif claims.finished() >= n:
            return
        else:
            claims.show_waiting()
            worker.stop.wait(claims.database.timeouts.poll)


def _check_code(space: Space) -> None:
    """Stop before a trial is claimed that its child would refuse to train."""
    try:
        spaces.check_as_read(space)
    except spaces.SpaceChanged as changed:
        raise SpaceChanged(changed) from None


def check_default(
    trials: Sequence[FrozenTrial], name: str, default: Params | None, *, worked: bool, trained: bool
) -> None:
    """Stop a search whose space fails, by an exception, for its own default configuration: so would most others.

    A search ends, too, where a space's net breaks the contract of a space (``search.training.net_check``) and no net of
    the study has been trained so far.

    Args:
        trials: Those that have ended in this run.
        name: Name of the space.
        default: Its default configuration; None where it has none.
        worked: Whether a trial of the study has ever finished.
        trained: Whether a net of the study has been trained, or is being trained.

    Raises:
        InputError: It is a user's space, and has never worked.
        StudyStopped: It is a registered one, or has worked.
    """
    for trial in trials:
        # A sweep has many cells, of which one may fail.
        if not trial.user_attrs.get(RAISED) or trial.state != TrialState.FAIL or REPEAT in trial.user_attrs:
            continue
        of_default = default is not None and trial.system_attrs.get(FIXED) == default
        unfit = not trained and _reason(trial).startswith(f"{ContractBroken.__name__}:")
        if of_default or unfit:
            what = "its own default configuration" if of_default else "the first net that it builds"
            raise (StudyStopped if worked or name in spaces.REGISTERED else InputError)(
                f"space {name}: {what}, trial {trial.number}, fails: {_reason(trial)}; mend the space, then run the "
                "same command again"
            )


def check_failures(trials: Sequence[FrozenTrial]) -> None:
    """Stop a study that fails ten times in a row for one reason, or on more than a third of its trials.

    Reasons that differ in numbers and addresses alone are one: the name of a layer counts the layers before it. The
    second rule is not for sweeps, whose failing cells are tried twice, and whose others are wanted all the same.

    Args:
        trials: Those that have ended in this run; the second rule waits for twelve.

    Raises:
        StudyStopped: With the reason and the last line of the last failure.
    """
    ended = sorted(
        (trial for trial in trials if trial.state.is_finished() and not is_refused(trial)), key=_end
    )
    failed = [trial for trial in ended if trial.state == TrialState.FAIL]
    if not failed:
        return
    kinds = [_kind(_reason(trial)) for trial in ended]
    streak = len(list(itertools.takewhile(lambda kind: kind == kinds[-1] != "", reversed(kinds))))
    last = f"the last one, trial {failed[-1].number}: {_reason(failed[-1])}"
    if streak >= SAME_REASON:
        raise StudyStopped(f"{streak} trials in a row failed for one reason; {last}")
    of_search = REPEAT not in failed[-1].user_attrs
    if of_search and len(ended) >= LEAST_TRIALS and len(failed) > len(ended) / 3:
        raise StudyStopped(f"{len(failed)} of {len(ended)} trials failed; {last}")


def check_refusals(trials: Sequence[FrozenTrial]) -> None:
    """Stop a study of which nearly no configuration can be trained: a hundred in a row were refused.

    Args:
        trials: Those that have ended in this run.

    Raises:
        StudyStopped: With what the last one was refused for.
    """
    ended = sorted((trial for trial in trials if trial.state.is_finished()), key=_end)
    streak = len(list(itertools.takewhile(is_refused, reversed(ended))))
    if streak >= MOST_REFUSED:
        why = str(ended[-1].user_attrs.get("reason", ""))
        raise StudyStopped(
            f"{streak} configurations in a row were refused before training; the last one, trial {ended[-1].number}: "
            f"{why}; expected a space most of which fits: search under another --study name with a higher --max-cost "
            "or --max-parameters, a longer --final, or a --space of smaller nets"
        )


def _end(trial: FrozenTrial) -> tuple[float, int]:
    return trial.system_attrs.get(ENDED, 0.0), trial.number


def _kind(reason: str) -> str:
    """A reason with its numbers masked, but for the line of code."""
    return re.sub(r"(?<!line )(?<!\d)(0x[0-9a-fA-F]+|\d+(\.\d+)?(e[+-]?\d+)?)", "#", reason)


def _ended(worker: Worker) -> list[FrozenTrial]:
    trials = worker.study.optuna.get_trials(deepcopy=False)
    return [trial for trial in trials if trial.state.is_finished()]


def _reason(trial: FrozenTrial) -> str:
    return str(trial.user_attrs.get("reason", "")) if trial.state == TrialState.FAIL else ""

"""How a trial ends that does not complete, or goes back to the queue (the table in ``docs/reliability.md``).

While its claim is held it gets its reason and its note for the dashboard; then its end is recorded. After that, when
nobody waits for it any more, its pictures are drawn and the trackers are told.
"""

import optuna
from optuna.trial import TrialState

from search.errors import TrialFailed, TrialOutOfMemory, TrialPruned, TrialRefused
from search.execution.planning import ACCUMULATE
from search.execution.trial_files import TrialFiles
from search.execution.worker import WORKER_LOG, Worker
from search.study.space_version import RAISED
from search.web.trial_page import feed_trial
from storage.claims import Claim
from storage.memory import GPU, HOST


def end_pruned(worker: Worker, trial: optuna.Trial, claim: Claim, pruned: TrialPruned) -> None:
    """End a trial that the pruner has ended, or that diverged, with the value of its last report."""
    trial.set_user_attr("reason", str(pruned))
    reports = trial.storage.get_trial(claim.trial_id).intermediate_values
    last = reports[max(reports)] if reports else None
    undrawn = feed_trial(worker.study, trial, "pruned", _sentence(pruned), last)
    claim.finish(TrialState.PRUNED, last)
    worker.draw(undrawn)
    worker.listener.end(trial, "pruned", str(pruned), last)


def end_refused(trial: optuna.Trial, claim: Claim, refused: TrialRefused) -> None:
    """End a trial that is never trained, with the violations that its sampler learns from."""
    trial.set_user_attr("reason", str(refused))
    for name, violation in refused.violations.items():
        if name not in trial.constraints:
            trial.set_constraint(name, violation)
    claim.finish(TrialState.PRUNED)


def requeue_short_of_memory(
    worker: Worker, trial: optuna.Trial, claim: Claim, files: TrialFiles, failure: TrialOutOfMemory
) -> bool:
    """Requeue a trial that ran out of memory, for smaller batches or for a worker with more; else fail it.

    Returns:
        Whether it was requeued.
    """
    trial.set_user_attr("first_failure", failure.reason)  # First of all: is the trial still ours?
    # The checkpoint is of the same weights, but of a training whose batches were another size: begin again, though
    # not with folds that are finished.
    files.delete_checkpoints()
    # Where there is a GPU its own memory ran out, unless it was surely the host's.
    kind = HOST if failure.of_host or GPU not in worker.claims.memory else GPU
    if trial.user_attrs.get(ACCUMULATE) and claim.leave_to_roomier(kind):
        WORKER_LOG.info("trial %d is out of memory again: left to a worker with more", claim.number)
        return True
    return requeue_once(worker, trial, claim, ACCUMULATE, failure)


def requeue_once(worker: Worker, trial: optuna.Trial, claim: Claim, kind: str, failure: TrialFailed) -> bool:
    """Requeue the trial after its first failure of a kind and return True; fail it after the second."""
    if trial.user_attrs.get(kind):
        fail(worker, trial, claim, failure)
        return False
    trial.set_user_attr(kind, 1)
    trial.set_user_attr("first_failure", failure.reason)
    claim.requeue()
    return True


def fail(worker: Worker, trial: optuna.Trial, claim: Claim, failure: TrialFailed) -> None:
    """End a trial that has failed, with the reason and the last lines of its log."""
    trial.set_user_attr("reason", failure.reason)
    trial.set_user_attr("last_lines", failure.last_lines)
    trial.set_user_attr(RAISED, failure.raised)
    undrawn = feed_trial(worker.study, trial, "failed", _sentence(failure))
    claim.finish(TrialState.FAIL)
    worker.draw(undrawn)
    worker.listener.end(trial, "failed", failure.reason, None)


def _sentence(words: object) -> str:
    text = str(words)
    return f"{text[:1].upper()}{text[1:]}."

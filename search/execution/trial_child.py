"""The child process of a trial, as its worker follows it: one training, or one fold after another."""

from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any

from search.errors import TrialInterrupted
from search.execution.monitor import ChildMonitor
from search.execution.reporter import Reporter
from search.execution.time_spent import recording_time
from search.execution.trial_files import TrialFiles
from search.execution.worker import Worker
from search.process.child import Child
from search.study.fold_results import seconds_spent
from search.training.plan import TrainingPlan
from storage.claims import Claim
from storage.heartbeat import Heartbeat

if TYPE_CHECKING:
    import optuna


class TrialChild:
    """Trains as planned, in a child that is started for the first training, while the ``with`` block runs.

    The signs of life name the child for as long as it is there.

    Args:
        worker: Whose child it is.
        claim: The claim of the trial.
        trial: The trial.
        files: Its files.
        heartbeat: Its signs of life.
    """

    def __init__(
        self, worker: Worker, claim: Claim, trial: "optuna.Trial", files: TrialFiles, heartbeat: Heartbeat
    ) -> None:
        self._worker, self._claim, self._trial = worker, claim, trial
        self._files, self._heartbeat = files, heartbeat
        self._ending = ExitStack()
        self._child: Child | None = None
        self._asks = False

    def train(self, plan: TrainingPlan) -> tuple[dict[str, Any], str]:
        """Train; a plan with folds is followed by another's, or by the end of the block.

        Returns:
            The child's last message, and why the trial is pruned, if it is.

        Raises:
            TrialInterrupted: It was stopped.
            TrialFailed: It crashed, hung or ran out of memory.
        """
        worker = self._worker
        worker.clock.switch("starting")
        before = seconds_spent(self._trial.user_attrs)
        with (
            recording_time(self._trial, worker.clock),
            Reporter(
                self._claim,
                self._heartbeat,
                worker.stop,
                self._trial,
                plan,
                worker.listener,
                lambda: before + worker.clock.so_far(),
            ) as reporter,
        ):
            child = self._begin(plan)
            follower = ChildMonitor(
                reporter,
                worker.stop,
                self._heartbeat.check,
                worker.clock,
                hang_seconds=worker.hang_seconds,
                stop_seconds=worker.stop_seconds,
                on_checkpoint=self._files.written,
            )
            done = follower.follow(child)
            self._asks = bool(plan.folds)
            if done["stopped"]:
                raise TrialInterrupted("stopped", clean=True)
        return done, reporter.verdict

    def _begin(self, plan: TrainingPlan) -> Child:
        """Start the child, or have it go on with the next fold."""
        if self._child is None:
            worker = self._worker
            job = "search.training.job:train_folds" if plan.folds else "search.training.job:train"
            log, threads = worker.study.paths.log(self._claim.number), int(self._trial.user_attrs["threads"])
            start = worker.server.start
            worker.clock.switch("waiting")  # At first the server still imports the framework.
            child = start(job, plan.to_payload(), log, threads, worker.environment, patient=False)
            worker.clock.switch("starting")
            self._child = self._ending.enter_context(child)
            self._heartbeat.facts["child"] = self._child.pid
            self._ending.callback(self._heartbeat.facts.pop, "child", None)
        else:
            self._answer(plan)
        return self._child

    def _answer(self, plan: TrainingPlan | None) -> None:
        """Answer the child that has trained a fold and asks for the next."""
        if self._child is not None and self._asks:
            self._asks = False
            self._child.send({"plan": None if plan is None else plan.to_payload()})

    def __enter__(self) -> "TrialChild":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._answer(None)  # It ends by itself, also where a fold has pruned the trial.
        self._ending.__exit__(kind, error, where)

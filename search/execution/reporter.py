"""A thread stores what a child reports, so that a database that is away pauses the reports and not the training."""

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import optuna

from search.execution.pruning import diverged, pruned_after_epoch
from search.execution.stop_requests import Stop
from search.study.built_cost import BUILT_COST, warn_of_cost
from search.study.fold_results import FOLDS, images_seen
from search.tracking.listener import Listener
from search.training.plan import TrainingPlan
from storage.claims import Claim
from storage.heartbeat import Heartbeat

logger = logging.getLogger(__name__)

# An answer comes in milliseconds; a database that takes longer than this is busy or away.
VERDICT_SECONDS = 2.0
# How often an epoch of a fold is stored.
STORED_SECONDS = 1.0
PACE = {"kind": "pace"}
# What else than the figures of its history a child tells of an epoch.
OF_NO_CURVE = ("kind", "epoch", "images_per_second", "paced")
# What a child tells of what its net costs, if it was asked to count.
COUNTED = ("built_parameters", "built_flops", "uncounted")
_warned: set[str] = set()


class Reporter:
    """Stores the epochs of one training and asks the pruner, in order, while the ``with`` block runs.

    In a cross-validated trial it stores compute and signs of life alone, for folds are reported and judged as wholes
    (``search.execution.cross_validation``).

    Args:
        claim: The claim of the trial.
        heartbeat: Its signs of life.
        stop: Asked to stop where the compute is spent.
        trial: The trial.
        plan: The training.
        listener: Is told of the trial's curves.
        spent: Returns the seconds that the trial took so far; called by the thread that calls ``judge``.

    Attributes:
        verdict: Why the trial is pruned; empty as long as it goes on.
    """

    def __init__(
        self,
        claim: Claim,
        heartbeat: Heartbeat,
        stop: Stop,
        trial: optuna.Trial,
        plan: TrainingPlan,
        listener: Listener | None = None,
        spent: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.verdict = ""
        self._spent = spent
        # The first epoch that this training has told of, and when.
        self._first: tuple[int, float] | None = None
        self._listener = listener or Listener()
        self._claim, self._heartbeat, self._stop = claim, heartbeat, stop
        self._trial, self._plan = trial, plan
        # Epochs done again after an interruption are stored already.
        self._reported = set(trial.storage.get_trial(trial._trial_id).intermediate_values)
        self._queue: queue.Queue[Mapping[str, Any] | None] = queue.Queue()
        # Put, but not stored yet: counted here, since a queue is empty while its last message is being stored.
        self._unstored = 0
        self._changed = threading.Condition()
        self._failure: BaseException | None = None
        self._shown = self._timed = False
        self._thread = threading.Thread(target=self._work, name="reporter", daemon=True)
        self._features: tuple[float, float] | None = None
        self._seen = images_seen(trial.user_attrs.get(FOLDS, ()))
        self._epoch_images = 0.0
        self._stored_at = -STORED_SECONDS
        heartbeat.facts.update(epoch=plan.epochs_before, epochs=plan.epochs_in_all)
        if plan.folds:
            heartbeat.facts["fold"] = plan.fold + 1

    def put(self, message: Mapping[str, Any]) -> None:
        """Queue a message to be stored."""
        with self._changed:
            self._unstored += 1
        self._queue.put(message)

    def show_features(self, share: float) -> None:
        """Show in the signs of life which share of the backbone's features has been computed, and how long is left."""
        now = time.monotonic()
        began, before = self._features = self._features or (now, share)
        left = (now - began) * (1 - share) / (share - before) if share > before else None
        self._heartbeat.facts.update(features=share, features_left=left)

    def show_pace(self, images_per_second: float, part: float) -> None:
        """Show in the signs of life how fast the training is within an epoch, and which part of that is done."""
        self._heartbeat.facts.update(
            images_per_second=images_per_second, part=part, paced=True, spent=self._spent()
        )
        if not self._shown:  # At once: until a beat a person would not know how long it takes.
            self._shown = True
            self._queue.put(PACE)  # Not counted: an epoch's verdict is not to be given up for it.

    def judge(self, message: Mapping[str, Any]) -> bool:
        """Queue an epoch to be stored, and say whether the child shall go on, as far as that is known within seconds.

        Raises:
            ClaimLost, DatabaseGone: As ``done``.
        """
        self._take_time(message)
        if self._plan.folds and not self._due():
            self._note(message)
            return not self.verdict
        behind = self._unstored > 0
        self.put(message)
        if not behind:
            self._wait(VERDICT_SECONDS)
        self.check()  # Where the trial is lost the child must not train on.
        return not self.verdict

    def _take_time(self, message: Mapping[str, Any]) -> None:
        """Show in the signs of life what the trial took so far, and what each further epoch takes, all told.

        In the first epoch the net is traced. A fold after the first is taken to be like those before it.
        """
        epoch, spent = message["epoch"], self._spent()
        first, began = self._first = self._first or (epoch, spent)
        self._heartbeat.facts["spent"] = spent
        if not message.get("paced", True):
            return
        if self._plan.fold:
            self._heartbeat.facts["epoch_seconds"] = spent / (self._plan.epochs_before + epoch)
        elif epoch > first:
            self._heartbeat.facts["epoch_seconds"] = (spent - began) / (epoch - first)

    def _due(self) -> bool:
        """Whether an epoch of a fold is to be stored: a small head has many a second, of which nobody reads all."""
        now = time.monotonic()
        due = now - self._stored_at >= STORED_SECONDS
        self._stored_at = now if due else self._stored_at
        return due

    def done(self, seconds: float) -> bool:
        """Wait for at most so many seconds, and say whether everything has been stored.

        Raises:
            ClaimLost: The trial is another worker's now.
            DatabaseGone: The database was away for too long.
        """
        stored = self._wait(seconds)
        self.check()
        return stored

    def check(self) -> None:
        """Raise whatever went wrong in the storing thread, as ``done`` does."""
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> "Reporter":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._queue.put(None)
        self._thread.join(timeout=1.0)

    def _wait(self, seconds: float) -> bool:
        """Wait until nothing is left to store, or nothing more will be; return whether it is all stored."""
        with self._changed:
            self._changed.wait_for(lambda: not self._unstored or self._failure is not None, seconds)
            return not self._unstored

    def _work(self) -> None:
        while (message := self._queue.get()) is not None:
            try:
                with self._claim.fenced():
                    self._store(message)
            except BaseException as error:  # Whatever it is: the worker's thread must hear of it.
                with self._changed:
                    self._failure = error
                    self._changed.notify_all()
                return
            with self._changed:
                self._unstored -= message is not PACE
                self._changed.notify_all()

    def _store(self, message: Mapping[str, Any]) -> None:
        if message["kind"] == "built":
            self._trial.set_user_attr("device", message["device"])
            self._trial.set_user_attr("training_images", message["training_images"])
            self._epoch_images = message["epoch_images"]
            self._trial.set_user_attr("epoch_images", self._epoch_images)
            so_far = self._plan.epochs_before + message["epoch"]
            self._heartbeat.facts.update(
                epoch=so_far, device=message["device"], epoch_images=self._epoch_images
            )
            self._heartbeat.facts.update(features=None, features_left=None, part=0.0)
            self._warn_of_device(message["device"])
            self._compare_cost(message)
            # What a worker did not live to report is in the checkpoint that it left.
            for epoch, value in enumerate(message["values"], start=1):
                self._report(epoch, value)
            self._claim.heartbeat(**self._heartbeat.facts)
            self._listener.begin(self._trial, {} if self._plan.folds else message["history"])
        elif message is PACE:
            self._claim.heartbeat(**self._heartbeat.facts)
        elif message["kind"] == "epoch":
            self._epoch(message)
        else:
            self._trial.set_user_attr("checkpoint_trouble", message["trouble"])

    def _warn_of_device(self, device: str) -> None:
        """Warn, once a process, that results on this device may differ in their last digits from other devices'."""
        if device in _warned:
            return
        _warned.add(device)
        trials = self._trial.study.get_trials(deepcopy=False)
        others = sorted({trial.user_attrs.get("device", device) for trial in trials} - {device})
        if others:
            logger.warning("this worker trains on %s, others on %s", device, ", ".join(others))

    def _compare_cost(self, message: Mapping[str, Any]) -> None:
        """Record what the built net costs, where it was counted, and warn if that is not what its space says."""
        counted = {name: message[name] for name in COUNTED if name in message}
        if counted:
            self._trial.set_user_attr(BUILT_COST, counted)
            warn_of_cost(self._plan.space, self._trial.number, self._trial.user_attrs)

    def _note(self, message: Mapping[str, Any]) -> bool:
        """Show an epoch in the signs of life, and say whether the child shall go on after it: not if it diverged."""
        plan, epoch = self._plan, message["epoch"]
        value, rate = message[plan.value_name], message["images_per_second"]
        self._heartbeat.facts.update(epoch=plan.epochs_before + epoch, value=value, part=0.0)
        paced = bool(message.get("paced", True))
        # The pace of the fold before says more than a start.
        if paced or not self._heartbeat.facts.get("paced"):
            self._heartbeat.facts.update(images_per_second=rate, paced=paced)
        self.verdict = self.verdict or diverged(message, plan)
        return not self.verdict

    def _epoch(self, message: Mapping[str, Any]) -> None:
        """Store an epoch and decide whether the child shall go on."""
        if not self._note(message):
            return
        plan, epoch = self._plan, message["epoch"]
        self._report(epoch, message[plan.value_name])
        if not plan.folds:
            self._listener.epoch(epoch, {name: message[name] for name in message if name not in OF_NO_CURVE})
        else:
            seen = self._seen + self._epoch_images * epoch
            self._trial.set_user_attr("compute", 3.0 * self._trial.user_attrs["flops"] * seen)
        # Once it is known how long an epoch takes the heartbeat's own beats will do.
        if not (self._shown and self._timed):
            self._shown = self._shown or bool(message.get("paced", True))
            self._timed = "epoch_seconds" in self._heartbeat.facts
            self._claim.heartbeat(**self._heartbeat.facts)
        self.verdict = self.verdict or pruned_after_epoch(self._trial, epoch, plan)
        self._stop.check_budget()

    def _report(self, epoch: int, value: float) -> None:
        if self._plan.folds:
            return
        if epoch not in self._reported and math.isfinite(value):
            self._trial.report(value, epoch)
            self._reported.add(epoch)

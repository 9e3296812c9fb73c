"""A worker listening to one child, from its first message to its last."""

import math
import time
from typing import Any

import optuna

from search.child import Child, error_of
from search.errors import TrialInterrupted
from search.stopping import Stop
from search.training.plan import TrainingPlan
from storage.claims import Claims

BEAT_SECONDS = 15.0
POLL_SECONDS = 0.25
# Long enough for a batch and a checkpoint: the second Ctrl-C shall lose no finished epoch.
AT_ONCE_SECONDS = 2.0


class Follower:
    """Listens to one child: reports its epochs, asks the pruner, gives signs of life, passes on the wish to stop.

    Attributes:
        verdict: Why the trial is pruned; empty for one that runs its length.
    """

    def __init__(self, claims: Claims, stop: Stop, trial: optuna.Trial, plan: TrainingPlan) -> None:
        self.verdict = ""
        self._claims, self._stop, self._trial, self._plan = claims, stop, trial, plan
        self._shown: dict[str, Any] = {"epoch": 0, "epochs": plan.epochs}
        # Epochs done again after an interruption are stored already.
        self._reported = set(trial.storage.get_trial(trial._trial_id).intermediate_values)
        self._beaten = 0.0
        self._images = 0

    def follow(self, child: Child) -> dict[str, Any]:
        """The child's last message."""
        asked, last_chance = False, 0.0
        while True:
            if self._stop.requested and not asked:
                child.stop()
                asked = True
            if self._stop.now:
                last_chance = last_chance or time.monotonic() + AT_ONCE_SECONDS
                if time.monotonic() > last_chance:
                    raise TrialInterrupted("stopped at once")
            if time.monotonic() - self._beaten > BEAT_SECONDS:
                self._beat()
            try:
                message = child.receive(POLL_SECONDS)
            except EOFError:
                raise child.ending() from None
            if message is None:
                continue
            if message["kind"] == "done":
                return message
            if message["kind"] == "error":
                raise error_of(message)
            if message["kind"] == "built":
                self._images = message["training_images"]
                self._trial.set_user_attr("device", message["device"])
                self._shown["epoch"] = message["epoch"]
            else:
                child.send({"go": self._report(message)})
            self._beat()

    def _beat(self) -> None:
        self._claims.beat(self._trial._trial_id, **self._shown)
        self._beaten = time.monotonic()

    def _report(self, message: dict[str, Any]) -> bool:
        """Store an epoch and decide whether the child shall go on."""
        epoch, trial = message["epoch"], self._trial
        value = message[self._plan.value_name]
        compute = 3.0 * trial.user_attrs["flops"] * self._images * epoch
        trial.set_user_attr("epochs", epoch)
        trial.set_user_attr("compute", compute)
        if not math.isfinite(message["loss"]) or not math.isfinite(message["val_loss"]):
            self.verdict = f"diverged: the loss became NaN or infinite in epoch {epoch}"
            return False
        if epoch not in self._reported:
            trial.report(value, epoch)
        self._shown |= {
            "epoch": epoch,
            "value": value,
            "images_per_second": message["images_per_second"],
        }
        # After the last epoch a verdict would only waste what has been paid for already.
        if epoch < self._plan.epochs and trial.should_prune():
            self.verdict = f"pruned after epoch {epoch}"
            return False
        self._stop.check_budget(compute)
        return True

"""Single trainings for ``gpu.py``, as a trial's or by plain ``fit``, in children of one server; their images a second.

There is no command and no result file. What runs in the children is ``gpu_jobs.py``.
"""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from notebook_nets import plan_of, spec_of
from three_layers import VALIDATION, Task

import spaces
from search.data import Dataset, split
from search.errors import TrialFailed
from search.process.fork_server import ForkServer
from search.training.plan import TrainingPlan
from spaces.notebook_nets import notebook_nets

NETS = ("default", "three layers")


class Trainings:
    """Trains in children of one server.

    Args:
        server: Starts the children; on JAX.
        dataset: The prepared images.
        longest: Seconds of a single training; whatever takes longer is left out.
        until: When the time for all of them is over, on the clock of ``time.monotonic``.
    """

    def __init__(self, server: ForkServer, dataset: Dataset, longest: float, until: float) -> None:
        self._server, self._dataset, self._longest, self._until = server, dataset, longest, until

    def plan(self, net: str, images: int | None, epochs: int) -> TrainingPlan:
        """A training of one of ``NETS``, as a trial's."""
        if net == "default":
            params = spaces.load("cnn").first(spec_of(self._dataset))[0]
            return plan_of(self._dataset, "cnn", params, epochs, images)
        return plan_of(self._dataset, "cnn_wide", notebook_nets()[net][1], epochs, images)

    def train(
        self,
        plan: TrainingPlan,
        *,
        precision: str | None,
        on_device: bool | None = None,
        exact: bool = False,
        platform: str | None = None,
    ) -> dict[str, Any]:
        """One training as a trial's; see ``gpu_jobs.train``.

        Returns:
            Its device, history and memory, and its images a second.

        Raises:
            TimeoutError: It has taken longer than a single one may, or than there was time.
        """
        payload = {
            "plan": plan.to_payload(), "precision": precision, "on_device": on_device, "exact": exact,
            "platform": platform,
        }  # fmt: skip
        messages = self._messages("gpu_jobs:train", payload)
        built = next(message for message in messages if message["kind"] == "built")
        ends = [message["sent"] for message in messages if message["kind"] == "epoch"]
        return {
            "device": built["device"],
            "history": messages[-1]["history"],
            "memory": messages[-1]["memory"],
            "images_per_second": images_per_second(ends, built["training_images"]),
        }

    def plain(self, net: str, plan: TrainingPlan) -> dict[str, Any]:
        """One training by plain ``fit``; see ``gpu_jobs.plain``."""
        labels = self._dataset.train()[1]
        images = len(split(labels, VALIDATION, plan.images, plan.split_seed).train)
        task = asdict(Task(plan.dataset, images, plan.epochs))
        payload = {"task": task, "plan": plan.to_payload() if net == "default" else None}
        done = self._messages("gpu_jobs:plain", payload)[-1]
        return {"images_per_second": images_per_second(done["ends"], done["images"])}

    def _messages(self, job: str, payload: dict[str, Any]) -> list[dict[str, Any]]:
        """All that a child says until it is done; it is told to go on after each epoch."""
        over = min(self._until, time.monotonic() + self._longest)
        said: list[dict[str, Any]] = []
        with (
            tempfile.TemporaryDirectory() as folder,
            self._server.start(job, payload, Path(folder) / "log.txt") as child,
        ):
            while not said or said[-1]["kind"] != "done":
                left = over - time.monotonic()
                if left <= 0:
                    child.kill()
                    raise TimeoutError("no time was left for it")
                said.append(child.result(left))
                if said[-1]["kind"] == "epoch":
                    child.send({"go": True})
        return said


def images_per_second(ends: Sequence[float], images: int) -> float:
    """Images a second of all epochs but the first, given when each was over.

    Raises:
        RuntimeError: There is no second epoch, or it took no time.
    """
    if len(ends) < 2 or ends[-1] <= ends[0]:
        raise RuntimeError(f"{len(ends)} epochs, where at least two are timed from one's end to the next's")
    return images * (len(ends) - 1) / (ends[-1] - ends[0])


def rate_of(train: Callable[[], Mapping[str, Any]]) -> float | str:
    """Images a second of a training; why there are none, where it fails: the other ways may do."""
    try:
        return float(train()["images_per_second"])
    except (TrialFailed, RuntimeError, TimeoutError) as error:
        return f"{type(error).__name__}: {error}"[:300]

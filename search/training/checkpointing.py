"""A training's whole state as arrays, written to a checkpoint and read from one.

A training that goes on from its checkpoint comes out as if nothing had happened, so all that it depends on is kept:
weights, batch statistics, the seeds of Dropout, the optimizer's slots and step, the best weights so far.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np

from search.process.channel import Channel
from search.training.plan import TrainingPlan
from storage.checkpoints import read_furthest, write_checkpoint

logger = logging.getLogger(__name__)


class Checkpointer:
    """Writes the checkpoints of one training, and finds the one that it goes on from.

    Args:
        plan: The training; it names the files, and the least time between two checkpoints.
    """

    def __init__(self, plan: TrainingPlan) -> None:
        self._plan = plan
        # A checkpoint of another backend or version may have other variables in another order.
        self._identity = f"{plan.identity} {keras.config.backend()} keras {keras.__version__}"
        self._written_at = time.monotonic()
        self._state: tuple[list[np.ndarray], dict[str, Any]] | None = None

    @property
    def due(self) -> bool:
        """Whether the time has come for another checkpoint."""
        return (
            bool(self._plan.checkpoint)
            and time.monotonic() - self._written_at >= self._plan.checkpoint_seconds
        )

    def furthest(self) -> tuple[list[np.ndarray], dict[str, Any]] | None:
        """Read the furthest of the plan's checkpoints that is of this very training: its arrays and its facts."""
        own = (self._plan.checkpoint,) if self._plan.checkpoint else ()
        stored, passed_over = read_furthest(map(Path, (*self._plan.go_on_from, *own)), self._identity)
        for line in passed_over:
            logger.info("%s: %s", line, "begun again" if stored is None else "gone on from another")
        return stored

    def hold(self, arrays: list[np.ndarray], facts: dict[str, Any]) -> None:
        """Hold in memory the state at an epoch's end, which ``write`` is to write."""
        self._state = arrays, {**facts, "identity": self._identity}

    def write(self, channel: Channel) -> None:
        """Write the state that is held, and tell the worker.

        A full disk costs the newer checkpoint, not the training: the older one stays as it was.
        """
        if self._state is None or not self._plan.checkpoint:
            return
        arrays, facts = self._state
        trouble = ""
        try:
            write_checkpoint(Path(self._plan.checkpoint), arrays, facts)
        except OSError as error:
            trouble = f"no checkpoint after epoch {facts['epoch'] - self._plan.epochs_before}: {error}"
            with suppress(OSError):  # The log may lie on the same disk.
                logger.warning(trouble)
        self._written_at = time.monotonic()
        channel.send({"kind": "checkpoint", "epoch": facts["epoch"], "trouble": trouble})


def capture(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> list[np.ndarray]:
    """Copy weights, batch statistics, Dropout's seeds, and the optimizer's slots, step and averaged weights.

    ``.keras`` files leave out the seeds (measured), so the variables are listed here.
    """
    return [np.array(variable) for variable in _variables(model, optimizer)]


def restore(model: keras.Model, optimizer: keras.optimizers.Optimizer, arrays: list[np.ndarray]) -> None:
    """Set a model and its built optimizer to what ``capture`` gave.

    Raises:
        ValueError: The arrays are of another model; nothing has been set.
    """
    variables = _variables(model, optimizer)
    if len(variables) != len(arrays):
        raise ValueError(
            f"the checkpoint has {len(arrays)} arrays where this model has {len(variables)} variables"
        )
    for variable, array in zip(variables, arrays, strict=True):
        if tuple(variable.shape) != array.shape:
            raise ValueError(
                f"the checkpoint has an array of shape {array.shape} where this model has {tuple(variable.shape)} "
                f"({variable.path})"
            )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _variables(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    # These are reset at every epoch, and made at the first.
    metrics = {id(variable) for variable in model.metrics_variables}
    kept = [variable for variable in model.variables if id(variable) not in metrics]
    return [*kept, *optimizer.variables]


@contextmanager
def averaged_weights(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Use the optimizer's averaged weights within the block; where it keeps no average, nothing is changed."""
    variables = model.trainable_variables if optimizer.use_ema else []
    raw = [np.array(variable) for variable in variables]
    if variables:
        optimizer.finalize_variable_values(variables)
    try:
        yield
    finally:
        for variable, array in zip(variables, raw, strict=True):
            variable.assign(array)

"""A training's whole state as arrays: what must be kept for a resumed run to equal the uninterrupted one."""

import keras
import numpy as np


def capture(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> list[np.ndarray]:
    """Copies of weights, batch statistics, Dropout's seeds, and the optimizer's slots, step and averaged weights.

    ``.keras`` files leave out the seeds (measured), so the variables are listed here.
    """
    return [np.array(variable) for variable in _variables(model, optimizer)]


def restore(model: keras.Model, optimizer: keras.optimizers.Optimizer, arrays: list[np.ndarray]) -> None:
    """Set a model and its built optimizer to what ``capture`` gave.

    Raises:
        ValueError: The arrays are of another model.
    """
    variables = _variables(model, optimizer)
    if len(variables) != len(arrays):
        raise ValueError(
            f"the checkpoint has {len(arrays)} arrays where this model has {len(variables)} variables"
        )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _variables(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    metrics = {
        id(variable) for variable in model.metrics_variables
    }  # Reset at every epoch, made at the first.
    kept = [variable for variable in model.variables if id(variable) not in metrics]
    return [*kept, *optimizer.variables]


class AveragedWeights:
    """Swaps the optimizer's averaged weights in for a while: ``with AveragedWeights(...): validate``.

    Where the optimizer keeps no average nothing is swapped.
    """

    def __init__(self, model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
        self._model, self._optimizer = model, optimizer
        self._raw: list[np.ndarray] = []

    def __enter__(self) -> None:
        if self._optimizer.use_ema:
            self._raw = [np.array(variable) for variable in self._model.trainable_variables]
            self._optimizer.finalize_variable_values(self._model.trainable_variables)

    def __exit__(self, *_: object) -> None:
        for variable, array in zip(self._model.trainable_variables, self._raw, strict=False):
            variable.assign(array)

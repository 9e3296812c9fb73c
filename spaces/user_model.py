"""A user's function that makes a Keras model, in Optuna's style or KerasTuner's, in the place of a space.

It is named ``my_model.py:build``. Where the search runs it is known by its name and its code alone, since its module
may import Keras at module level, as people do; it is imported in a child process, which builds the model and asks for
one value after another meanwhile (``spaces.hyperparameters``).
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spaces.contract import InputSpec, Params
from spaces.hyperparameters import Hyperparameters, given_by
from spaces.recipe import Recipe

if TYPE_CHECKING:
    import keras

# A parameter of this name is the size of the batches; without one they have Keras's own.
BATCH_SIZE, DEFAULT_BATCH_SIZE = "batch_size", 32
TUNER = ("keras_tuner", "kerastuner")


class ModelUnfit(ValueError):
    """A user's function, or the model that it makes, cannot be searched; in one line."""


@dataclass(frozen=True)
class UserModel:
    """A function that makes a model.

    Attributes:
        name: As the user names it, such as ``my_model.py:build``.
        module: The name of its module.
        function: The name of the function.
        code: A digest of the module's code.
    """

    name: str
    module: str
    function: str
    code: str

    def make(self, hyperparameters: Hyperparameters) -> Any:
        """What the function returns, once it has asked for its values. The module is imported for that."""
        return self._imported()(hyperparameters)

    def callbacks(self, hyperparameters: Hyperparameters) -> Any:
        """What the function ``callbacks`` of its module returns, which may ask for values, too; [] without one."""
        self._imported()
        function = getattr(importlib.import_module(self.module), "callbacks", None)
        return function(hyperparameters) if callable(function) else []

    def build(self, params: Params, input_spec: InputSpec) -> "keras.Model":
        """The model of these values."""
        model: keras.Model = self.make(Hyperparameters(given_by(params)))
        return model

    def callbacks_of(self, params: Params) -> Any:
        """The callbacks of these values, anew for each training."""
        return self.callbacks(Hyperparameters(given_by(params)))

    def recipe(self, params: Params, input_spec: InputSpec) -> Recipe:
        """How the model is trained as far as it does not say itself, which a compiled one does but for its batches."""
        size = params.get(BATCH_SIZE, DEFAULT_BATCH_SIZE)
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"{BATCH_SIZE} is {size!r}; expected a whole number of images")
        return Recipe(
            optimizer="adam",
            learning_rate=0.001,
            weight_decay=0.0,
            schedule="constant",
            batch_size=size,
            label_smoothing=0.0,
            augmentation=0.0,
        )

    def _imported(self) -> Callable[[Hyperparameters], Any]:
        try:
            module = importlib.import_module(self.module)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in TUNER:
                raise ModelUnfit(
                    f"{self.module} imports {error.name}, which is not installed here; run python -m pip install "
                    f"keras-tuner, or take the import out: {self.function} is given what it asks for by this program"
                ) from error
            raise
        except SystemExit as ended:
            words = [
                f"{self.module} ends the process when it is imported",
                *str(ended).strip().splitlines()[:1],
            ]
            raise ModelUnfit(
                f'{": ".join(words)}; put what it does as a program under if __name__ == "__main__"'
            ) from ended
        function = getattr(module, self.function, None)
        if isinstance(function, type) or not callable(function):
            there = sorted(
                name
                for name, one in vars(module).items()
                if getattr(one, "__module__", None) == module.__name__ and not isinstance(one, type)
            )
            has = f"; it has {', '.join(there[:5])}" if there else ""
            raise ModelUnfit(f"{self.module} has no function {self.function}{has}")
        found: Callable[[Hyperparameters], Any] = function
        return found


def is_model(name: str) -> bool:
    """Whether a name is that of a function that makes a model, not of a space."""
    return ":" in name

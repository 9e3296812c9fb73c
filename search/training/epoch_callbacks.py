"""Callbacks of a user's model. They hear of epochs, and a training that goes on tells them again of those before.

A callback has a state of its own, such as how long it has waited, which no checkpoint holds. But what it has heard of
is in the history; so it hears of it once more, from the beginning, and then the checkpoint's weights, learning rate and
all are set as they were. That is why only such callbacks will do as live on what the history holds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from search.metrics.classification import validated
from spaces.user_model import ModelUnfit

# What they are told after an epoch; of a training on all images, what does not begin with ``val_``.
FIGURES = ("loss", "accuracy", *(f"val_{name}" for name in validated("accuracy")))
# They write files, or change weights that have been scored by then.
REFUSED = {
    "BackupAndRestore": "trials go on by themselves",
    "CSVLogger": "the history is in the report",
    "ModelCheckpoint": "weights are kept by themselves",
    "RemoteMonitor": "search.dashboard shows the trials",
    "SwapEMAWeights": "an optimizer with use_ema=True is validated and kept by its average",
    "TensorBoard": "search.dashboard shows the trials",
}
OF_BATCHES = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
# A loss that is no number ends every trial.
NEEDLESS = keras.callbacks.TerminateOnNaN


def check_callbacks(
    callbacks: Any, model: keras.Model, *, on_all: bool = False
) -> list[keras.callbacks.Callback]:
    """A user's callbacks, once each will do.

    Args:
        callbacks: What the user's function returned.
        model: Theirs.
        on_all: Whether it is trained on all images, so that none are left to validate on.

    Raises:
        ModelUnfit: One will not; in one line.
    """
    if not isinstance(callbacks, list | tuple) or not all(
        isinstance(one, keras.callbacks.Callback) for one in callbacks
    ):
        raise ModelUnfit(f"callbacks returned {callbacks!r:.80}; expected a list of keras.callbacks")
    if callbacks and not model.compiled:
        raise ModelUnfit("its callbacks are for a model that comes compiled, and this one does not")
    for callback in callbacks:
        name = type(callback).__name__
        monitored = getattr(callback, "monitor", FIGURES[0])
        if isinstance(callback, NEEDLESS):
            continue
        if name in REFUSED:
            raise ModelUnfit(f"its callback {name} is not wanted: {REFUSED[name]}; leave it out")
        if getattr(callback, "restore_best_weights", False):
            raise ModelUnfit(
                f"its callback {name} has restore_best_weights; leave that out, and keep the best weights by "
                "--early-stopping"
            )
        if not all(_is_default(callback, hook) for hook in OF_BATCHES):
            raise ModelUnfit(
                f"its callback {name} hears of batches, which a trial that goes on could not tell it again; expected "
                "one of epochs, or a schedule in the optimizer"
            )
        if monitored not in FIGURES:
            raise ModelUnfit(
                f"its callback {name} monitors {monitored}; expected one of {', '.join(FIGURES)}"
            )
    kept = [one for one in callbacks if not isinstance(one, NEEDLESS)]
    if on_all and (monitoring := monitors_validation(kept)):
        raise ModelUnfit(
            f"its callback {monitoring}, and a training on all images has none left to validate on"
        )
    return kept


def monitors_validation(callbacks: Sequence[keras.callbacks.Callback]) -> str:
    """Which callback monitors what of the validation images, in words; empty where none does."""
    found = (f"{type(one).__name__} monitors {one.monitor}" for one in callbacks if hasattr(one, "monitor"))
    return next((words for words in found if "val_" in words), "")


class EpochCallbacks:
    """Tells callbacks of a training's epochs.

    Attributes:
        stopped: Whether one of them has ended the training.

    Args:
        callbacks: What ``check_callbacks`` gave.
        model: Theirs.
        epochs: The full length of the training.
    """

    def __init__(
        self, callbacks: Sequence[keras.callbacks.Callback], model: keras.Model, epochs: int
    ) -> None:
        self.stopped = False
        self._model = model
        self._callbacks = list(callbacks)
        for callback in self._callbacks:
            # Keras knows that only of its own metrics, once trained.
            if getattr(callback, "mode", "") == "auto":
                callback.mode = "min" if callback.monitor.endswith("loss") else "max"
            callback.set_params({"epochs": epochs, "verbose": 0})
            callback.set_model(model)
            callback.on_train_begin()

    def __bool__(self) -> bool:
        return bool(self._callbacks)

    def begin(self, epoch: int) -> None:
        """Tell that an epoch begins, counted from 0."""
        for callback in self._callbacks:
            callback.on_epoch_begin(epoch)

    def end(self, epoch: int, history: Mapping[str, Sequence[float]]) -> None:
        """Tell that an epoch has ended, and what it came to."""
        logs = {name: history[name][epoch] for name in FIGURES if len(history.get(name, ())) > epoch}
        self._model.stop_training = False
        for callback in self._callbacks:
            callback.on_epoch_end(epoch, dict(logs))
        self.stopped = self.stopped or bool(self._model.stop_training)

    def tell_again(self, epochs: int, history: Mapping[str, Sequence[float]]) -> None:
        """Tell of the first so many epochs of a training that goes on; its state is then to be set as they left it."""
        for epoch in range(epochs):
            self.begin(epoch)
            self.end(epoch, history)


def _is_default(callback: keras.callbacks.Callback, hook: str) -> bool:
    own = getattr(callback, hook)
    return getattr(own, "__func__", own) is getattr(keras.callbacks.Callback, hook)

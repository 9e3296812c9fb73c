from typing import Any

import keras
import pytest

from search.training.epoch_callbacks import EpochCallbacks, check_callbacks
from spaces.user_model import ModelUnfit

# Keras's own.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
callbacks = keras.callbacks
LOSSES = {"loss": [3.0, 2.0, 2.5, 2.4, 2.6], "val_loss": [3.0, 2.0, 2.1, 2.2, 2.3], "seconds": [0.1] * 5}


def compiled() -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
    model.compile(keras.optimizers.SGD(0.8), loss="categorical_crossentropy")
    return model


class OfBatches(callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None: ...


class Heard(callbacks.Callback):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Any] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.heard.append(epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.heard.append((epoch, logs))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: [callbacks.ModelCheckpoint("best.keras")], "ModelCheckpoint is not wanted: weights are kept by"),
        (lambda: [callbacks.EarlyStopping(restore_best_weights=True)], "EarlyStopping has restore_best_weights"),
        (lambda: [callbacks.EarlyStopping(monitor="val_auc")], "EarlyStopping monitors val_auc; expected one of loss"),
        (lambda: [OfBatches()], "OfBatches hears of batches, which a trial that goes on could not tell it again"),
        (lambda: callbacks.EarlyStopping(), "expected a list of keras.callbacks"),
    ],
)  # fmt: skip
def test_callback_that_will_not_do_is_refused_by_name(make: Any, message: str) -> None:
    with pytest.raises(ModelUnfit, match=message):
        check_callbacks(make(), compiled())


def test_callback_is_refused_without_a_compiled_model_or_without_what_it_monitors() -> None:
    with pytest.raises(ModelUnfit, match="for a model that comes compiled"):
        check_callbacks([Heard()], keras.Sequential([keras.layers.Dense(2)]))
    with pytest.raises(ModelUnfit, match="monitors val_loss, and a training on all images has none left"):
        check_callbacks([callbacks.ReduceLROnPlateau()], compiled(), on_all=True)
    assert len(check_callbacks([Heard(), callbacks.TerminateOnNaN()], compiled(), on_all=True)) == 1


def test_callbacks_hear_of_epochs_with_what_these_came_to() -> None:
    heard = Heard()
    told = EpochCallbacks([heard], compiled(), 5)
    told.begin(1)
    told.end(1, LOSSES)
    assert heard.heard == [1, (1, {"loss": 2.0, "val_loss": 2.0})]


def test_callback_ends_a_training() -> None:
    told = EpochCallbacks([callbacks.EarlyStopping(patience=2)], compiled(), 5)
    stopped = []
    for epoch in range(4):
        told.end(epoch, LOSSES)
        stopped.append(told.stopped)
    assert stopped == [False, False, False, True]


@pytest.mark.parametrize("before", [1, 2, 3])
def test_callback_goes_on_as_if_nothing_had_happened(before: int) -> None:
    def rates(model: keras.Model, told: EpochCallbacks, first: int) -> list[float]:
        found = []
        for epoch in range(first, 5):
            told.begin(epoch)
            told.end(epoch, LOSSES)
            found.append(round(float(model.optimizer.learning_rate), 6))
        return found

    def begun() -> tuple[keras.Model, EpochCallbacks]:
        model = compiled()
        return model, EpochCallbacks([callbacks.ReduceLROnPlateau(factor=0.5, patience=2)], model, 5)

    whole = rates(*begun(), 0)
    assert whole == [0.8, 0.8, 0.8, 0.4, 0.4]
    model, told = begun()
    told.tell_again(before, LOSSES)
    model.optimizer.learning_rate = whole[before - 1]  # As a checkpoint has it.
    assert rates(model, told, before) == whole[before:]

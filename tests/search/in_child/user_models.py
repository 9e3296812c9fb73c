"""A user's own functions that make models, with Keras at module level, as people write them."""

import keras
from keras import layers


def build_model(hp):
    """KerasTuner's getting-started model, https://keras.io/keras_tuner/getting_started, of the layers' own numbers."""
    model = keras.Sequential()
    model.add(layers.Flatten())
    # Tune the number of layers.
    for i in range(hp.Int("num_layers", 1, 3)):
        model.add(
            layers.Dense(
                # Tune number of units separately.
                units=hp.Int(f"units_{i}", min_value=32, max_value=512, step=32),
                activation=hp.Choice("activation", ["relu", "tanh"]),
            )
        )
    if hp.Boolean("dropout"):
        model.add(layers.Dropout(rate=0.25))
    model.add(layers.Dense(10, activation="softmax"))
    learning_rate = hp.Float("lr", min_value=1e-4, max_value=1e-2, sampling="log")
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=learning_rate),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def callbacks(hp):
    """A rate that is smaller by a third after each epoch, whatever it was."""
    return [keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * hp.Fixed("decay", 0.67))]

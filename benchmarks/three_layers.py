"""The notebook's three-layer net, trained in its own way or in ours: one process (tree) that ``throughput.py`` watches.

    python benchmarks/three_layers.py theirs|ours DATASET_FOLDER IMAGES EPOCHS OUT.json

``OUT.json`` gets, for each epoch, its seconds as a whole (validation and our report included) and of training alone.
"""

import json
import os
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

TRAINABLE = 377_930
BATCH = 64
VALIDATION = 0.1
SEED = 0


def theirs(folder: Path, images: int, epochs: int) -> dict[str, Any]:
    """As the notebook: every image in memory as float64, divided by 255, given to ``fit`` as arrays.

    Left out, in its favour: the test images that it held beside them, and its copy of the best epoch's weights.
    """
    import keras
    import numpy as np

    from search.data import split

    loaded, labels = (
        np.load(folder / "images.npy"),
        np.load(folder / "labels.npy"),
    )  # As Keras's loader gives them.
    parts = split(labels, VALIDATION, images, SEED)
    chosen = np.concatenate([parts.train, parts.validation])
    x, y = loaded[chosen], labels[chosen]
    del loaded
    x = x / 255.0
    model = _their_net(keras)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    clock = _clock(keras)
    count = len(parts.train)
    history = model.fit(
        x[:count],
        y[:count],
        batch_size=BATCH,
        epochs=epochs,
        validation_data=(x[count:], y[count:]),
        verbose=0,
        callbacks=[clock],
    ).history
    times = {name: clock.seconds[name] for name in ("epoch", "training")}
    return {"images": count, **times, "val_accuracy": history["val_accuracy"]}


def _their_net(keras: Any) -> Any:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(128, 3, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2048, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    if model.count_params() != TRAINABLE:
        raise RuntimeError(f"{model.count_params()} parameters where the notebook's net has {TRAINABLE}")
    return model


def _clock(keras: Any) -> Any:
    class Clock(keras.callbacks.Callback):  # type: ignore[misc]
        """Seconds of each epoch, and of its part before validation."""

        def __init__(self) -> None:
            super().__init__()
            self.seconds: dict[str, list[float]] = {"epoch": [], "training": []}
            self._began = 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self._began = time.monotonic()

        def on_test_begin(self, logs: Any = None) -> None:
            self.seconds["training"].append(time.monotonic() - self._began)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seconds["epoch"].append(time.monotonic() - self._began)

    return Clock()


def ours(folder: Path, images: int, epochs: int) -> dict[str, Any]:
    """As a study of one trial: a worker with its database, a fork server, a child on the memory-mapped cache."""
    import search.life  # noqa: F401  What a worker holds besides.
    from search.child import Child, ForkServer
    from search.loop import work
    from search.stopping import Stop
    from search.trial import Worker
    from storage.claims import Claims

    received: list[float] = []  # When each message of the child came: built, then one an epoch, then done.
    receive = Child.receive

    def timed(self: Child, timeout: float | None = None) -> dict[str, Any] | None:
        message = receive(self, timeout)
        if message is not None:
            received.append(time.monotonic())
        return message

    Child.receive = timed  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as root, ForkServer() as server:
        study = _study(folder, images, epochs, Path(root))
        claims = Claims(study.storage, study.study_id, "benchmark")
        work(Worker(study, server, claims, Stop(), threads=os.cpu_count() or 1), lambda: 1)
        trial = study.ranked()[0]
    if trial.user_attrs["parameters"] != TRAINABLE:
        raise RuntimeError(f"{trial.user_attrs['parameters']} parameters, not {TRAINABLE}")
    history = trial.user_attrs["history"]
    whole = [end - start for start, end in pairwise(received)][:epochs]
    return {
        "images": images // BATCH * BATCH,  # The last, incomplete batch is left out.
        "epoch": whole,
        "training": history["seconds"],
        "val_accuracy": history["val_accuracy"],
    }


def _study(folder: Path, images: int, epochs: int, root: Path) -> Any:
    from search.config import StudyConfig
    from search.data import open_dataset
    from search.sampling import enqueue
    from search.study import create_study
    from spaces.notebook_nets import notebook_nets

    dataset = open_dataset(folder)
    config = StudyConfig(
        study="throughput",
        data=dataset.source,
        fingerprint=dataset.fingerprint,
        classes=dataset.classes,
        height=dataset.height,
        width=dataset.width,
        channels=dataset.channels,
        space="cnn_wide",
        epochs=epochs,
        validation=VALIDATION,
        images=images,
        seed=SEED,
        pruner="none",
    )
    study = create_study(config, folder, None, root)
    enqueue(study.optuna, [notebook_nets()["three layers"][1]])
    return study


if __name__ == "__main__":
    side, where, count, length, out = sys.argv[1:]
    result = {"theirs": theirs, "ours": ours}[side](Path(where), int(count), int(length))
    Path(out).write_text(json.dumps(result))

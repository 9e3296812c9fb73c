"""The notebook's three-layer net, trained by plain ``fit`` or as a trial of ours: the two sides of ``throughput.py``.

Both train on the same images, in batches of 64, with Adam at a constant rate of 0.001 and categorical cross-entropy,
without augmentation, and are validated on the same images after each epoch. What differs:

    plain   all images in memory as floats divided by 255, one-hot labels, ``fit`` on these arrays, validated by
            ``fit`` too, batches shuffled by it. Left out, in its favour: the test images that the notebook held
            beside them, its copy of the best epoch's weights, its progress bar.
    ours    a study of one fixed trial of the space ``cnn_wide``: worker, database, fork server and a child that reads
            the memory-mapped uint8 cache. After each epoch the worker stores and judges what the child reports.

``throughput.py`` times both in children of one fork server. As a program, this is one training in a process (tree) of
its own, whose memory ``throughput.py`` watches:

    python benchmarks/three_layers.py plain|ours DATASET_FOLDER IMAGES EPOCHS PIXELS
"""

import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from search.process.channel import Channel
from search.process.child import Child
from search.process.fork_server import ForkServer

SIDES = ("plain", "ours")
TRAINABLE = 377_930
BATCH = 64
VALIDATION = 0.1
SEED = 0


@dataclass(frozen=True)
class Task:
    """What both sides do.

    Attributes:
        folder: The prepared data set.
        images: To train on: a multiple of the batch, so that both sides take the same steps.
        epochs: Of which the first, in which the net is traced, is not timed.
        pixels: How plain ``fit`` holds them, ``float32`` or ``float64``.
    """

    folder: str
    images: int
    epochs: int
    pixels: str = "float32"

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return self.images // BATCH


@dataclass(frozen=True)
class Run:
    """One training, as it was measured.

    Attributes:
        ends: When each epoch was over, validation and report included, on the host's common clock.
        training: Seconds of each epoch without validation and report.
        steps: Of the optimizer, in all.
        val_accuracy: Of each epoch.
    """

    ends: list[float]
    training: list[float]
    steps: int
    val_accuracy: list[float]


def train(side: str, task: Task, server: ForkServer) -> Run:
    """Train one side in a child of the server."""
    return train_ours(task, server) if side == "ours" else train_plain(task, server)


def train_plain(task: Task, server: ForkServer) -> Run:
    """Plain ``fit``, in a child that does nothing else."""
    with (
        tempfile.TemporaryDirectory() as folder,
        server.start("three_layers:plain_job", asdict(task), Path(folder) / "log.txt") as child,
    ):
        done = child.result()
    return Run(**done["run"])


def plain_job(payload: dict[str, Any], channel: Channel) -> None:
    """A child's job: plain ``fit``."""
    channel.send({"kind": "done", "run": asdict(fit(Task(**payload)))})


def fit(task: Task) -> Run:
    """Plain ``fit`` in this very process."""
    import keras

    (x, y), validation = _load(task, keras)
    keras.utils.set_random_seed(SEED)
    model = _plain_net(keras)
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    clock = _clock(keras)
    history = model.fit(
        x, y, batch_size=BATCH, epochs=task.epochs, validation_data=validation, verbose=0, callbacks=[clock]
    ).history
    steps = int(model.optimizer.iterations.numpy())
    return Run(clock.ends, clock.training, steps, [float(value) for value in history["val_accuracy"]])


def _load(task: Task, keras: Any) -> list[tuple[Any, Any]]:
    """Pixels and one-hot labels of the training images, then of the validation images."""
    from search.data import open_dataset, split

    images, labels = open_dataset(Path(task.folder)).train()
    parts = split(labels, VALIDATION, task.images, SEED)
    loaded = []
    for chosen in (parts.train, parts.validation):
        pixels = images[chosen].astype(task.pixels)
        pixels /= 255  # In place: a second copy would be against it.
        loaded.append((pixels, keras.utils.to_categorical(labels[chosen], 10)))
    return loaded


def _plain_net(keras: Any) -> Any:
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
        """Notes when epochs end, and how long each takes before it is validated."""

        def __init__(self) -> None:
            super().__init__()
            self.ends: list[float] = []
            self.training: list[float] = []
            self._began = 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self._began = time.monotonic()

        def on_test_begin(self, logs: Any = None) -> None:
            self.training.append(time.monotonic() - self._began)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.ends.append(time.monotonic())

    return Clock()


def train_ours(task: Task, server: ForkServer) -> Run:
    """A study of one trial, whose worker is this process."""
    import search.workflows.run  # noqa: F401  What a worker holds besides.
    from search.execution.stop_requests import Stop
    from search.execution.worker import Worker
    from search.execution.worker_loop import work
    from storage.claims import Claims

    ends: list[float] = []
    receive = Child.receive

    def noting(child: Child, timeout: float | None = None) -> dict[str, Any] | None:
        message = receive(child, timeout)
        # A child also tells that it has built its net, that a batch is done, that a checkpoint is written.
        if message is not None and message["kind"] == "epoch":
            ends.append(time.monotonic())
        return message

    with tempfile.TemporaryDirectory() as root, patch.object(Child, "receive", noting):
        study = _study(task, Path(root))
        claims = Claims(study.storage, study.study_id, "benchmark")
        work(Worker(study, server, claims, Stop()), lambda: 1)
        (trial,) = study.ranked()
    facts = trial.user_attrs
    if facts["parameters"] != TRAINABLE:
        raise RuntimeError(f"{facts['parameters']} parameters where the notebook's net has {TRAINABLE}")
    history = facts["history"]
    steps = facts["training_images"] // facts["batch_size"] * facts["epochs"]
    return Run(ends, history["seconds"], steps, history["val_accuracy"])


def _study(task: Task, root: Path) -> Any:
    from search.config.settings import RunOptions
    from search.data import open_dataset
    from search.study.creation import new_config
    from search.study.finding import create_study
    from search.study.first_trials import enqueue
    from spaces.notebook_nets import notebook_nets

    dataset = open_dataset(Path(task.folder))
    options = RunOptions.given(
        "throughput",
        space="cnn_wide",
        epochs=task.epochs,
        validation=VALIDATION,
        images=task.images,
        seed=SEED,
        pruner="none",
    )
    study = create_study(new_config(options, dataset), Path(task.folder), None, root)
    enqueue(study.optuna, [notebook_nets()["three layers"][1]])
    return study


def main(side: str, folder: str, images: str, epochs: str, pixels: str) -> None:
    task = Task(folder, int(images), int(epochs), pixels)
    if side == "plain":
        fit(task)
        return
    with ForkServer() as server:
        train_ours(task, server)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What a good practitioner has of a folder of photographs in thirty lines of Keras: the figures to beat.

Result, hardware, versions: results/plain_keras.json. Three nets, each trained for a fixed number of epochs on all
training images, in batches of 32, and scored once on the test images at the end:

    three convolutions   from scratch: rescaling, flips, three convolutions with pooling, a dense layer, Adam
    transfer             a frozen backbone, its pooled features, one dense layer; flips, so that it runs in every epoch
    fine-tuning          the same, and then as many epochs again in which all of it trains at a hundredth of the rate

    python benchmarks/plain_keras.py --data FOLDER [--backbone FILE] [--size 96] [--epochs 20] [--seed 0] [--net NAME]

FOLDER has ``train/<class>/`` and ``test/<class>/``; without a backbone the last two nets are left out. Minutes are
those of reading, building and training, without the import of Keras and without the test. FLOPs are those of the
training, by ``search.training.model_flops``: three forward passes for what is trained, one for what is frozen.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from record import make_parser, print_table, write_result

BATCH = 32


class Task(NamedTuple):
    """What all nets do: the folder, the backbone's file, the side of the images in pixels, the epochs, the classes."""

    data: Path
    backbone: Path | None
    size: int
    epochs: int
    classes: int


class Trained(NamedTuple):
    """A trained net, and the floating-point operations of its training for each of the training images."""

    model: Any
    flops: float


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--backbone", type=Path, help="a .keras file without a head, from RGB pixels (0 to 255)"
    )
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--net", action="append", choices=NETS, help="repeatable (default: all that can be)")
    asked = parser.parse_args(arguments)
    wanted = asked.net or [name for name in NETS if asked.backbone or name == "three convolutions"]
    if lacking := next(
        (name for name in wanted if name != "three convolutions" and not asked.backbone), None
    ):
        parser.error(f"--net {lacking}: needs --backbone FILE")
    task = task_of(asked.data, asked.backbone, asked.size, asked.epochs)
    found = {name: measure(NETS[name], task, asked.seed) for name in wanted}
    settings = {"data": asked.data.name, "size": asked.size, "epochs": asked.epochs, "seed": asked.seed}
    path = write_result("plain_keras", {"settings": settings, "nets": found}, asked.out)
    rows = [
        [name, f"{100 * one['test_accuracy']:.1f} %", f"{one['minutes']:.2f}", f"{one['flops'] / 1e12:.2f}"]
        for name, one in found.items()
    ]
    print_table(["net", "test", "minutes", "TFLOP"], rows)
    print(path)


def task_of(data: Path, backbone: Path | None, size: int, epochs: int) -> Task:
    """The task of a folder, whose classes are counted."""
    return Task(data, backbone, size, epochs, sum(folder.is_dir() for folder in (data / "train").glob("*")))


def measure(net: Callable[[Any, Task], Trained], task: Task, seed: int) -> dict[str, Any]:
    """Train one net and score it."""
    import keras

    keras.utils.set_random_seed(seed)
    began = time.monotonic()
    images = load(task, "train", shuffle=True)
    trained = net(images, task)
    return scored(trained, images, task, (time.monotonic() - began) / 60)


def scored(trained: Trained, images: Any, task: Task, minutes: float) -> dict[str, Any]:
    """What a trained net makes of the test images, and what it took."""
    loss, accuracy = trained.model.evaluate(load(task, "test", shuffle=False), verbose=0)
    return {
        "test_accuracy": round(float(accuracy), 4),
        "test_loss": round(float(loss), 4),
        "minutes": round(minutes, 3),
        "flops": trained.flops * sum(len(labels) for _, labels in images),
    }


def load(task: Task, part: str, *, shuffle: bool) -> Any:
    """Batches of images ``(N, H, W, 3)``, float32, 0 to 255, and of class numbers, decoded once and kept in memory."""
    import keras

    # Not in batches yet: these are other ones in each epoch.
    found = keras.utils.image_dataset_from_directory(
        task.data / part, image_size=(task.size, task.size), batch_size=None, shuffle=False, verbose=False
    ).cache()
    if shuffle:
        found = found.shuffle(10_000)
    return found.batch(BATCH).prefetch(2)


def three_convolutions(images: Any, task: Task) -> Trained:
    import keras
    from keras import layers

    from search.training.model_flops import forward_flops

    model = keras.Sequential(
        [
            keras.Input((task.size, task.size, 3)),
            layers.Rescaling(1 / 255),
            layers.RandomFlip("horizontal"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(128, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(128, activation="relu"),
            layers.Dense(task.classes),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    model.fit(images, epochs=task.epochs, shuffle=False, verbose=0)  # They are shuffled.
    return Trained(model, 3.0 * forward_flops(model) * task.epochs)


def transfer(images: Any, task: Task) -> Trained:
    import keras
    from keras import layers

    from search.training.model_flops import forward_flops

    backbone = keras.models.load_model(task.backbone)
    backbone.trainable = False
    inputs = keras.Input((task.size, task.size, 3))
    # Not in training, whatever is frozen: its batch normalisation keeps the statistics of ImageNet.
    x = backbone(layers.RandomFlip("horizontal")(inputs), training=False)
    x = layers.GlobalAveragePooling2D()(x) if len(x.shape) == 4 else x
    outputs = layers.Dense(task.classes)(layers.Dropout(0.2)(x))
    model = keras.Model(inputs, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss=loss, metrics=["accuracy"])
    model.fit(images, epochs=task.epochs, shuffle=False, verbose=0)  # They are shuffled.
    return Trained(model, 1.0 * forward_flops(model) * task.epochs)


def fine_tuning(images: Any, task: Task) -> Trained:
    return tuned(transfer(images, task), images, task)


def tuned(trained: Trained, images: Any, task: Task) -> Trained:
    import keras

    model, flops = trained
    model.trainable = True
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-5), loss=loss, metrics=["accuracy"])
    model.fit(images, epochs=task.epochs, shuffle=False, verbose=0)  # They are shuffled.
    return Trained(model, flops + 3 * flops)


NETS = {"three convolutions": three_convolutions, "transfer": transfer, "fine-tuning": fine_tuning}


if __name__ == "__main__":
    main()

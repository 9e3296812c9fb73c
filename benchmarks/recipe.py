"""Which recipe around the default net: the same net, images and FLOPs, one thing changed at a time.

Result, hardware, versions: results/recipe.json. One run a variant, and the recipe itself once more with another seed,
which says how large the noise is: a variant within it is no reason to change the recipe. ``seconds`` is the whole
training, process, net and validation included.

    python benchmarks/recipe.py --data FOLDER_OF_CIFAR10 [--images 10000] [--epochs 8] [--only NAME ...]
"""

import dataclasses
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from record import make_parser, write_result

import spaces
from search.data import Dataset
from search.data.preparation import prepare
from search.process.fork_server import ForkServer
from search.training.plan import TrainingPlan
from spaces.contract import InputSpec
from spaces.recipe import Recipe

VARIANTS: dict[str, dict[str, object]] = {
    "recipe": {},
    "recipe, seed 1": {},
    "Adam 0.003, decay 0.05": {"optimizer": "adam", "learning_rate": 0.003, "weight_decay": 0.05},
    "averaged weights 0.99": {"ema": 0.99},
    "cosine without warm-up": {"schedule": "cosine"},
    "constant rate": {"schedule": "constant"},
    "batch 128": {"batch_size": 128, "learning_rate": 0.15},
    "batch 32": {"batch_size": 32, "learning_rate": 0.0375},
    "no label smoothing": {"label_smoothing": 0.0},
    "label smoothing 0.2": {"label_smoothing": 0.2},
    "momentum 0.9": {"momentum": 0.9, "learning_rate": 0.05},
    "no augmentation": {"augmentation": 0.0},
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), choices=VARIANTS, metavar="NAME")
    asked = parser.parse_args(arguments)
    dataset, found = prepare(asked.data), {}
    with ForkServer() as server:
        for name in asked.only:
            found[name] = train(server, plan_of(dataset, name, asked.images, asked.epochs))
            print(f"{name:28} {found[name]}", flush=True)
    settings = {"images": asked.images, "epochs": asked.epochs}
    print(write_result("recipe", {"settings": settings, "validation": found}, asked.out))


def plan_of(dataset: Dataset, name: str, images: int, epochs: int) -> TrainingPlan:
    """The training of one variant, with the default net."""
    spec = InputSpec(dataset.height, dataset.width, dataset.channels, len(dataset.classes))
    space = spaces.load("cnn")
    params = space.first(spec)[0]
    return TrainingPlan(
        space="cnn",
        params=params,
        recipe=changed(space.recipe(params, spec), name),
        input_spec=spec,
        dataset=str(dataset.folder),
        validation=0.1,
        images=images,
        split_seed=0,
        seed=1 if name.endswith("seed 1") else 0,
        epochs=epochs,
    )


def changed(own: Recipe, name: str) -> Recipe:
    """The recipe as the variant has it."""
    return dataclasses.replace(own, **VARIANTS[name])  # type: ignore[arg-type]


def train(server: ForkServer, plan: TrainingPlan) -> dict[str, Any]:
    """Train to the end: validation accuracy and loss of the last epoch, epochs, seconds of it all."""
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        server.start("search.training.job:train", plan.to_payload(), Path(folder) / "log.txt") as child,
    ):
        while (message := child.result())["kind"] != "done":
            if message["kind"] == "epoch":
                child.send({"go": True})
    history = message["history"]
    return {
        "accuracy": round(history["val_accuracy"][-1], 4),
        "loss": round(history["val_loss"][-1], 4),
        "epochs": message["epochs"],
        "seconds": round(time.monotonic() - started),
    }


if __name__ == "__main__":
    main()

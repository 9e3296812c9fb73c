"""Which recipe around the default net: the same net, images and FLOPs, one thing changed at a time.

Result, hardware, versions: benchmarks/results/recipe.json. One run a variant, two seeds for the recipe
itself, which say how large the noise is: a variant within it is no reason to change the recipe.

    python benchmarks/recipe.py --data FOLDER_OF_CIFAR10 [--images 10000] [--epochs 8] [--only NAME ...]
"""

import argparse
import dataclasses
import json
import platform
import tempfile
import time
from pathlib import Path

import spaces
from search.child import ForkServer
from search.data import prepare
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--only", nargs="*", default=list(VARIANTS))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/recipe.json"))
    asked = parser.parse_args()
    dataset = prepare(asked.data)
    spec = InputSpec(dataset.height, dataset.width, dataset.channels, len(dataset.classes))
    space = spaces.load("cnn")
    params = space.first(spec)[0]
    own = space.recipe(params, spec)
    found = {}
    with tempfile.TemporaryDirectory() as folder, ForkServer() as server:
        for name in asked.only:
            plan = TrainingPlan(
                "cnn", params, _changed(own, name), spec, str(dataset.folder), 0.1, asked.images, 0,
                seed=1 if name.endswith("seed 1") else 0, epochs=asked.epochs,
            )  # fmt: skip
            found[name] = _train(server, plan, Path(folder) / "log.txt")
            print(f"{name:28} {found[name]}", flush=True)
    machine = {"python": platform.python_version(), "images": asked.images, "epochs": asked.epochs}
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps({**machine, "validation_accuracy": found}, indent=2) + "\n")


def _changed(own: Recipe, name: str) -> Recipe:
    return dataclasses.replace(own, **VARIANTS[name])  # type: ignore[arg-type]


def _train(server: ForkServer, plan: TrainingPlan, log: Path) -> dict[str, float]:
    started = time.monotonic()
    with server.start("search.training.job:train", plan.to_payload(), log) as child:
        while True:
            message = child.result()
            if message["kind"] == "done":
                history = message["history"]
                return {
                    "accuracy": round(history["val_accuracy"][-1], 4),
                    "loss": round(history["val_loss"][-1], 4),
                    "seconds": round(time.monotonic() - started),
                }
            if message["kind"] == "epoch":
                child.send({"go": True})


if __name__ == "__main__":
    main()

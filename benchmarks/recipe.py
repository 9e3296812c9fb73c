"""Which recipe around the default net: equal images and FLOPs, one thing changed at a time, several seeds.

Result, hardware, versions: results/recipe.json; a variant and seed that is there already is not trained again. The
difference from the recipe is the mean over the seeds, paired, with its standard error: a variant within two of these is
no reason to change the recipe. ``seconds`` is the whole training, process, net and validation included, which is how an
optimizer that computes more a step is judged.

    python benchmarks/recipe.py --data FOLDER_OF_CIFAR10 [--length 10TFLOP] [--seeds 3] [--only NAME ...]
"""

import dataclasses
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from record import make_parser, print_table, write_result

import spaces
from search.cli.parsing import parse_compute
from search.data import Dataset
from search.data.preparation import prepare
from search.process.fork_server import ForkServer
from search.study.length import PARTS, set_length
from search.training.plan import TrainingPlan
from spaces.contract import InputSpec

# What is changed of the params, or of what the space's recipe makes of them.
VARIANTS: dict[str, dict[str, object]] = {
    "recipe": {},
    "SGD 0.3": {"optimizer": "sgd"},
    "SGD 0.075, batch 64": {"optimizer": "sgd", "learning_rate": 0.075, "batch_size": 64, "most_steps": 0},
    "Adam 0.003, decay 0.05": {"optimizer": "adam", "learning_rate": 0.003, "weight_decay": 0.05},
    "rate halved": {"rate": 0.5},
    "rate doubled": {"rate": 2.0},
    "half the batch": {"steps": 100},
    "twice the batch": {"steps": 25},
    "decay 0.01": {"weight_decay": 0.01},
    "no label smoothing": {"label_smoothing": 0.0},
    "label smoothing 0.2": {"label_smoothing": 0.2},
    "half the augmentation": {"augmentation": 0.5},
    "augmentation 1.5": {"augmentation": 1.5},
    "no dropout": {"dropout": 0.0},
    "dropout 0.3": {"dropout": 0.3},
    "dense width 512": {"dense_width": 512},
    "filters 20": {"filters": 20},
    "filters 48": {"filters": 48},
    "filters 64": {"filters": 64},
    "filters 80": {"filters": 80},
    "filters 96": {"filters": 96},
    "averaged weights 0.95": {"ema": 0.95},
    "cosine": {"schedule": "cosine"},
    "one view": {"both_views": False},
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--length", default="10TFLOP", help="of a training (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), choices=VARIANTS, metavar="NAME")
    asked = parser.parse_args(arguments)
    dataset = prepare(asked.data)
    settings = {"images": asked.images, "length": parse_compute("--length", asked.length)}
    found = found_before(asked.out / "recipe.json", settings)
    with ForkServer() as server:
        for seed in range(asked.seeds):
            for name in asked.only:
                runs = found.setdefault(name, {})
                if str(seed) not in runs:
                    runs[str(seed)] = train(server, plan_of(dataset, name, seed, **settings))
                    write_result("recipe", {"settings": settings, "validation": found}, asked.out)
                    print(f"{name:24} seed {seed}: {runs[str(seed)]}", flush=True)
    show(found)


def found_before(path: Path, settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What an earlier command with the same settings has measured."""
    if not path.exists():
        return {}
    earlier = json.loads(path.read_text(encoding="utf-8"))
    return dict(earlier["validation"]) if earlier.get("settings") == settings else {}


def plan_of(dataset: Dataset, name: str, seed: int, images: int, length: float) -> TrainingPlan:
    """The training of one variant, with the default net."""
    spec = InputSpec(dataset.height, dataset.width, dataset.channels, len(dataset.classes))
    space = spaces.load("cnn")
    default = space.first(spec)[0]
    changes = VARIANTS[name]
    params = {**default, **{key: value for key, value in changes.items() if key in default}}
    recipe = {key: value for key, value in changes.items() if key not in default}
    plan = TrainingPlan(
        space="cnn",
        params=params,
        recipe=dataclasses.replace(space.recipe(params, spec), **recipe),  # type: ignore[arg-type]
        input_spec=spec,
        dataset=str(dataset.folder),
        validation=0.1,
        images=images,
        split_seed=0,
        seed=seed,
        epochs=PARTS,
    )
    return set_length(plan, length, space.cost(params, spec).flops, images)


def train(server: ForkServer, plan: TrainingPlan) -> dict[str, Any]:
    """Train to the end: validation accuracy and loss of the last weights, what each eighth scored, seconds of all."""
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
        "curve": [round(value, 4) for value in history["val_accuracy"]],
        "steps": plan.steps,
        "seconds": round(time.monotonic() - started),
    }


def show(found: Mapping[str, Mapping[str, Any]]) -> None:
    """A line a variant: the means over its seeds, and its difference from the recipe on the seeds of both."""
    own, rows = found.get("recipe", {}), []
    for name, runs in found.items():
        means = {
            key: statistics.mean(run[key] for run in runs.values()) for key in ("accuracy", "loss", "seconds")
        }
        gained = [100 * (runs[seed]["accuracy"] - own[seed]["accuracy"]) for seed in runs if seed in own]
        error = statistics.stdev(gained) / len(gained) ** 0.5 if len(gained) > 1 else None
        difference = f"{statistics.mean(gained):+.2f}" if gained else ""
        noise = "" if error is None else f"{error:.2f}"
        row = (
            f"{means['accuracy']:.2%}",
            difference,
            noise,
            f"{means['loss']:.3f}",
            f"{means['seconds']:.0f}",
        )
        rows.append((name, len(runs), *row))
    print_table(("variant", "seeds", "accuracy", "points", "error", "loss", "seconds"), rows)


if __name__ == "__main__":
    main()

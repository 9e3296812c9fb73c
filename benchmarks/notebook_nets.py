"""The notebook's two nets at their own settings against our default configuration: as much time for each.

Result, hardware, versions: benchmarks/results/notebook_nets.json, .png; one run each, one after the other.

    python benchmarks/notebook_nets.py --data FOLDER_OF_CIFAR10 [--minutes 15]

All train on the same 45,000 images and are validated after every epoch on the same 5,000, in our way (memory-mapped
images, our trial's child): only net and recipe differ. The nets of the notebook train as it says (Adam, batches of 64,
a constant rate, no augmentation) and are cut off. The schedule of ours must be as long as its training, so its epochs
are counted out from the second of two epochs, trained beforehand and outside its time.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from record import RESULTS, commit, print_table, write_result

import spaces
from search.child import ForkServer
from search.data import Dataset, prepare
from search.training.plan import TrainingPlan
from spaces.contract import InputSpec
from spaces.notebook_nets import notebook_nets

VALIDATION = 0.1
OURS = "our default"
LONGEST = 10_000

Curve = list[tuple[float, float]]  # Seconds since the start, and validation accuracy.


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--minutes", type=float, default=15.0)
    asked = parser.parse_args()
    dataset, seconds = prepare(asked.data), 60 * asked.minutes
    plans = {
        f"notebook: {name}": plan_of(dataset, "cnn_wide", notebook_nets()[name][1], LONGEST)
        for name in ("one layer", "three layers")
    }
    default = spaces.load("cnn").first(spec_of(dataset))[0]
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder, ForkServer() as server:
        log = Path(folder) / "log.txt"
        _, warm = train(server, plan_of(dataset, "cnn", default, 2), log, seconds)
        an_epoch = warm[1][0] - warm[0][0]
        # What comes before the second epoch's end is spent once; all later epochs are like it.
        epochs = max(2, int(2 + (seconds - warm[1][0]) / an_epoch))
        plans[OURS] = plan_of(dataset, "cnn", default, epochs)
        for name, plan in plans.items():
            facts, curve = train(server, plan, log, seconds)
            best = max(accuracy for _, accuracy in curve)
            found[name] = {**facts, "epochs": len(curve), "best": best, "last": curve[-1][1], "curve": curve}
            print(f"{name}: {len(curve)} epochs, best {best:.4f}, last {curve[-1][1]:.4f}", flush=True)
    draw(RESULTS / "notebook_nets.png", found, asked.minutes)
    write_result("notebook_nets", {"code": commit(), "minutes": asked.minutes, "nets": found})
    rows = [
        [name, one["epochs"], f"{one['best']:.4f}", f"{one['last']:.4f}", f"{one['curve'][-1][0]:.0f}"]
        for name, one in found.items()
    ]
    print_table(["net", "epochs", "best validation", "last", "seconds"], rows)


def spec_of(dataset: Dataset) -> InputSpec:
    return InputSpec(dataset.height, dataset.width, dataset.channels, len(dataset.classes))


def plan_of(dataset: Dataset, space: str, params: Mapping[str, Any], epochs: int) -> TrainingPlan:
    spec, module = spec_of(dataset), spaces.load(space)
    return TrainingPlan(
        space=space,
        params=module.sample(optuna.trial.FixedTrial(dict(params)), spec),
        recipe=module.recipe(params, spec),
        input_spec=spec,
        dataset=str(dataset.folder),
        validation=VALIDATION,
        images=None,
        split_seed=0,
        seed=0,
        epochs=epochs,
    )


def train(server: ForkServer, plan: TrainingPlan, log: Path, seconds: float) -> tuple[dict[str, Any], Curve]:
    """Train until ``seconds`` are over; an epoch that ends later does not count."""
    started = time.monotonic()
    curve: Curve = []
    with server.start("search.training.job:train", plan.to_payload(), log) as child:
        while True:
            message = child.receive(max(0.1, started + seconds - time.monotonic()))
            if message is None:
                child.kill()  # Its time is over.
                break
            if message["kind"] == "error":
                raise RuntimeError(message["message"])
            if message["kind"] == "done":
                break
            if message["kind"] == "epoch":
                now = time.monotonic() - started
                if now <= seconds:
                    curve.append((round(now, 2), message["val_accuracy"]))
                child.send({"go": now <= seconds})
    return {"images": 45_000, "planned_epochs": plan.epochs}, curve


def draw(path: Path, found: Mapping[str, Mapping[str, Any]], minutes: float) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(8, 4.8), dpi=130, layout="constrained")
    axes = figure.subplots()
    for (name, one), colour in zip(found.items(), ("#7a7a7a", "#1f77b4", "#d95f02"), strict=True):
        times = [at / 60 for at, _ in one["curve"]]
        axes.plot(times, [accuracy for _, accuracy in one["curve"]], label=name, color=colour, linewidth=2)
    axes.set_xlim(0, minutes)
    axes.set_xlabel("minutes of training, the start included")
    axes.set_ylabel("validation accuracy")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right")
    axes.set_title("CIFAR-10, as much time for each", fontsize=11)
    figure.savefig(path)


if __name__ == "__main__":
    main()

"""The notebook's two nets at their own settings against our default configuration: as much time for each.

Result, hardware, versions: results/notebook_nets.json, .png; one run each, one after the other.

    python benchmarks/notebook_nets.py --data FOLDER_OF_CIFAR10 [--minutes 15] [--images N]

All train on the same images (45,000 of CIFAR-10) and are validated after every epoch on the same others (5,000), in
our way (memory-mapped images, our trial's child): only net and recipe differ. The nets of the notebook train as it says
(Adam, batches of 64, a constant rate, no augmentation) and are cut off. The schedule of ours must be as long as its
training, so its epochs are counted out from the second of two epochs, trained beforehand and outside its time.
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from record import make_parser, print_table, write_result

import spaces
from search.data import Dataset
from search.data.preparation import prepare
from search.process.fork_server import ForkServer
from search.training.plan import TrainingPlan
from spaces.contract import InputSpec
from spaces.notebook_nets import notebook_nets

VALIDATION = 0.1
OURS = "our default"
LONGEST = 10_000
COLOURS = ("#7a7a7a", "#1f77b4", "#d95f02")

Curve = list[tuple[float, float]]  # Seconds since the start, and validation accuracy.


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--images", type=int, help="train on so many (default: all but those validated on)")
    asked = parser.parse_args(arguments)
    dataset, seconds = prepare(asked.data), 60 * asked.minutes
    plans = {
        f"notebook: {name}": plan_of(dataset, "cnn_wide", notebook_nets()[name][1], LONGEST, asked.images)
        for name in ("one layer", "three layers")
    }
    default = spaces.load("cnn").first(spec_of(dataset))[0]
    found: dict[str, dict[str, Any]] = {}
    with ForkServer() as server:
        warm = train(server, plan_of(dataset, "cnn", default, 2, asked.images), seconds)["curve"]
        plans[OURS] = plan_of(dataset, "cnn", default, epochs_within(seconds, warm), asked.images)
        for name, plan in plans.items():
            found[name] = train(server, plan, seconds)
            one = found[name]
            print(
                f"{name}: {one['epochs']} epochs, best {one['best']:.4f}, last {one['last']:.4f}", flush=True
            )
    path = write_result("notebook_nets", {"minutes": asked.minutes, "nets": found}, asked.out)
    draw(path.with_suffix(".png"), found, asked.minutes)
    rows = [
        [name, one["epochs"], f"{one['best']:.4f}", f"{one['last']:.4f}", f"{one['curve'][-1][0]:.0f}"]
        for name, one in found.items()
    ]
    print_table(["net", "epochs", "best validation", "last", "seconds"], rows)


def epochs_within(seconds: float, warm: Curve) -> int:
    """How many epochs of ours end in so many seconds, by a training of two.

    What comes before the second epoch's end is spent once; all later epochs take as long as the second. So with the
    first two over after 10 and 16 s, 40 s are enough for two epochs and four more.

    Raises:
        SystemExit: Not even two are.
    """
    if len(warm) < 2:
        raise SystemExit(f"error: two epochs take longer than {seconds:.0f} s; allow more --minutes")
    (first, _), (second, _) = warm
    return int(2 + (seconds - second) / (second - first))


def spec_of(dataset: Dataset) -> InputSpec:
    return InputSpec(dataset.height, dataset.width, dataset.channels, len(dataset.classes))


def plan_of(
    dataset: Dataset, space: str, params: Mapping[str, Any], epochs: int, images: int | None
) -> TrainingPlan:
    """A training as a trial's, in full length where nobody cuts it off."""
    spec, module = spec_of(dataset), spaces.load(space)
    return TrainingPlan(
        space=space,
        params=module.sample(optuna.trial.FixedTrial(dict(params)), spec),
        recipe=module.recipe(params, spec),
        input_spec=spec,
        dataset=str(dataset.folder),
        validation=VALIDATION,
        images=images,
        split_seed=0,
        seed=0,
        epochs=epochs,
    )


def train(server: ForkServer, plan: TrainingPlan, seconds: float) -> dict[str, Any]:
    """Train until ``seconds`` are over; an epoch that ends later does not count.

    Raises:
        SystemExit: None has ended by then.
    """
    started = time.monotonic()
    curve: Curve = []
    images = 0
    with (
        tempfile.TemporaryDirectory() as folder,
        server.start("search.training.job:train", plan.to_payload(), Path(folder) / "log.txt") as child,
    ):
        while (left := started + seconds - time.monotonic()) > 0:
            message = child.receive(left)
            if message is None or message["kind"] == "done":
                break
            if message["kind"] == "error":
                raise RuntimeError(message["message"])
            if message["kind"] == "built":
                images = message["training_images"]
            elif message["kind"] == "epoch":
                curve.append((round(time.monotonic() - started, 2), message["val_accuracy"]))
                child.send({"go": True})
        child.kill()  # Its time is over, or it is done.
    if not curve:
        raise SystemExit(f"error: no epoch ends within {seconds:.0f} s; allow more --minutes")
    accuracies = [accuracy for _, accuracy in curve]
    return {
        "images": images,
        "planned_epochs": plan.epochs,
        "epochs": len(curve),
        "best": max(accuracies),
        "last": accuracies[-1],
        "curve": curve,
    }


def draw(path: Path, found: Mapping[str, Mapping[str, Any]], minutes: float) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(8, 4.8), dpi=130, layout="constrained")
    axes = figure.subplots()
    for (name, one), colour in zip(found.items(), COLOURS, strict=True):
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

"""What more passes over few images are worth: the default net of a space, trained for longer on the same images.

Result, hardware, versions: results/passes.json; a training that is there already is not made again. A seed draws a
tenth of all images to validate on, then those to train on, and is that of the training, too. A table gives the mean
accuracy for each number of images and passes, and what passes gain over the fewest, paired by the seeds, with its
standard error.

    python benchmarks/passes.py --data FOLDER_OF_CIFAR10 [--size 32] [--images 200 1000] [--passes 20 80] [--seeds 3]
"""

import json
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from recipe import train
from record import make_parser, print_table, write_result

import spaces
from search.data import Dataset
from search.data.preparation import prepare
from search.process.fork_server import ForkServer
from search.study.length import PARTS, set_length
from search.training.plan import TrainingPlan
from spaces.contract import InputSpec


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--size", type=int, default=32, help="side of the images (default: %(default)s)")
    parser.add_argument("--space", default="photo_cnn")
    parser.add_argument("--images", type=int, nargs="+", default=[200, 1000])
    parser.add_argument("--passes", type=int, nargs="+", default=[20, 80])
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args(arguments)
    dataset = prepare(asked.data, image_size=asked.size)
    path, settings = asked.out / "passes.json", {"space": asked.space, "data": dataset.fingerprint}
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    found: dict[str, Any] = earlier["trainings"] if earlier.get("settings") == settings else {}
    with ForkServer() as server:
        for seed in range(asked.seeds):
            for images in asked.images:
                for passes in asked.passes:
                    if (name := f"{images} {passes} {seed}") not in found:
                        found[name] = train(server, plan_of(dataset, asked.space, images, passes, seed))
                        path = write_result("passes", {"settings": settings, "trainings": found}, asked.out)
                        print(f"{images} images, {passes} passes, seed {seed}: {found[name]}", flush=True)
    print_table(("images", "passes", "seeds", "accuracy", "points", "error"), rows_of(found))


def plan_of(dataset: Dataset, name: str, images: int, passes: int, seed: int) -> TrainingPlan:
    """The training of a space's default net for so many passes over so many images."""
    spec = InputSpec(dataset.height, dataset.width, dataset.channels, len(dataset.classes))
    space = spaces.load(name)
    params = space.first(spec)[0]
    flops = space.cost(params, spec).flops
    plan = TrainingPlan(
        space=name,
        params=params,
        recipe=space.recipe(params, spec),
        input_spec=spec,
        dataset=str(dataset.folder),
        validation=0.1,
        images=images,
        split_seed=seed,
        seed=seed,
        epochs=PARTS,
    )
    return set_length(plan, 3 * flops * passes * images, flops, images)


def rows_of(found: Mapping[str, Mapping[str, Any]]) -> list[tuple[object, ...]]:
    """A row for each number of images and passes: the mean, and its difference from the fewest passes."""
    accuracies: dict[int, dict[int, dict[int, float]]] = {}
    for name, run in found.items():
        images, passes, seed = map(int, name.split())
        accuracies.setdefault(images, {}).setdefault(passes, {})[seed] = run["accuracy"]
    rows: list[tuple[object, ...]] = []
    for images, lengths in sorted(accuracies.items()):
        fewest = lengths[min(lengths)]
        for passes, runs in sorted(lengths.items()):
            gains = [100 * (runs[seed] - fewest[seed]) for seed in runs if seed in fewest]
            points = f"{fmean(gains):+.2f}" if gains and runs is not fewest else ""
            error = f"{stdev(gains) / len(gains) ** 0.5:.2f}" if len(gains) > 1 and points else ""
            rows.append((images, passes, len(runs), f"{fmean(runs.values()):.2%}", points, error))
    return rows


if __name__ == "__main__":
    main()

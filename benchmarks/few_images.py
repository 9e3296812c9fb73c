"""Few images and a small whole: what does a search in folds come to, and one with a part held out?

Results: results/few_images.csv, a row a search, and their means results/few_images.json. Each search is the product's,
by ``--preset folder_cnn`` on so many training images of a data set, from nothing to the export, and is given another
fifth of the set's training images as its test images. A seed draws both, and is that of the study. Its budget covers
all of it, so that a faster machine gives the same answer. Rows are appended, and the same command goes on where it
ended.

    python benchmarks/few_images.py --data FOLDER_OF_CIFAR10 [--images 1000] [--budgets 5.4TFLOP 10TFLOP] [--seeds 2]
"""

import argparse
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from record import append_row, commit, make_parser, read_rows, write_result

from search.cli.parsing import parse_compute
from search.config.settings import RunOptions
from search.data import split
from search.data.preparation import prepare
from search.workflows.run import search_and_export

SCORED = 0.2
WAYS: dict[str, dict[str, Any]] = {"folds": {"folds": 3}, "held out": {"validation": 0.2}}


def main(arguments: Sequence[str] | None = None) -> None:
    asked = _parse(arguments)
    table = asked.out / "few_images.csv"
    there = {(row["images"], row["budget"], row["way"], row["seed"]) for row in read_rows(table)}
    for seed in range(asked.seeds):
        for budget in asked.budgets:
            for way in WAYS:
                if (str(asked.images), budget, way, str(seed)) not in there:
                    row = search(asked, budget, way, seed)
                    append_row(table, row)
                    print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    path = write_result("few_images", {"means": means(read_rows(table))}, asked.out)
    print(path.read_text(encoding="utf-8"))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--size", type=int, default=32, help="side of the images (default: %(default)s)")
    parser.add_argument("--images", type=int, default=1000, help="to search with (default: %(default)s)")
    parser.add_argument("--budgets", nargs="+", default=["5.4TFLOP", "10TFLOP"])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("studies/few_images"))
    return parser.parse_args(arguments)


def search(asked: argparse.Namespace, budget: str, way: str, seed: int) -> dict[str, Any]:
    """One whole search: what its export scores, and what it consisted of."""
    place = asked.work / f"{asked.images}-{budget}-{way.replace(' ', '_')}-{seed}"
    dataset = prepare(asked.data, image_size=asked.size)
    images, labels = dataset.train()
    parts = split(labels, SCORED, asked.images, seed, rule=dataset.rule())
    given, scored = parts.train, parts.validation
    about: dict[str, Any] = {
        "data": (images[given], labels[given], images[scored], labels[scored]),
        "preset": "folder_cnn", "image_size": asked.size, "seed": seed, "budget": parse_compute("--budgets", budget),
        "trials": 100_000, "root": place / "studies", "cache": place / "cache", "out": place / "export", **WAYS[way],
    }  # fmt: skip
    result = search_and_export(RunOptions.given("few", **about))
    if result.export is None:
        raise SystemExit(f"error: {result.stopped or result.none_complete}; the same command goes on")
    summary = result.export.summary
    shutil.rmtree(place / "cache", ignore_errors=True)
    return {
        "images": asked.images,
        "budget": budget,
        "way": way,
        "seed": seed,
        "commit": commit(),
        "accuracy": summary["test_accuracy"],
        "scored_on": len(scored),
        "trials": len(result.study.finished()),
        "exported_trial": summary["trial"],
        "compute.final": summary["training_flops"],
        "compute.race": (summary.get("confirm") or {}).get("compute", 0.0),
    }


def means(rows: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """For each number of images and budget the mean accuracy of both ways, of the seeds that both have."""
    found: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    for row in rows:
        ways = found.setdefault((row["images"], row["budget"]), {})
        ways.setdefault(row["way"], {})[row["seed"]] = float(row["accuracy"])
    entries = []
    for (images, budget), ways in found.items():
        seeds = set.intersection(*(set(ways.get(way, ())) for way in WAYS))
        if seeds:
            of_ways = {way: fmean(ways[way][seed] for seed in seeds) for way in WAYS}
            entries.append({"images": int(images), "budget": budget, "seeds": len(seeds), **of_ways})
    return entries


if __name__ == "__main__":
    main()

"""Does a search pay at equal compute, on data that nobody tuned for? Whole searches against the default configuration.

Results: results/pays.csv, a row a repetition, and its summary results/pays.json and .md.

A repetition is a whole search by the product, from nothing to the export, with a seed and a split of its own: a part of
the training images of a set is given to it as its test images, so that they are sealed until the export and its ledger
counts how often they are scored. The set's own test images are not opened. A row has the accuracies, on that part, of

- ``exported``: what the search exports, its final training on all images that it was given;
- ``raw``: what it would have exported if it never fell back to the default: the best mean of its race, or, without one,
  the best trial;
- ``default``: the default configuration, trained as long (in FLOPs) on the same images. Where the search exports the
  default that is the same net, and the difference is 0;
- ``default_all``: the default given all that search, race and final training have taken. With the FLOPs x, x/2 and x/4
  it is trained on four fifths of the images, and the length that validates best on the fifth is trained on all; x is so
  long that the four together take no more than the search did;
- ``random``: what a random search exports, all else being the same.

Each has its FLOPs, validation included, and its seconds: of ``exported`` and ``random`` on the clock from the start to
the export, of the others their trainings'. Rows are appended, and the same command goes on where it ended, also within
a search (in ``--work``, by the state of the code). Without ``--sets`` the rows that are there are summarised.

    python benchmarks/pays.py --sets digits cifar10=FOLDER cifar10_few=FOLDER fashion=fashion_mnist \
        fashion_few=fashion_mnist fashion_fifty=fashion_mnist ants_bees=FOLDER clothing=FOLDER \
        clothing_backbone=FOLDER --backbone FILE.keras --repetitions 3
"""

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from default_lengths import train_longest
from pays_summary import as_markdown, summarise
from record import append_row, commit, make_parser, once, read_rows, write_result

from search.config.settings import ExportOptions, RunOptions
from search.data import split
from search.data.preparation import prepare
from search.errors import InputError, StudyStopped
from search.presets import PRESETS
from search.process.fork_server import ForkServer
from search.study.compute import compute_of
from search.study.finding import load_study
from search.study.study import LoadedStudy
from search.workflows.export import make_export
from search.workflows.run import search_and_export

FIRST_SEED = 1000  # Far from the splits of studies, whose seeds people choose small.
MANY = 100_000


@dataclass(frozen=True)
class Task:
    """What is searched, as a user would.

    Attributes:
        preset: The named settings.
        outer: The part of the training images that is scored on.
        images: Images that the search is given of the others; None for all.
        size: The side of the images in pixels; None for the preset's.
        options: What differs from the preset, as ``run_study`` takes it.
        over_backbone: Whether its nets are heads over ``--backbone``.
    """

    preset: str
    outer: float = 0.3
    images: int | None = None
    size: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    over_backbone: bool = False


# Where a budget is said it bounds the search, and no number of trials does; else the number does, or the preset's.
TASKS = {
    "cifar10": Task(
        "cifar_cnn", 0.2, 10_000, options={"images": 2_000, "final": "0.05PFLOP", "budget": 1.75e14}
    ),
    "fashion": Task(
        "cifar_cnn", 0.2, 10_000, size=28, options={"images": 2_000, "final": "0.01PFLOP", "budget": 3.5e13}
    ),
    # So few images that what is left of the set can show a point of difference. Fashion-MNIST (Xiao and others, 2017)
    # is also a package of Debian, dataset-fashion-mnist.
    "cifar10_few": Task("folder_cnn", 0.2, 1_000, size=32, options={"budget": 1e13}),
    "fashion_few": Task("folder_cnn", 0.2, 1_000, size=28, options={"budget": 1e13}),
    # The same with as many trials as people ask for, where ten are what that budget pays.
    "fashion_fifty": Task("folder_cnn", 0.2, 1_000, size=28, options={"trials": 50}),
    "digits": Task("digits_cnn", options={"budget": 5e11}),
    "ants_bees": Task("folder_cnn", size=64, options={"budget": 3e13}),
    "clothing": Task("folder_cnn", size=64, options={"validation": 0.2, "budget": 5e13}),
    "clothing_backbone": Task("folder_transfer", over_backbone=True),
}


def main(arguments: Sequence[str] | None = None) -> None:
    asked = _parse(arguments)
    table = asked.out / "pays.csv"
    there = {(row["set"], row["seed"]) for row in read_rows(table)}
    try:
        for seed in range(FIRST_SEED, FIRST_SEED + asked.repetitions):
            for name, source in asked.sets.items():
                if (name, str(seed)) not in there:
                    backbones = [asked.backbone] if TASKS[name].over_backbone else None
                    place = asked.work / f"{name}-{seed}-{commit()}"
                    row = repetition(TASKS[name], source, seed, place, backbones)
                    append_row(table, {"set": name, "seed": seed, **row})
                    print(", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
        rows = read_rows(table)
        if not rows:
            raise InputError(f"--out {asked.out}: holds no pays.csv yet; expected --sets")
        path = write_result("pays", summarise(rows), asked.out)
    except (InputError, StudyStopped) as error:
        raise SystemExit(f"error: {error}") from None
    path.with_suffix(".md").write_text(as_markdown(json.loads(path.read_text())), encoding="utf-8")
    print(path.with_suffix(".md").read_text(encoding="utf-8"))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = sets_parser(__doc__)
    parser.add_argument("--backbone", help="of clothing_backbone")
    asked = parser.parse_args(arguments)
    asked.sets = sets_of(parser, asked.sets)
    if asked.backbone is None and any(TASKS[name].over_backbone for name in asked.sets):
        parser.error("--sets clothing_backbone: its nets are heads over a backbone; expected --backbone FILE")
    return asked


def sets_parser(about: str | None) -> argparse.ArgumentParser:
    """A command line that asks for repetitions of sets."""
    parser = make_parser(about)
    parser.add_argument("--sets", nargs="*", default=[], metavar="NAME=DATA", help=f"of {', '.join(TASKS)}")
    parser.add_argument("--repetitions", type=int, default=3, help="of each set (default: %(default)s)")
    parser.add_argument("--work", type=Path, default=Path("studies/pays"), help="(default: %(default)s)")
    return parser


def sets_of(parser: argparse.ArgumentParser, asked: Sequence[str]) -> dict[str, str]:
    """The sets that were asked for, each with where its images come from."""
    sets = {name: data or name for name, _, data in (one.partition("=") for one in asked)}
    if unknown := [name for name in sets if name not in TASKS]:
        parser.error(f"--sets {unknown[0]}: no such set; expected some of {', '.join(TASKS)}")
    return sets


def repetition(
    task: Task, source: str, seed: int, place: Path, backbones: Sequence[str] | None
) -> dict[str, Any]:
    """Search and train all that a row compares; what an earlier call has finished is read from ``place``."""
    arrays = deal(task, source, seed)
    about = {**options_of(task, arrays, seed, place), "backbones": backbones}
    if "budget" in about:
        about["trials"] = MANY
    ours = once(place / "ours.json", lambda: search("ours", place, about))
    same = {**about, "sampler": "random", "trials": MANY, "budget": about.get("budget", ours["budget"])}
    random = once(place / "random.json", lambda: search("random", place, same))
    default, raw, longest = once(place / "default.json", lambda: trained_anew(place, ours))["all"]
    sides = {
        "exported": ours, "raw": raw, "default": default, "default_all": longest, "random": random,
    }  # fmt: skip
    shutil.rmtree(place / "cache", ignore_errors=True)
    return {
        "commit": commit(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "images": len(arrays[1]),
        "scored_on": len(arrays[3]),
        "trials": ours["trials"],
        "exported_trial": ours["trial"],
        "raw_trial": ours["raw_trial"],
        "default_all_epochs": longest["epochs"],
        **{name: side["accuracy"] for name, side in sides.items()},
        **{f"compute.{name}": float(side["compute"]) for name, side in sides.items()},
        **{f"seconds.{name}": float(side["seconds"]) for name, side in sides.items()},
        "gflops": ours["compute"] / ours["seconds"] / 1e9,
    }


def options_of(task: Task, arrays: tuple[Any, ...], seed: int, place: Path) -> dict[str, Any]:
    """What a search of a set is asked, whatever bounds it."""
    return {
        **task.options,
        **({"image_size": task.size} if task.size else {}),
        "data": arrays, "preset": task.preset, "seed": seed, "refit": True,
        "root": place / "studies", "cache": place / "cache",
    }  # fmt: skip


def deal(task: Task, source: str, seed: int) -> tuple[Any, ...]:
    """The images and labels that the search is given, and those that are scored on, of the size that it has asked."""
    preset = PRESETS[task.preset]
    dataset = prepare(source, image_size=task.size or preset.image_size, resize=preset.resize or "stretch")
    images, labels = dataset.train()
    parts = split(labels, task.outer, task.images, seed, rule=dataset.rule())
    given, scored = parts.train, parts.validation
    return images[given], labels[given], images[scored], labels[scored]


def search(name: str, place: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """A whole search by the product: what its export scores, and what all of it took."""
    result = search_and_export(RunOptions.given(name, out=place / name, **about))
    if result.export is None:
        raise SystemExit(f"error: {name}: {result.stopped or result.none_complete}; the same command goes on")
    summary, race = result.export.summary, result.export.summary.get("confirm") or {}
    final, searched = of_export(summary), compute_of(result.trials)
    whole = searched + race.get("compute", 0.0) + final["compute"]
    return {
        "accuracy": final["accuracy"],
        "compute": whole,
        # The budget that another search needs for as much: where trials count epochs it is of the trials alone.
        "budget": whole if result.study.config.length else searched,
        "trials": len(result.study.finished()),
        "trial": summary["trial"],
        "raw_trial": raw_trial(summary),
        "final": final,
    }


def of_export(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What an export's final training scores, and what it took."""
    return {
        "accuracy": summary["test_accuracy"],
        "compute": summary["training_flops"],
        "seconds": summary["seconds"],
    }


def raw_trial(summary: Mapping[str, Any]) -> int:
    """The trial that is exported where nothing falls back to the default: of the best mean in the race."""
    left = [
        one
        for one in (summary.get("confirm") or {}).get("configurations", [])
        if one["dropped_after_round"] is None
    ]
    return int(max(left, key=lambda one: one["mean"])["trial"] if left else summary["trial"])


def trained_anew(place: Path, ours: Mapping[str, Any]) -> dict[str, Any]:
    """The default at the final's compute, the raw winner, and the default at several lengths, in this order."""
    loaded = load_study("ours", None, place / "studies")
    default = default_trial(loaded)
    finals = {ours["trial"]: ours["final"]}
    with ForkServer(str(default.user_attrs["backend"])) as server:

        def train(trial: int, name: str, epochs: int | None = None) -> dict[str, Any]:
            options = {"trial": trial, "refit": True, "refit_epochs": epochs, "root": place / "studies"}
            return of_export(
                make_export(ExportOptions.given("ours", out=place / name, server=server, **options)).summary
            )

        for number, name in ((default.number, "default"), (ours["raw_trial"], "raw")):
            if number not in finals:
                finals[number] = train(number, name)
        longest = train_longest(
            loaded,
            default,
            ours["compute"],
            place,
            server,
            lambda epochs: train(default.number, "longest", epochs),
        )
    return {"all": [finals[default.number], finals[ours["raw_trial"]], longest]}


def default_trial(loaded: LoadedStudy) -> Any:
    """The trial of the default configuration, which is the first."""
    first = loaded.optuna.get_trials(deepcopy=False)[0]
    if "fixed_params" not in first.system_attrs or "params" not in first.user_attrs:
        raise InputError(f"study {loaded.config.study}: its trial 0 is not the space's default")
    return first


if __name__ == "__main__":
    main()

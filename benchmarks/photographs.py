"""What a folder of photographs comes to over pretrained nets, beside what a good practitioner makes of it.

Results: results/photographs_*.csv, a row a run, and their summary results/photographs.json. Each run is the command of
a user, ``search.run`` with a study, a folder and backbones, from nothing to the export; its seed is its repetition's.
What it exports is compared, on images that it has not been given, with logistic regression on the features of each
backbone (scikit-learn's, as it comes), with the default configuration (trial 0), and with the trial whose value was the
highest, which was exported before it was asked whether that is luck.

- ``seeds``: the set's own test images, which each run scores once at its end, for ``--repetitions`` seeds; beside it
  the nets of ``plain_keras.py`` over the first backbone. Minutes are of all that each does.
- ``splits``: random outer splits of all images of a set, its own test images among them: a fraction is held out.
- ``few``: 100 to 300 random training images of a set, scored on its other training images; its test images stay closed.
  Beside the accuracies: the cross-entropy at the export's temperature and at the best one for these images, and the
  expected calibration error with what it would be under perfect calibration.

For ``splits`` and ``few`` the features of all images are computed once, and put into the cache where each run looks for
its own. Rows are appended, and the same command goes on where it ended.

    python benchmarks/photographs.py splits --data FOLDER --backbone FILE --backbone FILE --repetitions 20
"""

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import plain_keras
from record import append_row, commit, make_parser, read_rows, write_result

from search.config.settings import ExportOptions, RunOptions
from search.data import Dataset
from search.data.backbones import find_backbones, with_files
from search.data.image_names import read_names
from search.data.preparation import prepare
from search.errors import InputError, StudyStopped
from search.exporting.export import Export
from search.metrics.calibration import best_temperature, calibration_error
from search.metrics.classification import Scores
from search.study.automatic_settings import COMPARED_SIDES
from search.training.feature_cache import VIEWS, Features, features_folder, open_features
from search.workflows.export import make_export
from search.workflows.run import search_and_export
from spaces import transfer
from spaces.contract import Backbone, InputSpec

PARTS = ("seeds", "splits", "few")
HELD_OUT = 0.3
FEW = (100, 300)
DRAWS = 200
SIZE = 224
ABOUT = ("data", "seed", "commit", "time")  # Columns that say what a row is of, not what it measured.


@dataclass(frozen=True)
class Photo:
    """A file and its class."""

    file: Path
    label: str


@dataclass
class Shared:
    """The features of all photographs, computed once; a row a photograph, in the order of ``photos``.

    Attributes:
        photos: All of them.
        backbones: Paths of the backbones.
        sizes: Sides in pixels that runs compare.
        place: A folder for what is made here.
        cache: The cache of all runs.
    """

    photos: Sequence[Photo]
    backbones: Sequence[str]
    sizes: Sequence[int]
    place: Path
    cache: Path
    found: dict[tuple[str, int, int], Features] = field(default_factory=dict)

    def features(self, backbone: Backbone, stored: int, size: int) -> Features:
        """Those of images that are stored at one size and seen at another, which is 0 where it is the same."""
        key = (backbone.name, stored, size)
        if key not in self.found:
            rows = range(len(self.photos))
            dataset = self.prepared(
                grow(self.place / "all", self.photos, rows, one_of_each(self.photos, rows)), stored
            )
            spec = InputSpec(stored, stored, 3, len(dataset.classes), size, (backbone,))
            params = {"backbone": backbone.name}
            opened = open_features(
                dataset,
                backbone,
                spec,
                mirror=True,
                frozen=lambda: transfer.frozen(params, spec),
                tell=lambda *_: True,
            )
            order = np.argsort(rows_of(dataset))
            if len(order) != len(self.photos):
                raise InputError(f"{self.place}: {len(order)} of {len(self.photos)} photographs can be used")
            self.found[key] = Features(*(np.array(view)[order] for view in opened))
        return self.found[key]

    def prepared(self, tree: Path, stored: int) -> Dataset:
        """The images of a tree, as a run prepares them."""
        return prepare(
            tree, image_size=stored, resize="crop", cache=self.cache, enlarge=False, say=lambda line: None
        )

    def ready(self) -> Sequence[Backbone]:
        """The backbones, with their files."""
        return with_files(find_backbones(self.backbones, self.cache), self.cache)

    def chosen(self, backbone: Backbone, stored: int) -> np.ndarray:
        """The features of a run's backbone, of images of the size that the run stores; those of parts side by side."""
        by_digest = {one.digest: one for one in self.ready()}
        views = [
            self.features(by_digest[net.digest], stored, net.at if net.at != stored else 0).plain
            for net in backbone.nets
        ]
        return np.concatenate(views, axis=1)

    def lend(self, tree: Path) -> None:
        """Put the features of a tree's training images where a run will look for them."""
        largest = max(self.sizes)
        seen = {(largest, size if size != largest else 0) for size in self.sizes} | {
            (size, 0) for size in self.sizes
        }
        for stored, size in sorted(seen):
            dataset = self.prepared(tree, stored)
            for backbone in self.ready():
                spec = InputSpec(stored, stored, 3, len(dataset.classes), size, (backbone,))
                folder, rows = features_folder(dataset, backbone, spec), rows_of(dataset)
                folder.mkdir(parents=True, exist_ok=True)
                for view, values in zip(VIEWS, self.features(backbone, stored, size), strict=True):
                    np.save(folder / f"{view}.npy", np.asarray(values)[rows])
                    (folder / f"{view}.json").write_text(json.dumps({"rows": len(rows)}))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument(
        "--data", type=Path, required=True, help="a folder with train/<class>/ and test/<class>/"
    )
    parser.add_argument("--backbone", action="append", required=True, help="a .keras file; repeatable")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--size", type=int, help="side in pixels (default: as the command chooses)")
    parser.add_argument("--trials", type=int, help="(default: as the command chooses)")
    parser.add_argument("--epochs", type=int, default=20, help="of the plain nets (default: %(default)s)")
    parser.add_argument(
        "--work", type=Path, default=Path("studies/photographs"), help="(default: %(default)s)"
    )
    asked = parser.parse_args(arguments)
    asked.work = asked.work.absolute()
    table = asked.out / f"photographs_{asked.part}.csv"
    there = {(row["data"], row["seed"]) for row in read_rows(table)}
    try:
        for seed in range(asked.repetitions):
            if (asked.data.name, str(seed)) not in there:
                about = {"data": asked.data.name, "seed": seed, "commit": commit()}
                row = {
                    **about,
                    "time": datetime.now(UTC).isoformat(timespec="seconds"),
                    **measure(asked, seed),
                }
                append_row(table, row)
                print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    except (InputError, StudyStopped) as error:
        raise SystemExit(f"error: {error}") from None
    tables = {part: read_rows(asked.out / f"photographs_{part}.csv") for part in PARTS}
    path = write_result(
        "photographs", {part: summarise(rows) for part, rows in tables.items() if rows}, asked.out
    )
    print(path.read_text(encoding="utf-8"))


def measure(asked: argparse.Namespace, seed: int) -> dict[str, Any]:
    """One repetition of what is asked."""
    if asked.part == "seeds":
        return {**with_own_test(asked, seed), **plain_nets(asked, seed)}
    photos = photos_of(asked.data, ("train", "test") if asked.part == "splits" else ("train",))
    sizes = COMPARED_SIDES if asked.size is None else (asked.size,)
    cache = asked.work / "cache"
    shared = Shared(
        photos, asked.backbone, sizes, asked.work / f"shared-{asked.data.name}-{len(photos)}", cache
    )
    return on_others(asked, shared, seed)


def photos_of(folder: Path, parts: Sequence[str]) -> list[Photo]:
    """The files of some parts of a folder, in the order of their paths."""
    files = sorted(file for part in parts for file in (folder / part).glob("*/*") if file.is_file())
    return [Photo(file.absolute(), file.parent.name) for file in files]


def grow(tree: Path, photos: Sequence[Photo], training: Sequence[int], test: Sequence[int]) -> Path:
    """A folder as a user has it, of links whose names begin with the number of the photograph."""
    shutil.rmtree(tree, ignore_errors=True)
    for part, rows in (("train", training), ("test", test)):
        for row in rows:
            place = tree / part / photos[row].label
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{row:06d}-{photos[row].file.name}").symlink_to(photos[row].file)
    return tree


def one_of_each(photos: Sequence[Photo], rows: Sequence[int]) -> list[int]:
    """The first photograph of each class among some."""
    return list({photos[row].label: row for row in reversed(rows)}.values())


def rows_of(dataset: Dataset) -> np.ndarray:
    """The number of the photograph of each training image."""
    names = read_names(dataset.folder, dataset.source, sum(dataset.train_counts)).images
    return np.array([int(Path(name).name.partition("-")[0]) for name in names])


def drawn(asked: argparse.Namespace, photos: Sequence[Photo], seed: int) -> tuple[list[int], list[int]]:
    """The photographs that a run is given, and those that it is scored on, each class by its share."""
    from sklearn.model_selection import train_test_split

    labels = [photo.label for photo in photos]
    count = round((1 - HELD_OUT) * len(photos))
    if asked.part == "few":
        count = int(np.random.default_rng(seed).integers(FEW[0], min(FEW[1], len(photos) // 2) + 1))
    given, others = train_test_split(range(len(photos)), train_size=count, random_state=seed, stratify=labels)
    return sorted(given), sorted(others)


def command(asked: argparse.Namespace, tree: Path, cache: Path, place: Path, seed: int) -> tuple[Any, float]:
    """Run the command of a user; its result and its seconds."""
    chosen = {"image_size": asked.size, "trials": asked.trials}
    options = RunOptions.given(
        "photographs",
        data=tree, backbones=tuple(asked.backbone), seed=seed, root=place / "studies", out=place / "export",
        cache=cache,
        **{name: value for name, value in chosen.items() if value is not None},
    )  # fmt: skip
    began = time.monotonic()
    result = search_and_export(options)
    if result.export is None:
        raise StudyStopped(result.stopped or result.none_complete)
    return result, time.monotonic() - began


def of_run(result: Any, seconds: float) -> dict[str, Any]:
    """What a run has chosen, and what it took."""
    summary, config = result.export.summary, result.study.config
    return {
        "trials": len(result.study.finished()),
        "trial": summary["trial"],
        "backbone": config.backbones[0].name,
        "size": config.image_size,
        "temperature": summary["calibration"]["temperature"],
        "minutes": seconds / 60,
    }


def on_others(asked: argparse.Namespace, shared: Shared, seed: int) -> dict[str, Any]:
    """Search on some photographs, and score all contenders on the others."""
    place = asked.work / f"{asked.part}-{asked.data.name}-{seed}"
    shutil.rmtree(place, ignore_errors=True)
    given, others = drawn(asked, shared.photos, seed)
    # The run needs test images: some of those that it has been given.
    tree = grow(place / "photos", shared.photos, given, one_of_each(shared.photos, given))
    shared.lend(tree)
    result, seconds = command(asked, tree, shared.cache, place, seed)
    config = result.study.config
    labels = np.array([config.classes.index(photo.label) for photo in shared.photos])
    features = shared.chosen(config.backbones[0], config.image_size)

    def scores(export: Export) -> Scores:
        temperature = export.summary["calibration"]["temperature"]
        return Scores(labels[others], head_outputs(export, features[others]), temperature)

    exported = scores(result.export)

    def accuracy_of(trial: int) -> float:
        if result.export.summary["trial"] == trial:
            return exported.accuracy
        more = {
            "root": place / "studies",
            "out": place / f"trial-{trial}",
            "trial": trial,
            "prepared": result.study.prepared,
        }
        return scores(make_export(ExportOptions.given("photographs", **more))).accuracy

    best = replace(exported, temperature=best_temperature(exported))
    row = {
        "given": len(given), "scored_on": len(others), **of_run(result, seconds),
        "exported": exported.accuracy,
        "default": accuracy_of(0), "highest": accuracy_of(result.study.ranked()[0].number),
        "logistic_same": by_logistic(features, labels, given, others),
        "loss": exported.loss, "least_loss": best.loss,
        "ece": calibration_error(exported), "ece_if_perfect": perfect_error(exported, seed),
    }  # fmt: skip
    for at, one in enumerate(shared.ready()):
        size = SIZE if asked.size is None else asked.size
        row[f"logistic_{at}"] = by_logistic(shared.features(one, size, 0).plain, labels, given, others)
    shutil.rmtree(place, ignore_errors=True)
    return row


def head_outputs(export: Export, features: np.ndarray) -> np.ndarray:
    """The outputs of an exported net for features of its backbone."""
    import keras

    from search.training.models import FEATURES

    net = export.model()
    head = keras.Model(net.get_layer(FEATURES).output, net.output)
    return np.asarray(head.predict(np.asarray(features, np.float32), verbose=0))


def by_logistic(
    features: np.ndarray, labels: np.ndarray, given: Sequence[int], others: Sequence[int]
) -> float:
    """The accuracy of scikit-learn's logistic regression, as it comes."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        fitted = LogisticRegression(max_iter=1000).fit(np.asarray(features[given], np.float32), labels[given])
        return float(fitted.score(np.asarray(features[others], np.float32), labels[others]))


def perfect_error(scores: Scores, seed: int) -> float:
    """The mean expected calibration error of so many images, were each probability exactly right."""
    random, likely = np.random.default_rng(seed), scores.probabilities.cumsum(axis=1)
    last = likely.shape[1] - 1
    errors = []
    for _ in range(DRAWS):
        truth = np.minimum((random.random((len(likely), 1)) > likely).sum(axis=1), last)
        errors.append(calibration_error(replace(scores, labels=truth)))
    return fmean(errors)


def with_own_test(asked: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Search on a set's training images, with nothing computed before; its test images are scored at the end."""
    place = asked.work / f"seeds-{asked.data.name}-{seed}"
    shutil.rmtree(place, ignore_errors=True)
    result, seconds = command(asked, asked.data.absolute(), place / "cache", place, seed)
    summary, calibration = result.export.summary, result.export.summary["calibration"]
    row = {
        "scored_on": summary["test_images"],
        **of_run(result, seconds),
        "exported": summary["test_accuracy"],
        "ece": calibration["test_ece_after"],
    }
    shutil.rmtree(place, ignore_errors=True)  # The database is asked no more.
    return row


def plain_nets(asked: argparse.Namespace, seed: int) -> dict[str, Any]:
    """The nets of ``plain_keras.py``, and logistic regression on features, on the same images."""
    import keras

    file, size = Path(asked.backbone[0]), asked.size or SIZE
    task = plain_keras.task_of(asked.data, file, size, asked.epochs)
    row: dict[str, Any] = {}
    keras.utils.set_random_seed(seed)
    began = time.monotonic()
    images = plain_keras.load(task, "train", shuffle=True)
    trained = plain_keras.transfer(images, task)
    minutes = (time.monotonic() - began) / 60
    nets = {"transfer": plain_keras.scored(trained, images, task, minutes)}
    began = time.monotonic()
    trained = plain_keras.tuned(trained, images, task)  # It goes on from there, so that its minutes are both.
    minutes += (time.monotonic() - began) / 60
    nets["fine-tuning"] = plain_keras.scored(trained, images, task, minutes)
    for name, found in nets.items():
        row |= {name: found["test_accuracy"], f"minutes.{name}": found["minutes"]}
        row |= {f"gflops.{name}": found["flops"] / found["minutes"] / 6e10}
    began = time.monotonic()
    (features, labels), (test, truth) = (pooled(task, part) for part in ("train", "test"))
    row["logistic"] = by_logistic(
        np.concatenate([features, test]), np.concatenate([labels, truth]), range(len(labels)),
        range(len(labels), len(labels) + len(truth)),
    )  # fmt: skip
    return {**row, "minutes.logistic": (time.monotonic() - began) / 60}


def pooled(task: plain_keras.Task, part: str) -> tuple[np.ndarray, np.ndarray]:
    """A backbone's pooled features of the images of a part, and their classes."""
    import keras

    net, found, labels = keras.models.load_model(task.backbone), [], []
    for images, classes in plain_keras.load(task, part, shuffle=False):
        features = np.asarray(net.predict_on_batch(images))
        found.append(features.mean(axis=(1, 2)) if features.ndim == 4 else features)
        labels.append(np.asarray(classes))
    return np.concatenate(found), np.concatenate(labels)


def summarise(rows: Sequence[dict[str, str]]) -> dict[str, Any]:
    """Of each set: the mean of each contender, and how far the export is from it, with its standard error."""
    found: dict[str, Any] = {}
    for data in sorted({row["data"] for row in rows}):
        own = [row for row in rows if row["data"] == data]
        names = [
            name
            for name in own[0]
            if name in ("default", "highest", "transfer", "fine-tuning") or name.startswith("logistic")
        ]
        measured = [name for name in own[0] if name not in ABOUT and is_number(own[0][name])]
        figures = {name: fmean(float(row[name]) for row in own) for name in measured}
        found[data] = {"runs": len(own), "means": figures, "export_minus": {}}
        for name in names:
            gaps = [float(row["exported"]) - float(row[name]) for row in own]
            error = stdev(gaps) / len(gaps) ** 0.5 if len(gaps) > 1 else None
            worse = [gap for gap in gaps if gap < 0]
            found[data]["export_minus"][name] = {
                "mean": fmean(gaps), "standard_error": error, "times_worse": len(worse), "worst": min(gaps)
            }  # fmt: skip
    return found


def is_number(text: str) -> bool:
    """Whether a cell is a figure."""
    try:
        float(text)
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    main()

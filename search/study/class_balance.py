"""How many images of each class every split has, and what to say where the classes differ much."""

import logging

import numpy as np

from search.config.study_config import StudyConfig
from search.data import Dataset, split, training_split
from search.data.base import Labels
from search.errors import InputError

logger = logging.getLogger(__name__)

IMBALANCE = 2.0
FEW_PHOTOGRAPHS, PHOTOGRAPH = 5_000, 64
# Of more classes that have not all the same number of images only the least and the most are shown.
MOST_COUNTED = 30


def split_counts(config: StudyConfig, dataset: Dataset) -> dict[str, list[int]]:
    """Count the images of each class in ``training``, ``validation``, ``test`` and, where some are set aside, ``race``.

    In folds it is exact to one image a class. Groups, of which folds have whole ones, make it less exact.

    Raises:
        InputError: A class has too few images to be split.
    """
    test = list(dataset.test_counts)
    if folds := config.folds:  # Not dealt, which would load scikit-learn into every worker.
        held = [count // folds for count in dataset.train_counts]
        training = [count - part for count, part in zip(dataset.train_counts, held, strict=True)]
        return {"training": training, "validation": held, "test": test}
    _, labels = dataset.train()
    settings = (config.validation, config.images, config.seed, config.classes, dataset.rule())
    parts = split(labels, *settings, race=config.race_images)

    def counts(of: Labels) -> list[int]:
        found: list[int] = np.bincount(labels[of], minlength=len(config.classes)).tolist()
        return found

    race = {"race": counts(parts.race)} if config.race_images else {}
    return {"training": counts(parts.train), "validation": counts(parts.validation), **race, "test": test}


def check_metric(config: StudyConfig, dataset: Dataset) -> None:
    """Refuse a metric that the validation images give no value: a class that none of them shows has no recall.

    Raises:
        InputError: It is one, of the validation images or those of a fold.
    """
    kind, _, name = config.metric.partition(":")
    if kind not in ("recall", "auc"):
        return
    _, labels = dataset.train()
    for fold in range(max(1, config.folds)):
        parts = training_split(
            labels,
            validation=config.validation,
            images=config.images,
            folds=config.folds,
            which=fold,
            seed=config.seed,
            rule=dataset.rule(),
            fold_of=config.fold_of,
            race=config.race_images,
        )
        there = set(labels[parts.validation].tolist())
        if config.classes.index(name) not in there if name else len(there) < 2:
            where = f" in fold {fold + 1}" if config.folds else ""
            lacking = (
                f"no validation image{where} is of this class"
                if name
                else f"one class alone is validated{where}"
            )
            raise InputError(
                f"--metric {config.metric}: {lacking}, so that it has no value; add images, or choose another metric"
            )


def print_balance(config: StudyConfig, dataset: Dataset) -> None:
    """Show how many images of each class every split has, and warn where the classes differ much."""
    shown = split_counts(config, dataset)
    training = shown["training"]
    if config.folds:
        shown = {f"in {config.folds} folds": list(dataset.train_counts), "test": shown["test"]}
    count = len(config.classes)
    for name, counts in shown.items():
        balance = f"{min(counts):,} to {max(counts):,} of each of {count:,} classes"
        if len(set(counts)) == 1:
            balance = f"{counts[0]:,} of each of {count:,} classes"
        elif count <= MOST_COUNTED:
            balance = ", ".join(f"{label} {n:,}" for label, n in zip(config.classes, counts, strict=True))
        logger.info("%10s: %s images: %s", name, f"{sum(counts):,}", balance)
    if max(training) > IMBALANCE * max(1, min(training)) and config.class_weights == "none":
        logger.warning(
            f"the largest class has {max(training) / max(1, min(training)):.1f} times the images of the "
            "smallest; --class-weights balanced counts each class alike, --metric macro_f1 ranks by all alike"
        )


def print_hints(dataset: Dataset, over_backbone: bool) -> None:
    """Hint, for a new study, at what would serve its few images better.

    Args:
        dataset: Its images.
        over_backbone: Whether its nets stand on a pretrained backbone.
    """
    total = sum(dataset.train_counts)
    photographs = dataset.channels == 3 and min(dataset.height, dataset.width) >= PHOTOGRAPH
    if photographs and not over_backbone and total < FEW_PHOTOGRAPHS:
        logger.info(
            f"hint: on {total:,} photographs a pretrained backbone goes further than a net that begins from nothing: "
            "--backbone FILE (and another --study)"
        )

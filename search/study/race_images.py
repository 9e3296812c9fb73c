"""How many training images a study sets aside, for its best configurations to be compared on at its end."""

import dataclasses

from search.config.study_config import StudyConfig
from search.data import Dataset
from search.study.class_balance import split_counts
from search.study.ending import PARTS_OF_IMAGES

# More images would cost more than they tell; with fewer of a class, nothing is set aside of it.
MOST_IMAGES, LEAST_OF_A_CLASS = 10_000, 10


def race_images(config: StudyConfig, dataset: Dataset) -> int:
    """How many training images a new study sets aside for its race; 0 where it has too few, or folds.

    They are images that ``--images`` leaves out anyway; else as many as are validated on. There are none where a part
    of them, on which a round is scored, would give the metric no value.
    """
    images = _images_for_a_race(config, dataset)
    kind, _, name = config.metric.partition(":")
    if not images or kind not in ("recall", "auc"):
        return images
    counts = split_counts(dataclasses.replace(config, race_images=images), dataset)["race"]
    # The class itself; else two classes that are told from each other.
    needed = counts[config.classes.index(name)] if name else sorted(counts)[-2]
    return images if needed >= PARTS_OF_IMAGES else 0


def _images_for_a_race(config: StudyConfig, dataset: Dataset) -> int:
    if config.folds:
        return 0
    counts = split_counts(config, dataset)
    training, held = sum(counts["training"]), sum(counts["validation"])
    if min(number for number in counts["training"] if number) < LEAST_OF_A_CLASS:
        return 0
    if config.images is None:
        return min(held, training // 5, MOST_IMAGES)
    left = sum(dataset.train_counts) - training - held
    left = left if dataset.rule().groups is None else left // 2  # Whole groups are drawn: about so many.
    return min(left, MOST_IMAGES) if 2 * left >= held else 0

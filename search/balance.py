"""How many images of each class there are in every split, and what to say where they differ much."""

import numpy as np

from search.config import StudyConfig
from search.data import Dataset, split

IMBALANCE = 2.0


def split_counts(config: StudyConfig, dataset: Dataset) -> dict[str, list[int]]:
    """Images of each class in ``training``, ``validation`` and ``test``.

    Raises:
        InputError: A class has too few images to be split.
    """
    _, labels = dataset.train()
    parts = split(labels, config.validation, config.images, config.seed, config.classes)
    count = len(config.classes)
    return {
        "training": np.bincount(labels[parts.train], minlength=count).tolist(),
        "validation": np.bincount(labels[parts.validation], minlength=count).tolist(),
        "test": list(dataset.test_counts),
    }


def print_balance(config: StudyConfig, dataset: Dataset) -> None:
    """Show how many images of each class every split has, and warn where the classes differ much."""
    shown = split_counts(config, dataset)
    count = len(config.classes)
    for name, counts in shown.items():
        balance = (
            f"{counts[0]:,} of each of {count} classes"
            if len(set(counts)) == 1
            else ", ".join(f"{label} {n:,}" for label, n in zip(config.classes, counts, strict=True))
        )
        print(f"{name:>10}: {sum(counts):,} images: {balance}")
    training = shown["training"]
    if max(training) > IMBALANCE * max(1, min(training)) and config.class_weights == "none":
        print(
            f"warning: the largest class has {max(training) / max(1, min(training)):.1f} times the images of the "
            "smallest; --class-weights balanced counts each class alike, --metric macro_f1 ranks by all alike"
        )

"""The images and the config of a new study, made of what is asked for and of its preset."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from search.config.option import options_of
from search.config.settings import RunOptions
from search.config.study_config import StudyConfig
from search.config.study_settings import StudySettings
from search.data import Dataset
from search.data.backbones import IMAGE_SIZE
from search.data.base import Say, log_line
from search.data.duplicates import twin_clusters
from search.data.folds import LEAST_FOLDS, check_folds, deal_folds, default_folds
from search.data.preparation import prepare
from search.errors import InputError
from search.presets import PRESETS
from search.study.request import check_beside_validation, preset_of
from spaces import has_backbone, is_model
from spaces.contract import Space

logger = logging.getLogger(__name__)

# A study's folder lies beside databases and their locks, and its export beside the reports.
FILES = (".db", ".sqlite", ".sqlite3", ".db-wal", ".db-shm", ".db-journal", ".lock", ".html", ".htm")
# A bound on cost or parameters that is none.
ANY_COST = 10**12


def check_new_name(study: str, root: Path) -> None:
    """Refuse a new study whose name is that of a file, for its folder is to be called so.

    Raises:
        InputError: It is.
    """
    if study.lower().endswith(FILES):
        raise InputError(
            f"--study {study}: looks like a file; expected a name such as {study.partition('.')[0]} "
            "(--storage names a database)"
        )
    folder = root / study
    if folder.exists() and not folder.is_dir():
        raise InputError(
            f"--study {study}: {folder} is a file, where this study's folder would be; choose another name"
        )


def space_name(options: RunOptions) -> str:
    """The space to search: the one asked for, the preset's, or the default."""
    preset = preset_of(options)
    return options.space if preset is None or "space" in options.requested else preset.space


def image_size(options: RunOptions, space: Space) -> int | str | None:
    """The size in pixels that images are resized to, see ``spaces.contract.sides``; None keeps theirs.

    Raises:
        InputError: A backbone is asked for, and the space takes none.
    """
    preset = preset_of(options)
    size = options.stored_size or (preset.image_size if preset else None)
    if has_backbone(space):
        return size or IMAGE_SIZE
    if options.backbones:
        raise InputError(
            f"--backbone {options.backbones[0]}: space {space_name(options)} has no backbone; "
            "pass --space transfer, or leave --backbone out"
        )
    return size


def prepare_new(
    options: RunOptions, size: int | str | None, over_backbone: bool, say: Say = log_line
) -> Dataset:
    """The images of a new study, decoded into the cache unless they are there; ``say`` takes lines for people.

    Raises:
        InputError: Nobody says which, or they cannot be used.
    """
    preset = preset_of(options)
    data = options.data if options.data is not None else (preset.data if preset else None)
    if data is None:
        raise InputError(
            f"--study {options.study}: no such study yet, and no preset of this name that brings data; "
            f"pass --data (a folder, an .npz, cifar10, ...) or a study of {', '.join(sorted(PRESETS))}"
        )
    chosen = (
        preset.resize if preset and preset.resize and "resize" not in options.requested else options.resize
    )
    return prepare(
        data,
        image_size=size,
        resize=chosen,
        test=options.test,
        groups=options.groups,
        cache=options.cache,
        skip_damaged=options.skip_damaged,
        say=say,
        enlarge=not over_backbone,  # It enlarges small images by itself, a batch at a time.
    )


def new_config(
    options: RunOptions, dataset: Dataset, *, folds_by_default: bool = False, over_backbone: bool = False
) -> StudyConfig:
    """What defines a new study: what is asked for, else the preset's value, else the default.

    Args:
        options: What is asked for.
        dataset: Its images.
        folds_by_default: Whether few images are dealt into folds, unless something asked for contradicts that.
        over_backbone: Whether its nets stand on a pretrained backbone.

    Raises:
        InputError: It cannot be made of these images.
    """
    check_beside_validation(options, dataset.validation_images)
    settings: dict[str, Any] = {"flip": dataset.flip}
    names = {field.name for field, _ in options_of(StudySettings)}
    if preset := preset_of(options):
        settings |= preset.settings(names)
        images = sum(dataset.train_counts)
        left = images - (dataset.validation_images or options.validation * images)
        if preset.images is not None and preset.images >= left:
            del settings["images"]
    if is_model(options.space):  # A net that a user brings is bounded where that is asked for.
        settings |= {"max_cost": ANY_COST, "max_parameters": ANY_COST}
    settings |= {name: getattr(options, name) for name in names & options.requested}
    if options.folds:
        check_folds(options.folds, dataset.train_counts, dataset.classes)
        settings["fold_of"] = deal(dataset, options.folds, options.seed)
    elif folds_by_default and not (
        dataset.validation_images or options.confirm or settings.keys() & {"validation", "images"}
    ):
        settings |= folds_of_few(dataset, over_backbone, options.seed)
    return StudyConfig(
        study=options.study,
        data=dataset.source,
        fingerprint=dataset.fingerprint,
        classes=dataset.classes,
        height=dataset.height,
        width=dataset.width,
        channels=dataset.channels,
        validation_images=dataset.validation_images,
        test_digest=dataset.test_digest,
        **settings,
    )


def deal(dataset: Dataset, folds: int, seed: int) -> str:
    """Deal the training images into folds, with groups and near-duplicates together; see ``deal_folds``.

    Raises:
        InputError: A class has too few images, groups or clusters of near-duplicates.
    """
    images, labels = dataset.train()
    twins = None
    if dataset.duplicates.get("within", 1):  # Data prepared by older versions do not say.
        twins = twin_clusters(images, most=max(2, len(images) // (2 * folds)))
    dealt = deal_folds(labels, folds, seed, dataset.rule(), twins, dataset.classes)
    if twins is not None:
        several = int((np.bincount(twins)[twins] > 1).sum())
        logger.info(f"{several:,} training images that look alike are kept in one fold with each other")
    return dealt


def folds_of_few(dataset: Dataset, over_backbone: bool, seed: int) -> dict[str, Any]:
    """The settings ``folds`` and ``fold_of`` of a study of few images; none where a part is held out instead."""
    for folds in range(default_folds(sum(dataset.train_counts), over_backbone), LEAST_FOLDS - 1, -1):
        try:
            check_folds(folds, dataset.train_counts, dataset.classes)
            return {"folds": folds, "fold_of": deal(dataset, folds, seed)}
        except InputError:  # A class has too few images for so many.
            continue
    return {}

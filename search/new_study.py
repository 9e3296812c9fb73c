"""A new study's images and config, out of what was said of it and of its preset."""

from typing import TYPE_CHECKING, Any

from search.config import StudyConfig
from search.data import Dataset, prepare
from search.data.backbones import IMAGE_SIZE
from search.data.folds import check_folds
from search.errors import InputError
from search.presets import PRESETS, Preset
from spaces import has_backbone
from spaces.contract import Space

if TYPE_CHECKING:
    from search.opening import Request


def space_name(request: "Request", named: Preset | None) -> str:
    """Whose nets are searched: as said, as the preset has it, or the default."""
    return request.space or (named.space if named else StudyConfig.space)


def image_size(request: "Request", named: Preset | None, space: Space) -> int | None:
    """The side in pixels that images are resized to; None keeps theirs.

    Raises:
        InputError: A backbone is said of a space that takes none.
    """
    size = request.image_size or (named.image_size if named else None)
    if has_backbone(space):
        return size or IMAGE_SIZE
    if request.backbones:
        raise InputError(
            f"--backbone {request.backbones[0]}: space {space_name(request, named)} has no backbone; "
            "pass --space transfer, or leave --backbone out"
        )
    return size


def prepare_new(request: "Request", named: Preset | None, size: int | None, over_backbone: bool) -> Dataset:
    """Its images, decoded into the cache unless they are there.

    Raises:
        InputError: Nobody says which, or they cannot be used.
    """
    data = request.data if request.data is not None else (named.data if named else None)
    if data is None:
        raise InputError(
            f"--study {request.study}: no such study yet, and no preset of this name that brings data; "
            f"pass --data (a folder, an .npz, cifar10, ...) or a study of {', '.join(sorted(PRESETS))}"
        )
    return prepare(
        data,
        image_size=size,
        resize=request.resize or (named and named.resize) or StudyConfig.resize,
        test=0.2 if request.test is None else request.test,
        seed=request.seed or 0,
        cache=request.cache,
        enlarge=not over_backbone,  # It enlarges small images by itself, a batch at a time.
    )


def new_config(request: "Request", dataset: Dataset, named: Preset | None) -> StudyConfig:
    """What defines it: as said, as the preset has it, or the default.

    Raises:
        InputError: It cannot be made of these images.
    """
    settings: dict[str, Any] = {"flip": dataset.flip}
    if request.folds is not None:
        check_folds(request.folds, dataset.train_counts, dataset.classes)
    if named is not None:
        presets = {
            "epochs": named.epochs,
            "images": named.images,
            "space": named.space,
            "image_size": named.image_size,
            "resize": named.resize,
        }
        settings |= {name: value for name, value in presets.items() if value is not None}
        _, labels = dataset.train()
        most = (1 - (request.validation or StudyConfig.validation)) * len(labels)
        if named.images is not None and named.images >= most:
            del settings["images"]
    return StudyConfig(
        study=request.study,
        data=dataset.source,
        fingerprint=dataset.fingerprint,
        classes=dataset.classes,
        height=dataset.height,
        width=dataset.width,
        channels=dataset.channels,
        max_flops=int(request.max_cost or 0),
        **(settings | request.settings),
    )

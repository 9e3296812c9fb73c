"""The backbones of a study, chosen when it is made and found by their content on every host that joins."""

import dataclasses
import zipfile
from collections.abc import Sequence

from filelock import FileLock
from optuna.artifacts.exceptions import ArtifactNotFound

from search.config.study_config import StudyConfig
from search.data import Dataset
from search.data.backbones import APPLICATIONS, DEFAULT, backbone_file, find_backbones
from search.data.base import log_line
from search.data.joined_backbones import nets_of
from search.errors import InputError
from search.study.study import LoadedStudy
from spaces.contract import Backbone, sides
from storage.artifacts import Store, open_artifacts, try_fetch, upload

# The study's attribute with the accuracies, by name, of the backbones that one was chosen of.
COMPARED = "backbones_compared"


def with_backbones(
    config: StudyConfig, requested: Sequence[str], dataset: Dataset, image_size: int | str | None
) -> StudyConfig:
    """The config of a new study with its backbones, which are made ready in the cache beside its images.

    Raises:
        InputError: A backbone cannot be used, or takes images of another size.
    """
    backbones = find_backbones(requested or (DEFAULT,), dataset.folder.parent)
    for backbone in backbones:
        if backbone.parts and config.space != "transfer":
            raise InputError(
                f"--backbone {backbone.said}: backbones are joined in the space transfer alone; pass --space transfer, "
                "or one backbone"
            )
        if backbone.side not in (0, image_size):
            raise InputError(
                f"--image-size {image_size}: backbone {backbone.name} takes images of {backbone.side}x{backbone.side} "
                f"pixels alone; pass --image-size {backbone.side}"
            )
        if image_size is not None and min(sides(image_size)) < backbone.least:
            raise InputError(
                f"--image-size {image_size}: backbone {backbone.name} leaves nothing of so small an image; pass "
                f"{backbone.least} or more"
            )
    return dataclasses.replace(config, image_size=image_size, backbones=backbones)


def check_backbones(found: LoadedStudy, requested: Sequence[str]) -> None:
    """Check that backbones that are asked for again are the study's, by their content.

    Raises:
        InputError: They are not.
    """
    known = {one.said for one in found.config.backbones}
    if not requested or (set(requested) == known and known <= APPLICATIONS.keys()):
        return  # The weights under a name are compared by content when they are brought here.
    compared = nets_of(found.optuna.user_attrs.get(COMPARED, ()))
    here = find_backbones(requested, found.dataset().folder.parent)
    if {one.name for one in here} == compared and {one.digest for one in here} >= {
        net.digest for net in _nets(found.config)
    }:
        return  # One of these was chosen when the study was made.
    if {one.digest for one in here} != {one.digest for one in found.config.backbones}:
        names = ", ".join(one.name for one in found.config.backbones) or "none"
        raise InputError(
            f"--backbone {', '.join(requested)}: study {found.config.study} was made with {names} (their content "
            "decides, not their place); leave the flag out, or choose another --study name"
        )


def share_backbones(config: StudyConfig, dataset: Dataset) -> None:
    """Upload the backbones of a study to where hosts that share no disk find them."""
    if config.artifacts is None:
        return
    try:
        store = open_artifacts(config.artifacts)
        for backbone in _nets(config):
            if not _has(store, _artifact(backbone)):  # Another study may have left it, and be read just now.
                upload(store, _artifact(backbone), backbone_file(dataset.folder.parent, backbone.digest))
    except Exception as error:  # Of a store's library anything may come.
        raise InputError(
            f"--artifacts {config.artifacts}: cannot be written ({type(error).__name__}: {str(error)[:200]}); make it "
            "writable from here, or leave the flag out"
        ) from error


def bring_backbones(study: LoadedStudy) -> None:
    """Make sure that the study's backbones are in this host's cache.

    They are there already, or are fetched from its artifacts, or are made again from where the study had them.

    Raises:
        InputError: A backbone is nowhere to be found.
    """
    cache = study.dataset().folder.parent
    for backbone in _nets(study.config):
        here = backbone_file(cache, backbone.digest)
        here.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(here.with_suffix(".lock")):  # Several workers of a host begin at once.
            there = here.is_file() or _fetched(study, backbone)
        if not there:
            _make(study, backbone)


def _nets(config: StudyConfig) -> list[Backbone]:
    """The backbones that have a file, each once, whatever is joined of them."""
    return list({net.digest: net for one in config.backbones for net in one.nets}.values())


def _fetched(study: LoadedStudy, backbone: Backbone) -> bool:
    here, store = backbone_file(study.dataset().folder.parent, backbone.digest), study.artifacts
    if store is None or not try_fetch(store, _artifact(backbone), here, f"backbone {backbone.name}"):
        return False
    if zipfile.is_zipfile(here):
        return True
    here.unlink()  # Half of it.
    return False


def _make(study: LoadedStudy, backbone: Backbone) -> None:
    cache = study.dataset().folder.parent
    try:
        made = find_backbones([backbone.said], cache, log_line)[0]
    except InputError as error:
        raise InputError(
            f"backbone {backbone.name} of study {study.config.study} is not on this host; run python -m "
            f"search.prefetch --backbone {backbone.said} here (with the place of its file on this host) ({error})"
        ) from None
    if made.digest != backbone.digest:
        raise InputError(
            f"backbone {backbone.name}: {backbone.said} is another one here than study {study.config.study} was made "
            "with; bring the same file, and run python -m search.prefetch --backbone FILE"
        )


def _has(store: Store, name: str) -> bool:
    try:
        store.open_reader(name).close()
    except (ArtifactNotFound, FileNotFoundError):
        return False
    return True


def _artifact(backbone: Backbone) -> str:
    return f"backbone-{backbone.digest}.keras"

"""A study opened for a search: found again, or checked, prepared and created."""

import dataclasses
import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna

import spaces
from search.balance import print_balance, print_hints
from search.cells import SWEEP, Sweep
from search.config import BACKENDS, StudyConfig, check_choice, check_number, check_study_name
from search.data.backbones import check_backbone
from search.data.folds import check_said
from search.errors import InputError
from search.evaluation.preflight import check_confirm, check_fine_tune
from search.joining import (
    SPACE,
    check_joining,
    check_kind,
    check_settings,
    find_images,
    space_digest,
    surroundings,
)
from search.new_study import image_size, new_config, prepare_new, space_name
from search.presets import PRESETS, Preset
from search.sampling import enqueue, first_trials, read_trial
from search.study import DATASET, LoadedStudy, create_study, find_study, load_study, quiet, warn_of_password
from search.study_backbones import bring_backbones, check_backbones, share_backbones, with_backbones
from spaces import has_backbone
from spaces.contract import Space
from storage.artifacts import check_artifacts
from storage.claims import lock_name

# What a request may say of a study; left unsaid, the preset's value, then StudyConfig's.
SETTINGS = (
    "space", "epochs", "images", "validation", "seed", "metric", "class_weights", "flip", "early_stopping",
    "sampler", "pruner", "max_parameters", "image_size", "resize", "test", "artifacts", "grace", "folds",
)  # fmt: skip


@dataclass(frozen=True)
class Request:
    """What a user said of a study; see ``search.life.run_study`` for each."""

    study: str
    data: str | Path | Sequence[Any] | None = None
    preset: str | None = None
    space: str | None = None
    trials: int | None = None
    epochs: int | None = None
    images: int | None = None
    validation: float | None = None
    test: float | None = None
    image_size: int | None = None
    resize: str | None = None
    backbones: Sequence[str] = ()
    seed: int | None = None
    metric: str | None = None
    class_weights: str | None = None
    flip: bool | None = None
    early_stopping: int | None = None
    sampler: str | None = None
    pruner: str | None = None
    max_cost: float | None = None
    max_parameters: int | None = None
    try_first: Sequence[Path | Mapping[str, Any]] = ()
    storage: str | None = None
    artifacts: str | None = None
    grace: float | None = None
    root: Path = Path("studies")
    cache: Path | None = None
    sweep: Sweep | None = None
    folds: int | None = None
    confirm: bool = False
    fine_tune: int | None = None

    def __post_init__(self) -> None:
        """Check what needs no data, before anything slow.

        Raises:
            InputError: A name is unknown or a number absurd.
        """
        check_study_name(self.study)
        if self.preset is not None:
            check_choice("--preset", self.preset, tuple(sorted(PRESETS)))
        if self.sweep is None and self.named is not None and self.named.vary:
            raise InputError(
                f"--study {self.study}: a sweep, not a search; run python -m search.sweep --study {self.study}"
            )
        if self.trials is not None:
            check_number("--trials", self.trials, 1, 1_000_000)
        if self.space is not None:
            load_space(self.space)
        for backbone in self.backbones:
            check_backbone(backbone)
        if self.folds is not None:
            check_said(self.folds, self.validation, self.images)
        if self.artifacts is not None:
            try:
                check_artifacts(self.artifacts)
            except ValueError as error:
                raise InputError(str(error)) from None
        for item in self.try_first:
            read_trial(item)

    @property
    def named(self) -> Preset | None:
        """The preset asked for, or the one that is named as the study."""
        return PRESETS.get(self.preset or self.study)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that were said."""
        return {name: getattr(self, name) for name in SETTINGS if getattr(self, name) is not None}


def open_study(request: Request, backend: str = "tensorflow") -> LoadedStudy:
    """The study asked for, its first trials queued, and the number of finished trials that it shall have stored.

    Raises:
        InputError: Something said is wrong; nothing but the cache of images has been written.
    """
    if warning := warn_of_password(request.storage):
        print(warning)
    found = find_study(request.study, request.storage, request.root)
    if found is None:
        created = _create(request, backend)
        if created is not None:
            return created
        found = load_study(request.study, request.storage, request.root)
    return _rejoin(found, request, backend)


def _create(request: Request, backend: str) -> LoadedStudy | None:
    named = request.named
    name = space_name(request, named)
    space = load_space(name)
    check_fine_tune(request.study, name, request.fine_tune)
    check_confirm(request.study, request.folds or 0, request.confirm)
    size = image_size(request, named, space)
    dataset = prepare_new(request, named, size, has_backbone(space))
    config = new_config(request, dataset, named)
    if has_backbone(space):
        config = with_backbones(config, request.backbones, dataset, size)
        share_backbones(config, dataset)  # Before the study is there for others to join.
    begin = _beginning(space, config, request)
    print_balance(config, dataset)
    if request.sweep is None:
        print_hints(config, dataset, has_backbone(space))
    created = create_study(
        config,
        dataset.folder,
        request.storage,
        request.root,
        trials=request.trials or (named.trials if named else 50),
        about={SPACE: space_digest(space, config), **surroundings(backend)},
        begin=begin,
    )
    return None if created is None else dataclasses.replace(created, prepared=dataset.folder)


def _rejoin(found: LoadedStudy, request: Request, backend: str) -> LoadedStudy:
    config = found.config
    check_kind(found, request)
    check_settings(config, request)
    check_fine_tune(config.study, config.space, request.fine_tune)
    check_confirm(config.study, config.folds, request.confirm)
    space = load_space(config.space)
    check_joining(found, space, backend)
    joined = dataclasses.replace(found, prepared=find_images(found, request.data, request.cache).folder)
    bring_backbones(joined)
    check_backbones(joined, request.backbones)
    if request.data is not None and not Path(found.optuna.user_attrs.get(DATASET, "")).is_dir():
        found.optuna.set_user_attr(DATASET, str(joined.prepared))  # The cache has moved.
    begin = _beginning(space, config, request, found.optuna.user_attrs.get(SWEEP))
    print_balance(config, joined.dataset())
    # A sweep's cells are counted by those who claim them, and so queued under their lock.
    lock = "studies" if request.sweep is None else lock_name(found.study_id)
    with quiet():
        found.storage.exclusively(lock, lambda: begin(found.optuna))
    if request.trials is not None or not found.wanted:
        named = request.named
        found.want(request.trials or (named.trials if named else 50))
    return joined


def load_space(name: str) -> Space:
    """The space of this name.

    Raises:
        InputError: There is none, or it is not fit to be one.
    """
    try:
        return spaces.load(name)
    except ValueError as error:
        raise InputError(str(error)) from None


def check_backend(backend: str | None, gpu_memory: float | None) -> str:
    """The backend asked for, or the environment's, if it is installed.

    Raises:
        InputError: It is unknown, not installed, or cannot do what is asked of it.
    """
    chosen = backend or os.environ.get("KERAS_BACKEND", "tensorflow")
    check_choice("--backend", chosen, BACKENDS)
    if importlib.util.find_spec(chosen) is None:
        raise InputError(f"--backend {chosen}: not installed here; pip install {chosen}, or choose another")
    if chosen == "jax" and gpu_memory is not None:
        raise InputError(
            f"--gpu-memory {gpu_memory}: JAX takes no limit in GB; set XLA_PYTHON_CLIENT_MEM_FRACTION instead"
        )
    return chosen


def _beginning(
    space: Space, config: StudyConfig, request: Request, stored: Mapping[str, Any] | None = None
) -> Callable[[optuna.Study], None]:
    """What queues the study's first trials, or a sweep's cells; all checked."""
    if request.sweep is not None:
        return request.sweep.queueing(space, config, stored)
    first = first_trials(space, config, request.try_first)
    return lambda study: enqueue(study, first)

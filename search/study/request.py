"""What is asked of a study, checked before anything slow."""

from collections.abc import Sequence
from pathlib import Path

import spaces
from search.config.engine_word import LOCAL
from search.config.option import check_choice, flag_of
from search.config.request_settings import ExportSettings
from search.config.settings import RunOptions
from search.data.backbones import check_backbone
from search.data.cache import cache_root
from search.errors import InputError, flag_error
from search.metrics.preference import SMALL
from search.presets import PRESETS, Preset
from search.study.first_trials import read_trial
from search.study.prices import has_points
from search.study.sweep_cells import Sweep
from spaces import is_model
from spaces.contract import Backbone, Space
from storage.artifacts import check_artifacts


def preset_of(options: RunOptions) -> Preset | None:
    """The preset asked for, or the one that is named as the study."""
    return PRESETS.get(options.preset or options.study)


def check_request(options: RunOptions, sweep: Sweep | None = None) -> None:
    """Check what is asked of a study, as far as that needs no images.

    Args:
        options: What is asked.
        sweep: What a sweep varies; None for a search.

    Raises:
        InputError: A name is unknown, or two options contradict each other.
    """
    if options.preset is not None:
        check_choice(flag_of(options, "preset"), options.preset, tuple(sorted(PRESETS)))
    preset = preset_of(options)
    if sweep is None and preset is not None and preset.vary:
        raise InputError(
            f"--study {options.study}: a sweep, not a search; run python -m search.sweep --study {options.study}"
        )
    if "space" in options.requested:
        load_space(options.space)
    if is_model(options.space):
        if sweep is not None:
            raise InputError(
                f"--base: {options.space} is asked for its parameters by its own code, and a sweep must know them "
                "beforehand; expected a space"
            )
        check_length_of_model(options)
    for backbone in options.backbones:
        check_backbone(backbone, cache_root() if options.cache is None else Path(options.cache))
    check_beside_folds(options)
    check_no_refit(options)
    if options.artifacts is not None:
        try:
            check_artifacts(options.artifacts)
        except ValueError as error:
            raise flag_error(error) from None
    for item in options.try_first:
        read_trial(item)


def check_length_of_model(options: RunOptions) -> None:
    """Refuse equal compute where a net's cost is known only once a user's function has made it.

    Raises:
        InputError: It is asked for.
    """
    for name in ("final", "length"):
        value = getattr(options, name)
        if value not in (None, "epochs"):
            raise InputError(
                f"{flag_of(options, name)} {value}: what a net of --model costs is known only once it is made, so that "
                "its trials count epochs; leave the flag out, and give --epochs"
            )


def check_beside_folds(options: RunOptions) -> None:
    """Refuse options in whose place folds stand.

    Raises:
        InputError: One of these is asked for.
    """
    for name in ("validation", "images") if options.folds else ():
        if name in options.requested and (value := getattr(options, name)) is not None:
            raise InputError(
                f"{flag_of(options, name)} {value}: says nothing beside --folds {options.folds}, with which every "
                "training image is trained on and validated on; expected one of the two"
            )


def check_beside_validation(options: RunOptions, images: int) -> None:
    """Refuse options in whose place the data's own validation part stands.

    Args:
        options: What is asked.
        images: The number of images of that part; 0 where there is none.

    Raises:
        InputError: One of these is asked for.
    """
    for name in ("validation", "folds"):
        if images and name in options.requested:
            raise InputError(
                f"{flag_of(options, name)} {getattr(options, name)}: the data has a validation part of its own, of "
                f"{images:,} images, which is used as it is; leave the flag out, or move these images into the "
                "training part"
            )


def load_space(name: str) -> Space:
    """The space of this name.

    Raises:
        InputError: There is none, or it is not fit to be one.
    """
    try:
        return spaces.load(name, afresh=True)
    except ValueError as error:
        raise flag_error(error) from None


def refits(options: ExportSettings, by_compute: bool, folds: int = 0) -> bool:
    """Whether an export trains on all training images: as is said, else where trials have equal compute; and in folds.

    Args:
        options: What is asked of the export.
        by_compute: Whether the study's trials have equal compute: they were for that training.
        folds: Number of its folds, whose nets are not kept, for none has learnt from all the images.
    """
    return options.refit or folds > 0 or (by_compute and "refit" not in options.requested)


def time_of_all(options: RunOptions) -> float | None:
    """Seconds that a search here, its final training and its export may take together; None for no bound.

    There is none without ``--timeout``, where nothing is trained in the end, and where an engine starts the workers:
    how fast those are is not known here.
    """
    return options.timeout if _trains_last(options) and options.engine_word.name == LOCAL else None


def compute_of_all(options: RunOptions) -> float | None:
    """FLOPs that a search and its final training may take together; None for no bound, as ``time_of_all`` has it."""
    return options.budget if _trains_last(options) else None


def _trains_last(options: RunOptions) -> bool:
    return options.export and refits(options, by_compute=True)


def check_refit(study: str, options: ExportSettings, by_compute: bool, folds: int) -> None:
    """Refuse ``--no-refit`` in folds, and ``--refit-epochs`` where there is no final training; before there is a trial.

    Args:
        study: The study's name.
        options: What is asked of the export.
        by_compute: Whether the study's trials have equal compute.
        folds: Number of its folds.

    Raises:
        InputError: It does.
    """
    if folds and _refuses_refit(options):
        raise InputError(
            f"--no-refit: study {study} is searched in {folds} folds, whose nets are not kept, for none has learnt "
            "from all the images; leave the flag out"
        )
    check_no_refit(options)
    if options.refit_epochs is not None and not refits(options, by_compute, folds):
        raise InputError(
            f"--refit-epochs {options.refit_epochs} says nothing without --refit: give both or neither"
        )


def check_no_refit(options: ExportSettings) -> None:
    """Refuse ``--refit-epochs`` beside ``--no-refit``: the length of a training that there is not to be.

    Raises:
        InputError: Both are asked for.
    """
    if options.refit_epochs is not None and _refuses_refit(options):
        raise InputError(
            f"--refit-epochs {options.refit_epochs} says nothing beside --no-refit: leave one of the two out"
        )


def _refuses_refit(options: ExportSettings) -> bool:
    return "refit" in options.requested and not options.refit


def check_confirm(study: str, folds: int, confirm: bool, by_compute: bool = False) -> None:
    """Refuse a race in a cross-validated study whose trials count epochs: its values are means of trainings already.

    Raises:
        InputError: One is asked for, and the study is searched in folds.
    """
    if confirm and folds and not by_compute:
        raise InputError(
            f"--confirm: study {study} is searched in {folds} folds, so each value is a mean of as many trainings "
            "already; leave the flag out"
        )


def check_preference(metric: str, what: str) -> None:
    """Refuse a preference that the study's metric gives no meaning.

    Raises:
        InputError: Points are asked for of a metric that has none.
    """
    if what == SMALL and not has_points(metric):
        raise InputError(
            f"--prefer {what}: takes the smallest net within two points of the best, and the trials are ranked by "
            f"{metric}, which has no points; expected accurate or balanced"
        )


def check_fine_tune(study: str, space: str, epochs: int | None, backbones: Sequence[Backbone] = ()) -> None:
    """Refuse to fine-tune where there is no backbone, or one that has no weights.

    Args:
        study: Named in the message.
        space: The study's.
        epochs: Of the fine-tuning; None for none.
        backbones: The study's, where they are known already.

    Raises:
        InputError: It is asked for, and there is nothing to tune.
    """
    empty = next((backbone.name for backbone in backbones if not backbone.parameters), None)
    if epochs is not None and empty is not None:
        raise InputError(
            f"--fine-tune {epochs}: backbone {empty} has no weights, so nothing would be tuned; leave the flag out, or "
            "give another --backbone"
        )
    if epochs is not None and not hasattr(load_space(space), "tune"):
        raise InputError(
            f"--fine-tune {epochs}: space {space} of study {study} has no backbone; leave the flag out"
        )

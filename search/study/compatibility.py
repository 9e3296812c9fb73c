"""What must be the same for everybody who works on a study, and what is only warned of."""

import contextlib
import math
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from search.config.option import flag_of, options_of
from search.config.settings import RunOptions
from search.config.study_config import StudyConfig
from search.config.study_settings import StudySettings
from search.config.value_types import as_final
from search.data import Dataset, open_dataset
from search.data.base import Say, log_line
from search.data.preparation import prepare
from search.errors import InputError
from search.presets import PRESETS
from search.study.request import check_beside_validation
from search.study.space_version import check_space
from search.study.study import LoadedStudy
from search.study.sweep_cells import SWEEP
from spaces.contract import Space

BACKEND, VERSIONS = "backend", "versions"
# The distribution that this program is installed as.
PROGRAM = "keras-image-search"


def surroundings(backend: str) -> dict[str, Any]:
    """The backend and the versions of the libraries here that matter to a result; none of them is loaded."""
    versions = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in (PROGRAM, "keras", "numpy", "optuna", backend):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # TensorFlow comes under several names.
            continue
    return {BACKEND: backend, VERSIONS: versions}


def check_joining(found: LoadedStudy, space: Space, backend: str, say: Say = log_line) -> None:
    """Refuse to join a study with another version of its space, and warn of other libraries.

    Raises:
        InputError: The space of this name does something else here.
    """
    attributes, config = found.optuna.user_attrs, found.config
    check_space(found, space)
    if config.unknown:
        say(
            f"warning: study {config.study} was made by another version of this program; what it stored beside what is "
            f"known here is kept and not used: {', '.join(sorted(config.unknown))}"
        )
    here = surroundings(backend)
    if attributes.get(BACKEND) not in (None, backend):
        say(f"warning: study {config.study} was begun on {attributes[BACKEND]}, this worker runs {backend}")
    theirs = attributes.get(VERSIONS, {})
    other = [
        f"{name} {version} (there {theirs[name]})"
        for name, version in here[VERSIONS].items()
        if theirs.get(name, version) != version
    ]
    if other:
        say(f"warning: other versions than the study was begun with: {', '.join(other)}")


def check_settings(config: StudyConfig, options: RunOptions) -> None:
    """Check that everything that is asked for again is as it was.

    Raises:
        InputError: Something is not.
    """
    for name in ("validation", "images") if config.folds else ():
        if name in options.requested:
            raise InputError(
                f"{flag_of(options, name)} {getattr(options, name)}: study {config.study} is cross-validated in "
                f"{config.folds} folds; leave the flag out, or choose another --study name"
            )
    check_beside_validation(options, config.validation_images)
    _check_length(config, options)
    for field, _ in options_of(StudySettings):
        value, made_with = getattr(options, field.name), getattr(config, field.name)
        if field.name in options.requested and value != made_with:
            made = "without" if made_with is None else f"with {made_with}"
            raise InputError(
                f"{flag_of(options, field.name)} {value}: study {config.study} was made {made}; "
                "leave the flag out, or choose another --study name"
            )


def _check_length(config: StudyConfig, options: RunOptions) -> None:
    """Check that trials are to be as long as the study's are, where it is said how long.

    Raises:
        InputError: They are not.
    """
    made = (
        f"trials of {config.length / 1e12:,.4g} TFLOP, for a final training of {config.final / 1e12:,.4g} TFLOP"
        if config.length
        else f"trials of {config.epochs} epochs"
    )
    wrong = ""
    if options.length is not None and (options.length == "compute") != bool(config.length):
        wrong = f"--length {options.length}"
    elif options.final is not None and not _is_final(config, options.final):
        wrong = f"--final {options.final}"
    elif config.length and "epochs" in options.requested:
        wrong = f"--epochs {options.epochs}"
    if wrong:
        raise InputError(
            f"{wrong}: study {config.study} was made with {made}; leave the flag out, or choose another --study name"
        )


def _is_final(config: StudyConfig, said: str | int | float) -> bool:
    """Whether a final training that is asked for again is the study's, within what rounding takes."""
    flops, epochs = as_final("--final", said)
    asked, there = (flops, config.final) if flops else (epochs, config.final_epochs)
    return math.isclose(asked, there, rel_tol=1e-6)


def check_preset(config: StudyConfig, options: RunOptions) -> None:
    """Check that a preset that is asked for again brings nothing that the study was not made with.

    What is asked for beside it takes its place, as it did when the study was made.

    Raises:
        InputError: It brings something else.
    """
    preset = PRESETS.get(options.preset or "")
    if preset is None:
        return
    names = {field.name for field, _ in options_of(StudySettings)} - options.requested
    settings = preset.settings(names)
    if config.images is None:  # A preset's subset is dropped where there are not so many images.
        settings.pop("images", None)
    if config.length:
        settings.pop("epochs", None)
    if options.data is None:
        settings["data"] = preset.data
    for name, value in settings.items():
        if value != getattr(config, name):
            raise InputError(
                f"--preset {options.preset}: brings {name.replace('_', ' ')} {value}, and study {config.study} was "
                f"made with {getattr(config, name)}; leave --preset out, or choose another --study name"
            )


def check_kind(found: LoadedStudy, sweep: bool) -> None:
    """Check that a sweep is asked for where the study is one, and a search where it is not.

    Raises:
        InputError: One is asked for and the study is the other.
    """
    is_sweep = SWEEP in found.optuna.user_attrs
    if is_sweep != sweep:
        kind, command = ("sweep", "sweep") if is_sweep else ("search", "run")
        raise InputError(
            f"--study {found.config.study}: is a {kind}; go on with {found.command(command)}, or choose another name"
        )


def find_images(
    found: LoadedStudy, data: str | Path | Sequence[Any] | None, cache: Path | None, say: Say = log_line
) -> Dataset:
    """Find the study's images on this host: in its cache, or prepared from ``data``, or from where the study had them.

    Args:
        found: The study.
        data: Where they lie here, as ``prepare`` takes it; None if the study knows.
        cache: Folder of prepared images.
        say: Gets lines for a person.

    Raises:
        InputError: They are other images, or nowhere.
    """
    config = found.config
    if data is None:
        if cache is not None:
            with contextlib.suppress(InputError):  # It is not there, or damaged.
                return open_dataset(cache / config.fingerprint)
        try:
            return found.dataset()
        except InputError:
            if config.data == "arrays":
                raise
            data = config.data
            if Path(data).is_absolute() and not Path(data).exists():
                is_sweep = SWEEP in found.optuna.user_attrs
                command = found.command(
                    *(["sweep"] if is_sweep else ["run", "--no-export"]), "--data", "PLACE"
                )
                raise InputError(
                    f"study {config.study}'s images were in {data}, which is gone: say with --data where they are now, "
                    f"as in {command}"
                ) from None
    dataset = prepare(
        data,
        image_size=config.image_size,
        resize=config.resize,
        test=config.test,
        seed=config.test_seed,
        cache=cache,
        say=say,
        enlarge=not config.backbones,
        skip_damaged=config.skip_damaged,
        classes=config.classes,
        groups=config.groups,
        validation_part=config.validation_images > 0,
    )
    if dataset.fingerprint != config.fingerprint:
        # Before folders were looked into at any depth, a study was made without what lies deeper.
        is_folder = isinstance(data, str | Path) and Path(data).expanduser().is_dir()
        deeper = ", and the same files in the subfolders of its classes" if is_folder else ""
        raise InputError(
            f"--data {dataset.source}: study {config.study} was made for other images ({config.data}); "
            f"expected those (their content decides, not their place{deeper}), or another --study name"
        )
    return dataset

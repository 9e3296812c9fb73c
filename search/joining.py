"""What must be the same for everybody who works on a study, and what is only warned of."""

import contextlib
import hashlib
import json
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna

from search.cells import SWEEP
from search.config import StudyConfig
from search.data import Dataset, cache_root, open_dataset, prepare
from search.data.folds import check_said
from search.data.source import Say
from search.errors import InputError
from search.study import LoadedStudy, quiet
from spaces.contract import Space

if TYPE_CHECKING:
    from search.opening import Request

SPACE, BACKEND, VERSIONS = "space_digest", "backend", "versions"
PROBES = 3


def space_digest(space: Space, config: StudyConfig) -> str:
    """A digest of what a space does with a few seeded samples: ranges, costs and recipes.

    Two hosts with the same space's name may have two versions of its file; mixing their trials would spoil the study.
    """
    seen = []
    aside = optuna.storages.InMemoryStorage()
    for seed in range(PROBES):
        with quiet():
            aside.create_new_study([optuna.study.StudyDirection.MAXIMIZE], f"probe {seed}")
        trial = optuna.load_study(
            study_name=f"probe {seed}", storage=aside, sampler=optuna.samplers.RandomSampler(seed=seed)
        ).ask()
        try:
            params = space.sample(trial, config.input_spec)
            recipe = space.recipe(params, config.input_spec) if hasattr(space, "recipe") else None
            seen.append([params, list(space.cost(params, config.input_spec)), repr(recipe), _ranges(trial)])
        except (
            Exception
        ) as error:  # Of a user's own space anything may come; it will end the trials that meet it.
            seen.append([type(error).__name__])
    text = json.dumps(_rounded(seen), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def surroundings(backend: str) -> dict[str, Any]:
    """The libraries here, as far as their versions matter to a result; loads none of them."""
    versions = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in ("keras", "numpy", "optuna", backend):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # TensorFlow comes under several names.
            continue
    return {BACKEND: backend, VERSIONS: versions}


def check_joining(found: LoadedStudy, space: Space, backend: str, say: Say = print) -> None:
    """Refuse to join with another version of the space; warn of other libraries.

    Raises:
        InputError: The space of this name does something else here.
    """
    attributes, config = found.optuna.user_attrs, found.config
    if attributes.get(SPACE) not in (None, space_digest(space, config)):
        raise InputError(
            f"space {config.space}: study {config.study} was made with another version of it (its ranges, costs or "
            "recipe differ); bring the same files here, or choose another --study name"
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


def check_settings(config: StudyConfig, request: "Request") -> None:
    """Everything that is said again must be as it was.

    Raises:
        InputError: Something is not.
    """
    if config.folds:
        check_said(config.folds, request.validation, request.images)
    said = dict(request.settings)
    if request.max_cost is not None:
        said["max_flops"] = int(request.max_cost)
    for name, value in said.items():
        if value != getattr(config, name):
            flag = "--max-cost" if name == "max_flops" else "--" + name.replace("_", "-")
            raise InputError(
                f"{flag} {value}: study {config.study} was made with {getattr(config, name)}; "
                "leave the flag out, or choose another --study name"
            )


def check_kind(found: LoadedStudy, request: "Request") -> None:
    """A sweep has its cells and no others; a search samples.

    Raises:
        InputError: One is asked for and the study is the other.
    """
    study, is_sweep = found.config.study, SWEEP in found.optuna.user_attrs
    if is_sweep != (request.sweep is not None):
        kind, command = ("sweep", "sweep") if is_sweep else ("search", "run")
        raise InputError(
            f"--study {study}: is a {kind}; go on with python -m search.{command} --study {study}, "
            "or choose another name"
        )


def find_images(
    found: LoadedStudy, data: str | Path | Sequence[Any] | None, cache: Path | None, say: Say = print
) -> Dataset:
    """The study's images on this host: in its cache, or prepared from ``data``, or from where the study had them.

    Args:
        found: The study.
        data: Where they lie here, as ``prepare`` takes it; None where they need not be said.
        cache: Folder of prepared images.
        say: Gets lines for a person.

    Raises:
        InputError: They are other images, or nowhere.
    """
    config = found.config
    settings: dict[str, Any] = {"image_size": config.image_size, "resize": config.resize, "test": config.test}
    settings |= {"seed": config.seed, "cache": cache, "say": say, "enlarge": not config.backbones}
    if data is None:
        for place in ([cache / config.fingerprint] if cache else []) + [cache_root() / config.fingerprint]:
            with contextlib.suppress(InputError):  # It is not there, or damaged.
                return open_dataset(place)
        try:
            return found.dataset()
        except InputError:
            if config.data == "arrays":
                raise
            data = config.data
    dataset = prepare(data, **settings)
    if dataset.fingerprint != config.fingerprint:
        raise InputError(
            f"--data {dataset.source}: study {config.study} was made for other images ({config.data}); "
            "expected those (their content decides, not their place), or another --study name"
        )
    return dataset


def _ranges(trial: optuna.Trial) -> list[str]:
    return sorted(f"{name} {distribution}" for name, distribution in trial.distributions.items())


def _rounded(value: Any) -> Any:
    """The last digits of a logarithm are the platform's own."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value

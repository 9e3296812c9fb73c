"""What a sweep varies, and around what: ``--vary`` and ``--base``."""

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.errors import InputError

if TYPE_CHECKING:
    from search.cells import Sweep


def find_base(said: str, storage: str | None, root: Path) -> tuple[str, Mapping[str, Any] | None]:
    """The space of a base and its values; None for the space's own default.

    Raises:
        InputError: There is no such base.
    """
    from search.presets import PRESETS
    from search.study import load_study
    from spaces.notebook_nets import notebook_nets

    kind, _, name = said.partition(":")
    if kind == "study" and name:
        loaded = load_study(name, storage, root)
        ranked = loaded.ranked()
        if not ranked:
            raise InputError(f"--base {said}: no trial of that study has finished yet")
        return loaded.config.space, ranked[0].params
    nets, net = notebook_nets(), said.replace("-", " ").replace("_", " ")
    if net in nets:
        return "cnn_wide", nets[net][1]
    if said in PRESETS:
        own = PRESETS[said]
        return find_base(own.base, storage, root) if own.base else (own.space, None)
    raise InputError(
        f"--base {said!r}: expected a net of the notebooks ({', '.join(nets)}), a preset "
        f"({', '.join(sorted(PRESETS))}), or study:NAME"
    )


def asked_for(
    study: str,
    vary: Mapping[str, Sequence[Any]] | None,
    repeat: int | None,
    base: str | None,
    preset: str | None,
    space: str | None,
    storage: str | None,
    root: Path,
) -> "tuple[Sweep, str | None]":
    """The sweep that is asked for, and its space: what is left unsaid of a new one is the preset's.

    Raises:
        InputError: The base is none, or of another space.
    """
    from search.cells import SWEEP, Sweep
    from search.presets import PRESETS
    from search.study import find_study

    found = find_study(study, storage, root)
    named = PRESETS.get(preset or study)
    if found is None and named is not None:
        vary, base = vary or named.vary, base or named.base
    values = None
    if base is not None and (found is None or SWEEP not in found.optuna.user_attrs):
        of_base, values = find_base(base, storage, root)
        if space not in (None, of_base):
            raise InputError(
                f"--space {space}: --base {base} is of space {of_base}; leave one of the two out"
            )
        space = of_base
    return Sweep(dict(vary or {}), repeat, base, values), space


def backbones_of(study: str, storage: str | None, root: Path, image_size: int | None) -> dict[str, Any]:
    """The backbones of the study that a sweep is made around, and the size at which they see its images."""
    from search.study import load_study

    config = load_study(study, storage, root).config
    if not config.backbones:
        return {}
    said = tuple(backbone.said for backbone in config.backbones)
    return {"backbones": said, "image_size": image_size or config.image_size}


def parse_vary(texts: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Values of each parameter, of ``filters=16,32`` and the like; numbers, true and false, or words.

    Raises:
        InputError: Not NAME=VALUES, no value, or something said twice.
    """
    vary: dict[str, tuple[Any, ...]] = {}
    for text in texts:
        name, equals, listed = (part.strip() for part in text.partition("="))
        words = [word.strip() for word in listed.split(",")]
        if not equals or not name or "" in words:
            raise InputError(f"--vary {text!r}: expected NAME=VALUES, such as filters=16,32,64")
        values = tuple(map(_value, words))
        if len(set(values)) != len(values) or name in vary:
            raise InputError(
                f"--vary {text!r}: a value or a name is said twice; each cell is run once, or --repeat times"
            )
        vary[name] = values
    return vary


def _value(word: str) -> Any:
    try:
        value = ast.literal_eval(word.capitalize() if word.lower() in ("true", "false") else word)
    except (ValueError, SyntaxError):
        return word
    return value if isinstance(value, int | float | str) else word

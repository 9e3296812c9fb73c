"""What a sweep varies, and around what: ``--vary`` and ``--base``."""

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from search.errors import InputError


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

"""What can be searched: a space is a module with ``sample``, ``cost`` and ``build`` (``spaces.contract``)."""

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import cast

from spaces.contract import Backbone, Cost, InputSpec, Params, Space
from spaces.recipe import Recipe

__all__ = [
    "REGISTERED", "Backbone", "Cost", "InputSpec", "Params", "Recipe", "Space", "has_backbone", "load"
]  # fmt: skip

REGISTERED = {
    "cnn": "spaces.cnn",
    "cnn_wide": "spaces.cnn_wide",
    "photo_cnn": "spaces.photo_cnn",
    "transfer": "spaces.transfer",
}
FUNCTIONS = ("sample", "cost", "build")
OVER_BACKBONES = ("backbone", "frozen", "head")
FRAMEWORKS = frozenset({"keras", "tensorflow", "jax", "torch"})


def load(name: str) -> Space:
    """The space of a registered name (``cnn``) or of an importable module (``my_package.my_space``).

    The current directory can be imported from, as under ``python -m``.

    Raises:
        ValueError: Nothing of that name, or no space, or one that imports Keras at module level; in one line.
    """
    path = REGISTERED.get(name, name)
    if not all(part.isidentifier() for part in path.split(".")):
        raise ValueError(f"--space {name!r}: expected {_expected()}")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:  # an installed script leaves it out
        sys.path.append(str(Path.cwd()))
    module = _import(name, path)
    missing = [function for function in FUNCTIONS if not callable(getattr(module, function, None))]
    if missing:
        raise ValueError(
            f"--space {name}: {path} lacks {', '.join(missing)}; a space has functions {', '.join(FUNCTIONS)}"
        )
    return cast(Space, module)


def has_backbone(space: Space) -> bool:
    """Whether a space trains heads on what a frozen backbone says of the images."""
    return all(callable(getattr(space, function, None)) for function in OVER_BACKBONES)


def _import(name: str, path: str) -> ModuleType:
    """Import ``path`` where no framework can be had; ``name`` is what the user said."""
    known = sys.modules.get(path)
    with _no_frameworks() as refused:
        try:
            module = importlib.import_module(path)
        except Exception as error:
            if not refused:
                raise ValueError(_why(name, path, error)) from error
        else:
            refused += _frameworks_in(module)
    if not refused:
        return module
    if known is None:
        sys.modules.pop(path, None)  # it may have caught the refusal and gone on
    raise ValueError(
        f"--space {name}: {path} imports {refused[0]} at module level, and the process that samples never "
        "loads that (its crashes must not end the search); move the import inside build"
    )


def _why(name: str, path: str, error: Exception) -> str:
    """One line for a module that cannot be imported."""
    if isinstance(error, ModuleNotFoundError) and f"{path}.".startswith(f"{error.name}."):
        if "." not in path:
            return f"--space {name}: unknown; expected {_expected()}"
        return (
            f"--space {name}: no module {error.name} in {Path.cwd()} or on PYTHONPATH; expected {_expected()}"
        )
    text = str(error).partition("\n")[0]
    return f"--space {name}: {path} cannot be imported: {type(error).__name__}: {text}"


def _expected() -> str:
    return f"one of {', '.join(REGISTERED)}, or a module of yours such as my_package.my_space"


class _Refusal:
    """A finder, asked before all others, that finds no framework and notes which was wanted."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if _is_framework(fullname):
            self.refused.append(fullname.partition(".")[0])
            raise ImportError(f"{fullname} is not to be imported here")
        return None


@contextmanager
def _no_frameworks() -> Iterator[list[str]]:
    """No framework can be imported inside, even if it was before (in a notebook); yields those wanted."""
    refusal = _Refusal()
    hidden = {name: module for name, module in sys.modules.items() if _is_framework(name)}
    for name in hidden:
        del sys.modules[name]
    sys.meta_path.insert(0, refusal)
    try:
        yield refusal.refused
    finally:
        sys.meta_path.remove(refusal)
        sys.modules.update(hidden)


def _is_framework(name: str) -> bool:
    return name.partition(".")[0] in FRAMEWORKS


def _frameworks_in(module: ModuleType) -> list[str]:
    """Frameworks held by a module that was imported before: ``import_module`` does not run it again."""
    origins = (
        value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        for value in vars(module).values()
    )
    return [
        origin.partition(".")[0] for origin in origins if isinstance(origin, str) and _is_framework(origin)
    ]

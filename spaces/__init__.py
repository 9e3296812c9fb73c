"""What can be searched. A space is a module with the functions ``sample``, ``cost`` and ``build``.

``spaces.contract`` says what they do. A new space is a file here and a line in ``REGISTERED``; a user's own is loaded
by its module's name. Nothing here knows a command: an error about a parameter begins with the parameter's name
(``space 'x': ...``).
"""

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
# What a space over a frozen backbone has besides.
BACKBONE_FUNCTIONS = ("backbone", "frozen", "head")
FRAMEWORKS = frozenset({"keras", "tensorflow", "jax", "torch"})


def load(name: str) -> Space:
    """Load a space by its registered name (``cnn``) or its module's name (``my_package.my_space``).

    Modules in the current directory are found too, as they are under ``python -m``.

    Raises:
        ValueError: There is none of this name, or it is no space, or it imports Keras at module level; in one line,
            which begins with ``space``.
    """
    path = REGISTERED.get(name, name)
    if not all(part.isidentifier() for part in path.split(".")):
        raise ValueError(f"space {name!r}: expected {_expected()}")
    if (
        "" not in sys.path and str(Path.cwd()) not in sys.path
    ):  # Where an installed script runs, it is missing.
        sys.path.append(str(Path.cwd()))
    module = _import(name, path)
    missing = [function for function in FUNCTIONS if not callable(getattr(module, function, None))]
    if missing:
        raise ValueError(
            f"space {name}: {path} lacks {', '.join(missing)}; a space has functions {', '.join(FUNCTIONS)}"
        )
    return cast(Space, module)


def has_backbone(space: Space) -> bool:
    """Whether a space trains heads on the features of a frozen backbone."""
    return all(callable(getattr(space, function, None)) for function in BACKBONE_FUNCTIONS)


def _import(name: str, path: str) -> ModuleType:
    """Import the module ``path`` while no framework can be imported; ``name`` is what the user asked for."""
    imported_before = sys.modules.get(path)
    with _no_frameworks() as refused:
        try:
            module = importlib.import_module(path)
        except Exception as error:
            if not refused:
                raise ValueError(_import_error(name, path, error)) from error
        else:
            refused += _frameworks_in(module)
    if not refused:
        return module
    if imported_before is None:
        sys.modules.pop(path, None)  # It may have caught the ImportError and gone on.
    raise ValueError(
        f"space {name}: {path} imports {refused[0]} at module level, and the process that samples never "
        "loads that (its crashes must not end the search); move the import inside build"
    )


def _import_error(name: str, path: str, error: Exception) -> str:
    """The message for a module that cannot be imported, in one line."""
    if isinstance(error, ModuleNotFoundError) and f"{path}.".startswith(f"{error.name}."):
        if "." not in path:
            return f"space {name}: unknown; expected {_expected()}"
        return (
            f"space {name}: no module {error.name} in {Path.cwd()} or on PYTHONPATH; expected {_expected()}"
        )
    text = str(error).partition("\n")[0]
    return f"space {name}: {path} cannot be imported: {type(error).__name__}: {text}"


def _expected() -> str:
    return f"one of {', '.join(REGISTERED)}, or a module of yours such as my_package.my_space"


class _FrameworkBlocker:
    """A finder of modules that is asked first, refuses every framework and records which one was imported."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if _is_framework(fullname):
            self.refused.append(fullname.partition(".")[0])
            raise ImportError(f"{fullname} must not be imported here")
        return None


@contextmanager
def _no_frameworks() -> Iterator[list[str]]:
    """Let no framework be imported in the ``with`` block, even if it was before, as in a notebook.

    Yields:
        A list to which the names of the frameworks are added that the block tries to import.
    """
    blocker = _FrameworkBlocker()
    hidden = {name: module for name, module in sys.modules.items() if _is_framework(name)}
    for name in hidden:
        del sys.modules[name]
    sys.meta_path.insert(0, blocker)
    try:
        yield blocker.refused
    finally:
        sys.meta_path.remove(blocker)
        sys.modules.update(hidden)


def _is_framework(name: str) -> bool:
    return name.partition(".")[0] in FRAMEWORKS


def _frameworks_in(module: ModuleType) -> list[str]:
    """The frameworks that a module holds objects of. One imported before is not run again, and so not caught."""
    origins = (
        value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        for value in vars(module).values()
    )
    return [
        origin.partition(".")[0] for origin in origins if isinstance(origin, str) and _is_framework(origin)
    ]

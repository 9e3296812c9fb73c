"""What can be searched. A space is a module with the functions ``sample``, ``cost`` and ``build``.

``spaces.contract`` says what they do. A new space is a file here and a line in ``REGISTERED``; a user's own is loaded
by its file or its module's name. A function that makes a Keras model may stand in its place (``my_model.py:build``, see
``spaces.user_model``). Nothing here knows a command: an error about a parameter begins with the parameter's name
(``space 'x': ...``).
"""

import importlib
import sys
import time
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, cast

from spaces.contract import Backbone, Cost, InputSpec, Params, Space
from spaces.framework_check import framework_of
from spaces.recipe import Recipe
from spaces.source import digest, find
from spaces.user_model import UserModel, is_model

__all__ = [
    "REGISTERED", "Backbone", "Cost", "InputSpec", "Params", "Recipe", "Space", "SpaceChanged", "UserModel",
    "check_as_read", "code_of", "has_backbone", "is_model", "load", "load_as"
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
# An editor has saved a file by then.
SAVING_SECONDS = 2.0


class SpaceChanged(ValueError):
    """The code of a space is not what another process, or this one, has read of it."""


class _Known(NamedTuple):
    """A module that has been checked: another of this name, or the same reloaded, has another spec."""

    spec: ModuleSpec | None
    code: str


_known: dict[str, _Known] = {}
_models: dict[str, UserModel] = {}


def load(name: str, *, afresh: bool = False) -> Space:
    """Load a space by its registered name (``cnn``), its file (``my_space.py``) or its module (``my_package.mine``).

    Modules in the current directory are found too, as they are under ``python -m``. A user's module is checked once a
    process, in another one: see ``spaces.framework_check``. A function that makes a model is not imported here.

    Args:
        name: Its name.
        afresh: Whether the code of such a function is read again, in a process that has read it before.

    Raises:
        ValueError: There is none of this name, or it is no space, or it imports Keras at module level; in one line,
            which begins with ``space``, or with ``model`` where it is about such a function.
    """
    if is_model(name):
        if afresh or name not in _models:
            _models[name] = _model(name)
        return cast(Space, _models[name])
    path = _path_of(name)
    module = _unless_reloaded(path)
    if module is None:
        if path not in REGISTERED.values() and (framework := framework_of(path)):
            raise ValueError(
                f"space {name}: {path} imports {framework} at module level, and the process that samples never "
                "loads that (its crashes must not end the search); move the import inside build"
            )
        module = _import(name, path)
    return cast(Space, module)


def load_as(name: str, code: str) -> Space:
    """Load a space where its nets are built, if its code is what the process that sampled has read.

    Args:
        name: As ``load`` takes it.
        code: What ``code_of`` gave there; empty for anything.

    Raises:
        SpaceChanged: It is other code; in one line.
        ValueError: It cannot be imported; in one line.
    """
    if is_model(name):
        model = _model(name)
        if code and not _wait_for(model.module, code):
            raise SpaceChanged(_changed(name))
        return cast(Space, model)
    path = _path_of(name)
    module = _unless_reloaded(path)
    if module is None:
        if code and path not in REGISTERED.values() and not _wait_for(path, code):
            raise SpaceChanged(_changed(name))
        module = _import(name, path)
    if code and code_of(cast(Space, module)) != code:
        raise SpaceChanged(_changed(name))
    return cast(Space, module)


def code_of(space: Space) -> str:
    """What tells two versions of a space apart; empty where nothing does.

    Of a registered space it is its ``VERSION``, so that a mended docstring is no other space; of a user's it is a
    digest of its code when it was loaded (``spaces.source``).
    """
    if isinstance(space, UserModel):
        return space.code
    module = cast(ModuleType, space)
    if module.__name__ in REGISTERED.values():
        return f"version {module.VERSION}"
    known = _known.get(module.__name__)
    if known is not None and known.spec is module.__spec__:
        return known.code
    return digest(module.__spec__) if module.__spec__ is not None else ""


def check_as_read(space: Space) -> None:
    """Check that the files of a loaded space are still what was loaded; a file that is being saved is waited for.

    Raises:
        SpaceChanged: They are not; in one line.
    """
    path = space.module if isinstance(space, UserModel) else cast(ModuleType, space).__name__
    if path not in REGISTERED.values() and not _wait_for(path, code_of(space)):
        raise SpaceChanged(_changed(space.name if isinstance(space, UserModel) else path))


def has_backbone(space: Space) -> bool:
    """Whether a space trains heads on the features of a frozen backbone."""
    return all(callable(getattr(space, function, None)) for function in BACKBONE_FUNCTIONS)


def _model(name: str) -> UserModel:
    """A function that makes a model, whose module is found and not imported.

    Raises:
        ValueError: There is no such module; in one line, which begins with ``model``.
    """
    file, _, function = name.rpartition(":")
    expected = "expected the file and the function, as in my_model.py:build, or my_package.my_model:build"
    dotted = all(part.isidentifier() for part in file.split("."))
    if not (file.endswith(".py") or dotted) or not function.isidentifier():
        raise ValueError(f"model {name}: {expected}")
    try:
        path = _path_of(file)
    except ValueError as error:
        raise ValueError(f"model {name}: {str(error).partition(': ')[2]}") from None
    spec = find(path)
    if spec is None or not (code := digest(spec)):
        where = f"file {file}" if file.endswith(".py") else f"module {file} in {Path.cwd()} or on PYTHONPATH"
        raise ValueError(f"model {name}: there is no {where}; {expected}")
    return UserModel(name, path, function, code)


def _path_of(name: str) -> str:
    """The name of the module that a space is in, which can be found from now on."""
    # Where an installed script runs, it is missing.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    if name.endswith(".py"):
        try:
            return _module_in(Path(name).expanduser(), name)
        except RuntimeError:
            raise ValueError(
                f"space {name}: it begins with the home of no user of this host; give the whole path"
            ) from None
    path = REGISTERED.get(name, name)
    if not all(part.isidentifier() for part in path.split(".")):
        raise ValueError(f"space {name!r}: expected {_expected()}")
    return path


def _module_in(file: Path, name: str) -> str:
    """The name of the module that a file is, which is found from now on.

    Where there is no such file, a module of its name may be found otherwise: a study's other hosts have it elsewhere.

    Raises:
        ValueError: No module can be called so, or another one is found by that name.
    """
    module = file.stem
    if not module.isidentifier():
        raise ValueError(
            f"space {name}: {module!r} is no name of a module (letters, digits and _); rename the file"
        )
    if module not in _known and file.is_file():
        folder = str(file.absolute().parent)
        if folder not in sys.path:
            sys.path.append(folder)
            importlib.invalidate_caches()
        found = find(module)
        if found is None or not found.origin or not file.samefile(found.origin):
            where = "built into Python" if found is None or not found.origin else found.origin
            raise ValueError(f"space {name}: Python finds another {module} first ({where}); rename the file")
    return module


def _unless_reloaded(path: str) -> ModuleType | None:
    """The module, if it is the very one that has been checked before."""
    module, known = sys.modules.get(path), _known.get(path)
    return module if module is not None and known is not None and known.spec is module.__spec__ else None


def _import(name: str, path: str) -> ModuleType:
    """Import the module ``path`` and check what it has; ``name`` is what the user asked for."""
    code = _code_now(path)
    try:
        module = importlib.import_module(path)
    except (Exception, SystemExit) as error:  # A script may end itself.
        if _code_now(path) != code:
            raise SpaceChanged(_changed(name)) from error
        raise ValueError(_import_error(name, path, error)) from error
    if _code_now(path) != code:
        raise SpaceChanged(_changed(name))
    missing = [function for function in FUNCTIONS if not callable(getattr(module, function, None))]
    if missing:
        raise ValueError(
            f"space {name}: {path} lacks {', '.join(missing)}; expected a module with functions {', '.join(FUNCTIONS)}"
        )
    _known[path] = _Known(module.__spec__, code)
    return module


def _code_now(path: str) -> str:
    spec = find(path) if path not in REGISTERED.values() else None
    return digest(spec) if spec is not None else ""


def _wait_for(path: str, code: str) -> bool:
    """Whether the files of a module have this code, now or once they have been saved."""
    deadline = time.monotonic() + SAVING_SECONDS
    while _code_now(path) != code:
        if time.monotonic() > deadline:
            return False
        time.sleep(SAVING_SECONDS / 10)
    return True


def _changed(name: str) -> str:
    kind = "model" if is_model(name) else "space"
    return f"{kind} {name}: its code has been changed since the search read it"


def _import_error(name: str, path: str, error: BaseException) -> str:
    """The message for a module that cannot be imported, in one line."""
    if isinstance(error, ModuleNotFoundError) and f"{path}.".startswith(f"{error.name}."):
        if name.endswith(".py"):
            return f"space {name}: no such file; expected {_expected()}"
        if "." not in path:
            return f"space {name}: unknown; expected {_expected()}"
        return (
            f"space {name}: no module {error.name} in {Path.cwd()} or on PYTHONPATH; expected {_expected()}"
        )
    text = str(error).partition("\n")[0]
    return (
        f"space {name}: {path} cannot be imported: {type(error).__name__}: {text}; mend it, python -c 'import {path}' "
        "shows where"
    )


def _expected() -> str:
    return (
        f"one of {', '.join(REGISTERED)}, or your own: my_space.py, or a module such as my_package.my_space"
    )

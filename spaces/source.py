"""A digest of a module's code, by which two versions of a user's space are told apart.

It is taken of the syntax trees, without comments and docstrings: of the module, and of the modules beside it that it
imports, inside functions too. What is installed, and this program's own packages, are not the user's code and not part
of it. Nothing is imported for it.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

PROGRAM = ("spaces.", "search.", "storage.")
# They differ between versions of Python, or say nothing of what the code does.
FIELDS_LEFT_OUT = ("ctx", "kind", "type_comment", "type_ignores")
INSTALLED = ("site-packages", "dist-packages")


def find(module: str) -> ModuleSpec | None:
    """Find a module without importing it or the packages that it lies in; None where there is none."""
    spec: ModuleSpec | None = None
    places: Sequence[str] | None = None
    for name in _with_parents(module):
        if spec is not None:
            places = spec.submodule_search_locations
            if places is None:
                return None
        finders = (getattr(finder, "find_spec", None) for finder in list(sys.meta_path))
        spec = next((found for ask in finders if ask and (found := ask(name, places))), None)
        if spec is None:
            return None
    return spec


def digest(spec: ModuleSpec) -> str:
    """A digest of the code of a module as it lies in its files now; empty where it has no source.

    Args:
        spec: The module's, of ``find`` or its own ``__spec__``.
    """
    if not _file_of(spec):
        return ""
    code = _code_of(spec)
    return hashlib.sha256(json.dumps(sorted(code.items())).encode()).hexdigest()[:16]


def _code_of(spec: ModuleSpec) -> dict[str, Any]:
    """What ``_read`` gives of each module that counts, by its name."""
    home, top = _home(spec), spec.name.partition(".")[0]
    tops: dict[str, bool] = {top: True}

    def belongs(name: str) -> bool:
        """Whether a module lies beside the space; of an installed space, in the same package."""
        first = name.partition(".")[0]
        if f"{first}." in PROGRAM:
            return False
        if first not in tops:
            found = None if home is None or home.name in INSTALLED else find(first)
            tops[first] = found is not None and _home(found) == home
        return tops[first]

    code: dict[str, Any] = {}
    pending = [spec.name]
    while pending:
        for name in _with_parents(pending.pop()):
            found = spec if name == spec.name else find(name)
            if name in code or found is None or not (file := _file_of(found)):
                continue
            code[name], imported = _read(file, found)
            pending += filter(belongs, imported)
    return code


def _read(file: Path, spec: ModuleSpec) -> tuple[Any, list[str]]:
    """The code of a file as plain values, and the names of what it may import."""
    try:
        source = file.read_bytes()
    except OSError:  # It is just being replaced.
        return "", []
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # It is half saved.
        return hashlib.sha256(source).hexdigest(), []
    package = spec.name if spec.submodule_search_locations is not None else spec.name.rpartition(".")[0]
    return _plain(tree), list(_imported(tree, package))


def _plain(value: Any) -> Any:
    """A syntax tree as lists and strings that are the same under every version of Python."""
    if isinstance(value, ast.AST):
        fields = {name: _plain(part) for name, part in ast.iter_fields(value) if name not in FIELDS_LEFT_OUT}
        return [type(value).__name__, sorted((name, part) for name, part in fields.items() if part)]
    if isinstance(value, list):
        return [_plain(item) for item in value if not _is_text(item)]
    return "" if value is None else repr(value)


def _is_text(node: Any) -> bool:
    """Whether a statement is a docstring, or another text that does nothing."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _imported(tree: ast.AST, package: str) -> Iterator[str]:
    """The names of all that a module may import, wherever it does; some may be no modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _with_parents(module: str) -> list[str]:
    """``a``, ``a.b`` and ``a.b.c`` of ``a.b.c``."""
    parts = module.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


def _file_of(spec: ModuleSpec) -> Path | None:
    """The file of a module's source; None where it has none."""
    file = Path(spec.origin) if spec.has_location and spec.origin else None
    return file if file is not None and file.suffix == ".py" else None


def _home(spec: ModuleSpec) -> Path | None:
    """The folder in which a module, or the package that it is in, lies; None of what is built into Python."""
    places = spec.submodule_search_locations
    place = next(iter(places), None) if places is not None else spec.origin if spec.has_location else None
    return Path(place).absolute().parents[spec.name.count(".")] if place else None

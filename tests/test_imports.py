import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("search", "spaces", "storage")
HEAVY = (
    "tensorflow",
    "keras",
    "jax",
    "torch",
    "optuna",
    "sqlalchemy",
    "numpy",
    "sklearn",
    "matplotlib",
    "PIL",
    "jinja2",
)
MAY_IMPORT = {"search": {"search", "spaces", "storage"}, "spaces": {"spaces"}, "storage": {"storage"}}
# What a person runs; search/child.py is started by the program.
COMMANDS = sorted(
    path.stem for path in (ROOT / "search").glob("*.py") if "\n    main(app)" in path.read_text("utf-8")
)


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(nodes: Iterator[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


def at_module_level(tree: ast.Module) -> Iterator[ast.AST]:
    """What runs when the module is imported: not the bodies of functions, not ``if TYPE_CHECKING``."""
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from ast.walk(node)


def modules_after(code: str) -> set[str]:
    """Top-level modules loaded in a fresh process by ``code``."""
    report = "import sys; print('LOADED', *{name.split('.')[0] for name in sys.modules})"
    text = f"import atexit\natexit.register(lambda: exec({report!r}))\n{code}"
    process = subprocess.run(
        [sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert process.returncode == 0, process.stderr
    return set(process.stdout.rpartition("LOADED")[2].split())


@pytest.mark.parametrize("package", OURS)
def test_imports_between_packages_run_one_way(package: str) -> None:
    for path in sources(package):
        found = set(imported(ast.walk(ast.parse(path.read_text("utf-8"))))) & {*OURS, "tests", "benchmarks"}
        assert found <= MAY_IMPORT[package], f"{path.relative_to(ROOT)} imports {found - MAY_IMPORT[package]}"


def test_imports_are_absolute() -> None:
    for path in (path for package in OURS for path in sources(package)):
        tree = ast.parse(path.read_text("utf-8"))
        relative = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
        assert not relative, f"{path.relative_to(ROOT)}, lines {relative}"


@pytest.mark.parametrize("package", ["spaces", "storage"])
def test_imports_of_spaces_and_storage_name_no_framework_at_module_level(package: str) -> None:
    for path in sources(package):
        found = set(imported(at_module_level(ast.parse(path.read_text("utf-8")))))
        assert not found & {"keras", "tensorflow", "jax", "torch"}, path.relative_to(ROOT)


def test_imports_of_the_package_itself_load_nothing_heavy() -> None:
    assert not modules_after("import search") & set(HEAVY)


def test_imports_of_the_package_offer_its_functions_when_asked() -> None:
    code = "from search import run_study, export_study, predict_images, prepare; import search; dir(search)"
    assert not modules_after(code) & {"tensorflow", "keras"}


def test_imports_of_an_unknown_name_say_what_there_is() -> None:
    import search

    with pytest.raises(AttributeError, match="it offers export_study, predict_images, prepare, run_study"):
        _ = search.run_stduy


def test_commands_are_found() -> None:
    assert {"run", "export", "predict"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_command_help_loads_nothing_heavy(helps, command: str) -> None:
    assert helps[command].code == 0
    assert not {name.split(".")[0] for name in helps[command].modules} & set(HEAVY)


def test_packages_in_pyproject_are_those_on_disk() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    folders = {
        path.parent for package in OURS for path in sources(package) if "__pycache__" not in path.parts
    }
    assert sorted(listed) == sorted(".".join(folder.relative_to(ROOT).parts) for folder in folders)
    assert all((folder / "__init__.py").exists() for folder in folders)


def test_files_that_are_no_modules_are_packed_with_their_package() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"][
        "package-data"
    ]
    packed = {
        path for package, globs in settings.items() for glob in globs for path in (ROOT / package).glob(glob)
    }
    found = {path for package in OURS for path in (ROOT / package).rglob("*.*")}
    assert packed == {path for path in found if path.suffix not in (".py", ".pyc")}

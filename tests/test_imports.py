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
# What a person runs; search/process/child.py is started by the program.
COMMANDS = sorted(
    path.stem for path in (ROOT / "search").glob("*.py") if "\n    main(app)" in path.read_text("utf-8")
)
PROGRAM = "__main__"  # All of them, by python -m search.


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


# The rooms of search/ in order: each may import those before it, and of the commands nobody imports anything. Types,
# imports inside functions, and names of modules in strings ("search.x:y") count.
ROOMS = (
    "hidden_modules", "errors", "presets", "config", "formatting", "templates", "data", "metrics", "plotting",
    "process", "training", "study", "web", "tracking", "execution", "prediction", "exporting", "serving", "reporting",
    "postgres", "engines", "progress", "workflows", "cli",
)  # fmt: skip
# Where the fork server says which later modules its children would otherwise import for themselves.
PRELOADED = {
    ("search.process.fork_server", "search.training.job"),
    ("search.process.fork_server", "search.web.drawing"),
}
# Where a command is started in a process of its own, which is no import.
STARTED = {
    ("search.engines.ordering", "search.worker"),
    ("search.engines.kubernetes", "search.worker"),
}
# Which rooms may import inside functions, and why.
MAY_IMPORT_INSIDE = {
    "commands": "--help and refusals wait for nothing heavy",
    "spaces": "sampling never loads Keras, building does",
    "storage": "the libraries of buckets are extras",
    "data": "scikit-learn loads when a split needs it, and Keras in processes of their own",
    "metrics": "scikit-learn and SciPy load when a figure needs them, Keras in the child",
    "plotting": "Matplotlib loads when something is drawn, which no worker does",
    "process": "the law: Keras loads in the child",
    "exporting": "the law: Keras and the runtimes of other formats load in the child; scikit-learn when it is needed",
    "prediction": "Keras, scikit-learn and rich load once the files have been looked at",
    "tracking": "the libraries of trackers are extras",
    "progress": "IPython is there in a notebook alone",
}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for package in OURS for path in sources(package)}


def room_of(module: str) -> str:
    package, _, rest = module.partition(".")
    room = rest.partition(".")[0]
    return (
        package if package != "search" or not room else "commands" if room in (*COMMANDS, PROGRAM) else room
    )


def floor_of(module: str) -> int:
    order = ("spaces", "storage", "search", *ROOMS, "commands")
    return order.index(room_of(module))


def modules_named(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of each of our modules that a file imports, or names in a string of its own."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield node.lineno, whole if whole in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value.partition(":")[0]


def imports_of(module: str) -> list[tuple[int, str]]:
    named = modules_named(MODULES[module])
    found = [(line, other) for line, other in named if other in MODULES and other != module]
    return [(line, other) for line, other in found if (module, other) not in STARTED]


def is_face(module: str) -> bool:
    return MODULES[module].name == "__init__.py"


def test_rooms_are_those_on_disk() -> None:
    inside = {room_of(module) for module in MODULES} - {"spaces", "storage", "search", "commands"}
    assert inside == set(ROOMS)


def test_root_of_search_holds_the_commands_and_few_files() -> None:
    files = {path.stem for path in (ROOT / "search").glob("*.py")}
    assert files == {*COMMANDS, PROGRAM, "__init__", "hidden_modules", "errors", "presets", "formatting"}


@pytest.mark.parametrize("module", [name for name in MODULES if not is_face(name)])
def test_module_imports_earlier_rooms_and_its_own_alone(module: str) -> None:
    later = [
        f"{MODULES[module].relative_to(ROOT)}:{line} names {other}"
        for line, other in imports_of(module)
        if floor_of(other) > floor_of(module) and (module, other) not in PRELOADED
    ]
    assert not later


@pytest.mark.parametrize("module", [name for name in MODULES if not is_face(name)])
def test_module_imports_no_face_of_its_own_room(module: str) -> None:
    own = module.rpartition(".")[0]
    assert own in OURS or own not in {other for _, other in imports_of(module)}


def test_no_command_is_imported() -> None:
    for module in MODULES:
        found = {other for _, other in imports_of(module) if room_of(other) == "commands"}
        assert not found, f"{module} imports {found}"


def test_imports_make_no_circle() -> None:
    edges = {
        module: {
            other
            for _, other in imports_of(module)
            if not is_face(other) and (module, other) not in PRELOADED
        }
        for module in MODULES
        if not is_face(module)
    }
    # Kahn's algorithm: what nobody waits for is taken away until nothing is left; what stays is in a circle.
    while free := {module for module, others in edges.items() if not others & edges.keys()}:
        edges = {module: others for module, others in edges.items() if module not in free}
    assert not edges


def test_imports_inside_functions_are_where_they_may_be() -> None:
    for module, path in MODULES.items():
        functions = [
            node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)
        ]
        inside = [
            node.lineno
            for function in functions
            for node in ast.walk(function)
            if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        assert not inside or room_of(module) in MAY_IMPORT_INSIDE, f"{module}, lines {inside}"


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

    with pytest.raises(
        AttributeError,
        match="it offers export_study, list_studies, predict_images, prepare, report_study, run_study",
    ):
        _ = search.run_stduy


def test_commands_are_found() -> None:
    assert {"run", "export", "predict"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_command_help_loads_nothing_heavy(helps, command: str) -> None:
    assert helps[command].code == 0
    assert not {name.split(".")[0] for name in helps[command].modules} & set(HEAVY)


def test_folders_with_modules_are_packages() -> None:
    folders = {
        path.parent for package in OURS for path in sources(package) if "__pycache__" not in path.parts
    }
    assert all((folder / "__init__.py").exists() for folder in folders)


def test_files_that_are_no_modules_are_packed_with_their_package() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"][
        "package-data"
    ]
    packed = {
        path
        for package, globs in settings.items()
        for glob in globs
        for path in (ROOT / package.replace(".", "/")).glob(glob)
    }
    found = {path for package in OURS for path in (ROOT / package).rglob("*.*")}
    assert packed == {path for path in found if path.suffix not in (".py", ".pyc")}

"""``keras-image-search COMMAND``: all commands under one name, which a shell can complete."""

import sqlite3
from contextlib import closing, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from search.cli.app import add_commands, main
from search.presets import PRESETS

COMMANDS = (
    "run", "worker", "status", "stop", "studies", "dashboard", "export", "report", "predict", "demo", "sweep",
    "prefetch", "cache", "delete", "database", "manifest",
)  # fmt: skip


def make_program() -> typer.Typer:
    """The program, with ``--install-completion`` and ``--show-completion``."""
    program = typer.Typer(
        name="keras-image-search",
        help="Hyperparameter search for Keras image classifiers.",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    add_commands(program, {name: import_module(f"search.{name}").app for name in COMMANDS})
    return program


def commands() -> dict[str, Any]:
    """Every command of the program by its name, in the order of its help; those of a group as ``database start``."""
    program: Any = typer.main.get_command(make_program())
    found: dict[str, Any] = {}
    for name, command in program.commands.items():
        inside = getattr(command, "commands", None)
        found |= {name: command} if inside is None else {f"{name} {own}": one for own, one in inside.items()}
    return found


def studies_here(incomplete: str) -> list[str]:
    """Names that ``--study`` may be completed to: of studies in this folder's database, and of presets."""
    names = list(PRESETS)
    database = Path("studies/search.db")
    # Past SQLAlchemy, whose import a shell would wait a second for; read-only, and silent whatever comes.
    with suppress(sqlite3.Error, OSError):
        if database.is_file():
            with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
                names += [name for (name,) in connection.execute("SELECT study_name FROM studies")]
    return sorted({name for name in names if name.startswith(incomplete)})


def run_program() -> None:
    """The console script."""
    main(make_program())

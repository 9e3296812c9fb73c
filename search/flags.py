"""The flags that several commands share, and how a flag is declared."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from search.command import number, whole_number
from search.config import BACKENDS, check_choice, check_number

Limits = Mapping[str, tuple[str, float, float]]
Complete = Callable[[str], list[str]]
Choices = Mapping[str, tuple[str, tuple[str, ...]]]
# Of what a host gives to its workers: each number's flag, its smallest and its largest value that make sense.
HOST_LIMITS: Limits = {
    "gpu_memory": ("--gpu-memory", 0.1, 10_000),
    "workers": ("--workers", 1, 1000),
    "per_gpu": ("--per-gpu", 1, 100),
}
HOST_CHOICES: Choices = {"backend": ("--backend", BACKENDS)}


def flag(*names: str, help: str, metavar: str | None = None, complete: Complete | None = None) -> Any:
    """A flag of text, or of yes and no; ``complete`` gives what a shell may complete it to."""
    return typer.Option(*names, help=help, metavar=metavar, autocompletion=complete)


def whole(name: str, *, help: str, metavar: str = "N") -> Any:
    """A flag of a whole number."""
    return typer.Option(name, help=help, metavar=metavar, parser=whole_number)


def decimal(name: str, *, help: str, metavar: str = "NUMBER") -> Any:
    """A flag of a number."""
    return typer.Option(name, help=help, metavar=metavar, parser=number)


def word(name: str, choices: tuple[str, ...], *, help: str) -> Any:
    """A flag of one of ``choices``."""

    def complete(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return typer.Option(name, help=f"{help}: {', '.join(choices)}.", metavar="WORD", autocompletion=complete)


def complete_study(incomplete: str) -> list[str]:
    """Studies of the default place, and presets."""
    from search.program import studies_here

    return studies_here(incomplete)


def check_typed(settings: Mapping[str, Any], limits: Limits, choices: Choices) -> None:
    """Look at each number and word that was typed.

    Raises:
        InputError: One is outside what makes sense.
    """
    for name, (said, low, high) in limits.items():
        if settings[name] is not None:
            check_number(said, settings[name], low, high)
    for name, (said, known) in choices.items():
        if settings[name] is not None:
            check_choice(said, settings[name], known)


Study = Annotated[
    str,
    flag(
        "--study",
        metavar="NAME",
        help="The study; run it again under its name to go on.",
        complete=complete_study,
    ),
]
Storage = Annotated[
    str | None,
    flag(
        "--storage",
        metavar="URL",
        help="Database: postgresql://user@host/name or sqlite:///FILE (default: $SEARCH_STORAGE, or SQLite in the "
        "studies folder). Passwords belong into PGPASSFILE.",
    ),
]
Studies = Annotated[
    Path, flag("--studies", metavar="FOLDER", help="Where database, checkpoints and logs lie.")
]
Cache = Annotated[Path | None, flag("--cache", metavar="FOLDER", help="Where decoded images are kept.")]
Backend = Annotated[str | None, word("--backend", BACKENDS, help="What Keras computes with")]
GpuMemory = Annotated[
    float | None, decimal("--gpu-memory", metavar="GB", help="Most memory to take of a GPU.")
]
Workers = Annotated[
    int | None, whole("--workers", help="Workers on this host (default: 1, or one for each place on a GPU).")
]
Gpus = Annotated[
    str | None, flag("--gpus", metavar="GPUS", help="Give each worker a GPU of its own: all, or such as 0,1.")
]
PerGpu = Annotated[int | None, whole("--per-gpu", metavar="K", help="Let K workers share a GPU.")]
